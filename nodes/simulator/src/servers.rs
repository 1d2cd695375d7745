//! Devices that wait to be called: a weather station over HTTP, an alarm panel over TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use wire::alarm::Record;

/// What a thermostat holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Climate {
    pub indoor: f64,
    pub setpoint: f64,
    /// 0 off, 1 heat, 2 cool.
    pub mode: u8,
}

/// A running weather station.
#[derive(Debug)]
pub struct Station {
    pub address: SocketAddr,
    pub climate: Arc<Mutex<Climate>>,
    task: JoinHandle<()>,
}

impl Drop for Station {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a weather station.
///
/// # Errors
/// The address is taken.
pub async fn weather(at: SocketAddr) -> io::Result<Station> {
    let listener = TcpListener::bind(at).await?;
    let climate = Arc::new(Mutex::new(Climate { indoor: 21.5, setpoint: 20.0, mode: 1 }));
    let (address, held) = (listener.local_addr()?, climate.clone());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let held = held.clone();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let len = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(request.get(..len).unwrap_or(&[])).into_owned();
                let answer = answer(&request, &held);
                // A caller that has gone away needs no answer.
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Ok(Station { address, climate, task })
}

fn answer(request: &str, climate: &Mutex<Climate>) -> String {
    let mut climate = climate.lock().unwrap_or_else(PoisonError::into_inner);
    let query =
        request.split(' ').nth(1).and_then(|path| path.split_once('?')).map_or("", |(_, query)| query);
    match query.split_once('=') {
        Some(("setTemp", value)) => climate.setpoint = value.parse().unwrap_or(climate.setpoint),
        Some(("heatMode", value)) => climate.mode = value.parse().unwrap_or(climate.mode),
        _ => {}
    }
    let Climate { indoor, setpoint, mode } = *climate;
    let body = format!(
        "<?xml version=\"1.0\"?><response><indoorTemp>{indoor}</indoorTemp><outdoorTemp>N/A</outdoorTemp>\
         <setTemp>{setpoint}</setTemp><heatMode>{mode}</heatMode><heat>1</heat><fan>0</fan><hold>11</hold></response>"
    );
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A running alarm panel.
#[derive(Debug)]
pub struct Panel {
    pub address: SocketAddr,
    records: broadcast::Sender<Record>,
    task: JoinHandle<()>,
}

impl Panel {
    /// Something happens: whoever is connected is told.
    pub fn happen(&self, record: Record) {
        // Nobody may be connected.
        let _ = self.records.send(record);
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts an alarm panel.
///
/// # Errors
/// The address is taken.
pub async fn alarm(at: SocketAddr) -> io::Result<Panel> {
    let listener = TcpListener::bind(at).await?;
    let address = listener.local_addr()?;
    let (records, _) = broadcast::channel::<Record>(64);
    let source = records.clone();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut records = source.subscribe();
            tokio::spawn(async move {
                while let Ok(record) = records.recv().await {
                    if stream.write_all(&record.encode()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(Panel { address, records, task })
}
