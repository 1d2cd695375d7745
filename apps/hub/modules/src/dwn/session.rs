//! One connection to one node, from the connect to the loss.

use super::driver::{Context, Driver, Order};
use house::house::Commander;
use house::{Command, Problem, Room, Status};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use wire::advert::Advert;
use wire::message::Message;
use wire::session::{Incoming, Keys, Link};

/// How long a connect may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a v2 node may take to carry out a command, and any node to take bytes.
const ANSWER: Duration = Duration::from_secs(5);
/// Commands that wait for a node at most.
const COMMANDS: usize = 64;

type Answer = Result<Map<String, Value>, Problem>;
type Asked = (Command, oneshot::Sender<Answer>);

/// What a connection is made of.
pub(super) struct Session {
    pub room: Room,
    pub device: String,
    pub advert: Advert,
    pub address: SocketAddr,
    pub lost_after: Duration,
    pub hang_up: Arc<Notify>,
}

/// The state of an open connection.
struct Open<'a> {
    session: &'a Session,
    context: Context<'a>,
    driver: Box<dyn Driver>,
    stream: TcpStream,
    link: Option<Link>,
    waiting: HashMap<u32, (oneshot::Sender<Answer>, Map<String, Value>)>,
    number: u32,
    heard: Instant,
    asked: mpsc::Sender<Asked>,
}

impl Session {
    /// Connects and stays until the connection is lost.
    pub async fn run(self, driver: Box<dyn Driver>, trust: Option<(Arc<Keys>, [u8; 32])>) {
        let reason = match self.connected(driver, trust).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        };
        tracing::info!(device = self.device, reason, "connection ended");
        let was_available =
            self.room.house().look(|r| r.device(&self.device).is_some_and(|d| d.unavailable.is_none()));
        self.room.unavailable(&self.device, &reason);
        if was_available {
            self.tell("closed");
        }
    }

    fn tell(&self, what: &str) {
        let Advert { name, id, .. } = &self.advert;
        let data = json!({"type": what, "ip": self.address.ip(), "name": name, "id": id});
        self.room.emit(&self.device, "dwn", data);
    }

    async fn connected(
        &self,
        driver: Box<dyn Driver>,
        trust: Option<(Arc<Keys>, [u8; 32])>,
    ) -> Result<std::convert::Infallible, String> {
        let connect = timeout(CONNECT, TcpStream::connect(self.address)).await;
        let stream = connect.map_err(|_| "it does not accept a connection".to_string())?;
        let stream = stream.map_err(|error| format!("no connection: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let link = match &trust {
            None => None,
            Some((keys, peer)) => {
                let link = Link::connect(&self.advert.id, keys, peer)
                    .map_err(|_| "its key was revoked".to_string())?;
                Some(link)
            }
        };
        let is_v2 = link.is_some();
        let context = Context {
            room: &self.room,
            device: &self.device,
            id: &self.advert.id,
            is_v2,
            name: &self.advert.name,
            address: self.address,
        };
        let (asked, mut questions) = mpsc::channel(COMMANDS);
        let mut open = Open {
            session: self,
            context,
            driver,
            stream,
            link,
            waiting: HashMap::new(),
            number: 0,
            heard: Instant::now(),
            asked,
        };
        match &mut open.link {
            None => open.welcome().await?,
            Some(link) => {
                let bytes = link.take_output();
                open.send(&bytes).await?;
            }
        }
        let mut segment = [0; 2048];
        let mut alive = interval(Duration::from_millis(wire::HEARTBEAT_EVERY_MS));
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                read = open.stream.read(&mut segment) => {
                    let len = read.map_err(|error| format!("connection lost: {error}"))?;
                    if len == 0 {
                        return Err("it closed the connection".into());
                    }
                    open.received(segment.get(..len).unwrap_or(&[])).await?;
                }
                Some((command, answer)) = questions.recv() => open.command(command, answer).await?,
                _ = alive.tick() => open.alive().await?,
                () = self.hang_up.notified() => return Err("its key was revoked or replaced".into()),
                () = sleep_until(open.heard + self.lost_after) => match open.stream.try_read(&mut segment) {
                    // After a pause of this machine the time is over although the node has spoken.
                    Ok(len) if len > 0 => open.received(segment.get(..len).unwrap_or(&[])).await?,
                    _ => return Err("heartbeat lost".into()),
                },
            }
        }
    }
}

