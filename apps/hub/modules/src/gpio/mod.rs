//! The serial GPIO board: five inputs, two relays; plugged in and out while the hub runs.

use house::house::Commander;
use house::{BoxFuture, Command, Entity, Kind, Module, Problem, Room, State};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, Termios, speed, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use wire::gpio::{self, INPUTS, RELAYS};

/// `[modules.gpio]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The terminals of the boards, such as `/dev/serial/by-id/...`.
    pub boards: Vec<std::path::PathBuf>,
}

/// The module.
#[derive(Debug)]
pub struct Gpio {
    settings: Settings,
}

impl Gpio {
    /// A module for these boards.
    pub fn new(settings: Settings) -> Gpio {
        Gpio { settings }
    }
}

/// How often the line is touched to find out whether it still stands, and looked for when it does not.
const TOUCH: Duration = Duration::from_millis(250);

impl Module for Gpio {
    fn name(&self) -> &'static str {
        "gpio"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let mut boards = tokio::task::JoinSet::new();
            for path in self.settings.boards.clone() {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                let own: String = name
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
                    .collect();
                let device = room.own_device(&own, &name, "gpio board", path.to_str());
                for input in 0..INPUTS {
                    room.offer(Entity::new(
                        &device,
                        &format!("input_{input}"),
                        &format!("Input {}", input + 1),
                        Kind::Binary,
                    ));
                }
                for relay in 0..RELAYS {
                    let letter = char::from(b'a' + relay);
                    let name = format!("Relay {}", letter.to_ascii_uppercase());
                    room.offer(Entity::new(&device, &format!("relay_{letter}"), &name, Kind::Switch));
                }
                let room = room.clone();
                boards.spawn(async move {
                    loop {
                        if let Err(error) = serve(&room, &device, &path).await {
                            room.unavailable(&device, &format!("{}: {error}", path.display()));
                        }
                        sleep(TOUCH).await;
                    }
                });
            }
            room.armed();
            match boards.join_next().await {
                Some(_) => Err("a board's task ended".into()),
                None => std::future::pending().await,
            }
        })
    }
}

/// A terminal as the board's driver wants it: raw, 9600 baud, not the controlling one.
fn open(path: &std::path::Path) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let mut settings: Termios = tcgetattr(&file)?;
    settings.make_raw();
    settings.set_speed(speed::B9600)?;
    tcsetattr(&file, OptionalActions::Now, &settings)?;
    #[expect(
        deprecated,
        reason = "its successor is an unsafe function; the owned descriptor here stays open and the same"
    )]
    AsyncFd::with_interest(file, Interest::READABLE | Interest::WRITABLE)
}

/// Speaks with the board until the line breaks.
async fn serve(room: &Room, device: &str, path: &std::path::Path) -> io::Result<()> {
    let line = open(path)?;
    let (ask, mut asked) = mpsc::channel::<u8>(16);
    let own = device.to_string();
    let commander: Commander = Arc::new(move |command: Command| {
        let (ask, own) = (ask.clone(), own.clone());
        Box::pin(async move {
            let letter = command.entity.strip_prefix(&format!("{own}.relay_")).and_then(|l| l.bytes().next());
            let relay = letter
                .map(|l| l.wrapping_sub(b'a'))
                .ok_or_else(|| Problem::bad("an input takes no command"))?;
            let on = command.arguments.get("value").and_then(serde_json::Value::as_bool);
            let on = on
                .filter(|_| command.action == "set")
                .ok_or_else(|| Problem::bad("a relay takes set with value true or false"))?;
            let byte = gpio::Command::Relay { relay, on }
                .encode()
                .ok_or_else(|| Problem::missing("relay", &command.entity))?;
            ask.send(byte).await.map_err(|_| Problem::unavailable("the board was unplugged"))?;
            Ok(Map::new())
        })
    });
    write(room, device, &line, b'?').await?;
    room.available(device, Some(commander));
    let mut touch = interval(TOUCH);
    touch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ready = line.readable() => {
                let mut ready = ready?;
                let mut bytes = [0; 64];
                let read = ready.try_io(|line| Ok(rustix::io::read(line, &mut bytes)?));
                let Ok(read) = read else { continue };
                let len = read?;
                if len == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let bytes = bytes.get(..len).unwrap_or(&[]);
                room.log(device, false, bytes);
                for inputs in bytes.iter().filter_map(|byte| gpio::inputs(*byte)) {
                    for (input, closed) in inputs.into_iter().enumerate() {
                        room.state(&format!("{device}.input_{input}"), State::Known(closed.into()));
                    }
                }
            }
            Some(byte) = asked.recv() => {
                write(room, device, &line, byte).await?;
                if let Some(gpio::Command::Relay { relay, on }) = gpio::Command::decode(byte) {
                    // The board does not report its relays: what was asked is what is known.
                    let letter = char::from(b'a' + relay);
                    room.state(&format!("{device}.relay_{letter}"), State::Known(on.into()));
                }
            }
            _ = touch.tick() => {
                rustix::io::write(&line, &[0])?;
            }
        }
    }
}

async fn write(room: &Room, device: &str, line: &AsyncFd<OwnedFd>, byte: u8) -> io::Result<()> {
    room.log(device, true, &[byte]);
    loop {
        let mut ready = line.writable().await?;
        if let Ok(written) = ready.try_io(|line| Ok(rustix::io::write(line, &[byte])?)) {
            return written.map(|_| ());
        }
    }
}
