//! A module in full: a number in a file, as a sensor. Run it with a file that holds a number:
//! `cargo run -p hub-modules --example file_sensor -- /proc/loadavg`.

use house::memory::Volatile;
use house::{BoxFuture, Clock, Entity, House, Kind, Module, Room, State, Status};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Watches one file.
pub struct FileSensor {
    pub path: PathBuf,
}

impl Module for FileSensor {
    fn name(&self) -> &'static str {
        "file"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let device = room.own_device("number", "A number", "file", self.path.to_str());
            room.offer(Entity::new(&device, "value", "Value", Kind::Sensor));
            room.armed();
            loop {
                let read = tokio::fs::read_to_string(&self.path).await.map_err(|e| e.to_string());
                let first = |text: String| text.split_whitespace().next().unwrap_or_default().to_string();
                match read.and_then(|text| first(text).parse::<f64>().map_err(|e| e.to_string())) {
                    Ok(number) => {
                        room.available(&device, None);
                        room.state(&format!("{device}.value"), State::Known(number.into()));
                    }
                    Err(reason) => room.unavailable(&device, &reason),
                }
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        })
    }
}

/// In the hub, `all()` in `lib.rs` lists the modules and `start.rs` supervises them; here a house of its own does.
#[tokio::main]
async fn main() {
    let path = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "/proc/loadavg".into()));
    let house = House::new(Arc::new(Volatile::default()), Clock::default(), Status::Accepted);
    let mut events = house.bus().subscribe(house::Filter::all(), 64);
    let is_armed = tokio::sync::watch::channel(false).0;
    tokio::spawn(house::module::supervise(house.clone(), Arc::new(FileSensor { path }), is_armed));
    loop {
        if let house::Delivery::Event(event) = events.next().await {
            println!("{}", event.json);
        }
    }
}