impl Open<'_> {
    /// The node is there (v1), or has proved who it is (v2).
    async fn welcome(&mut self) -> Result<(), String> {
        self.driver.offer(&self.context);
        let asked = self.asked.clone();
        let commander: Commander = Arc::new(move |command| {
            let asked = asked.clone();
            Box::pin(async move {
                let (answer, wait) = oneshot::channel();
                asked
                    .try_send((command, answer))
                    .map_err(|_| Problem::unavailable("too many commands wait for this device"))?;
                let lost = || Problem::unavailable("the connection was lost");
                // What is sent in the moment in which the session ends may stay in the channel, and its answer with it.
                tokio::select! {
                    biased;
                    answered = wait => answered.unwrap_or_else(|_| Err(lost())),
                    () = asked.closed() => Err(lost()),
                }
            })
        });
        self.context.room.available(self.context.device, Some(commander));
        self.session.tell("new");
        if let Some(order) = self.driver.connected(&self.context) {
            self.order(order, None).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.context.room.log(self.context.device, true, bytes);
        match timeout(ANSWER, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("connection lost: {error}")),
            Err(_) => Err("it takes no more bytes".into()),
        }
    }

    async fn received(&mut self, segment: &[u8]) -> Result<(), String> {
        self.context.room.log(self.context.device, false, segment);
        let nonsense = |refused: wire::Refused| format!("it sent nonsense: {refused}");
        let Some(link) = &mut self.link else {
            let is_alive = self.driver.receive(&self.context, segment).map_err(nonsense)?;
            if is_alive {
                self.heard = Instant::now();
            }
            return Ok(());
        };
        let incoming = link.push(segment).map_err(nonsense)?;
        for incoming in incoming {
            match incoming {
                Incoming::Open { .. } => {
                    self.message(&Message::Hello { version: wire::session::VERSION, boot: 0 }).await?;
                    self.welcome().await?;
                }
                Incoming::Message(Message::Done { number, accepted }) => {
                    if let Some((answer, fields)) = self.waiting.remove(&number) {
                        let refused = || Problem::new(409, "the device refused the command");
                        let _ = answer.send(if accepted { Ok(fields) } else { Err(refused()) });
                    }
                }
                Incoming::Message(Message::Report { payload }) => {
                    self.driver.report(&self.context, &payload).map_err(nonsense)?;
                }
                Incoming::Message(Message::Hello { version, .. }) if version < wire::session::VERSION => {
                    return Err(format!("it speaks version {version}"));
                }
                Incoming::Message(_) | Incoming::Proved { .. } | Incoming::Paired { .. } => {}
            }
            self.heard = Instant::now();
        }
        Ok(())
    }

    async fn message(&mut self, message: &Message) -> Result<(), String> {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open()) else { return Ok(()) };
        link.send(message).map_err(|refused| refused.to_string())?;
        let bytes = link.take_output();
        self.send(&bytes).await
    }

    /// v1 nodes expect no heartbeat; v2 nodes do. A node that the house no longer wants is let go.
    async fn alive(&mut self) -> Result<(), String> {
        let status = self.context.room.house().look(|r| r.device(self.context.device).map(|d| d.status));
        if status != Some(Status::Accepted) {
            return Err("it is not accepted".into());
        }
        self.waiting.retain(|_, (answer, _)| !answer.is_closed());
        self.message(&Message::Alive).await
    }

    async fn command(&mut self, command: Command, answer: oneshot::Sender<Answer>) -> Result<(), String> {
        match self.driver.command(&self.context, &command) {
            Ok(order) => self.order(order, Some(answer)).await,
            Err(problem) => {
                let _ = answer.send(Err(problem));
                Ok(())
            }
        }
    }

    async fn order(&mut self, order: Order, answer: Option<oneshot::Sender<Answer>>) -> Result<(), String> {
        if self.link.is_none() {
            self.send(&order.bytes).await?;
            if let Some(answer) = answer {
                let _ = answer.send(Ok(order.answer));
            }
            return Ok(());
        }
        self.number = self.number.wrapping_add(1);
        if let Some(answer) = answer {
            if self.waiting.len() >= COMMANDS {
                let _ = answer.send(Err(Problem::unavailable("too many commands wait for this device")));
                return Ok(());
            }
            self.waiting.insert(self.number, (answer, order.answer));
        }
        self.message(&Message::Command { number: self.number, payload: order.bytes }).await
    }
}
