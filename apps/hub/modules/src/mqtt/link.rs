//! The connection to the broker: one task that keeps it, and hands over what comes.

use super::tunnel::{Trouble, Tunnel};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, LastWill, MqttOptions, QoS};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The longest message, either way.
const MESSAGE_BYTES: usize = 64 * 1024;
/// Messages that wait for the module at most; further ones are dropped and counted.
const WAITING: usize = 4_096;
/// Requests that wait for the connection at most.
const REQUESTS: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the broker brings.
#[derive(Debug)]
pub(super) enum News {
    /// Connected anew: the broker knows of no subscription.
    Connected,
    /// The connection is lost (or could not be made), and why.
    Lost(String),
    Message {
        topic: String,
        payload: Vec<u8>,
        is_retained: bool,
    },
}

/// How to reach the broker.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    pub host: String,
    pub port: u16,
    /// Whom to trust, when the connection is to be encrypted.
    pub tls: Option<Arc<ClientConfig>>,
    pub login: Option<(String, String)>,
    pub client_id: String,
    /// Where "offline" is said when the hub is lost.
    pub status_topic: String,
}

/// Keeps a connection as long as `tasks` live.
///
/// # Errors
/// In words: the way to an encrypted broker could not be made.
pub(super) fn connect(
    broker: &Broker,
    tasks: &mut JoinSet<()>,
) -> Result<(AsyncClient, mpsc::Receiver<News>), String> {
    let trouble = Trouble::default();
    let (host, port) = match &broker.tls {
        None => (broker.host.clone(), broker.port),
        Some(tls) => {
            let (tls, trouble) = (tls.clone(), trouble.clone());
            let tunnel = Tunnel { host: broker.host.clone(), port: broker.port, tls, trouble };
            let door =
                tunnel.open(tasks).map_err(|error| format!("no way to an encrypted broker: {error}"))?;
            (door.ip().to_string(), door.port())
        }
    };
    let mut options = MqttOptions::new(&broker.client_id, host, port);
    options.set_keep_alive(Duration::from_secs(30));
    options.set_max_packet_size(MESSAGE_BYTES, MESSAGE_BYTES);
    options.set_last_will(LastWill::new(&broker.status_topic, "offline", QoS::AtLeastOnce, true));
    if let Some((user, password)) = &broker.login {
        options.set_credentials(user, password);
    }
    let (client, events) = AsyncClient::new(options, REQUESTS);
    let (tell, news) = mpsc::channel(WAITING);
    tasks.spawn(keep(events, tell, trouble));
    Ok((client, news))
}

async fn keep(mut events: EventLoop, tell: mpsc::Sender<News>, trouble: Trouble) {
    let mut pause = FIRST_PAUSE;
    let mut dropped = 0_u64;
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                pause = FIRST_PAUSE;
                News::Connected
            }
            Ok(Event::Incoming(Incoming::Publish(message))) => News::Message {
                topic: message.topic,
                payload: message.payload.to_vec(),
                is_retained: message.retain,
            },
            Ok(_) => continue,
            Err(error) => News::Lost(trouble.take().unwrap_or_else(|| error.to_string())),
        };
        let is_lost = matches!(news, News::Lost(_));
        // Messages are dropped rather than waited with: the module may be waiting for this task to take its own. News of
        // the connection are few and are not.
        if matches!(news, News::Message { .. }) {
            match tell.try_send(news) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    dropped += 1;
                    if dropped.is_power_of_two() {
                        tracing::warn!(dropped, "messages of the broker come faster than they can be taken");
                    }
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        } else if tell.send(news).await.is_err() {
            return;
        }
        if is_lost {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
