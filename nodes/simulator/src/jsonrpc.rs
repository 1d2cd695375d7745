//! The JSON-RPC node on real sockets: it listens over HTTP and WebSocket, and dials out to a hub if it is told where.

use jsonrpc_node::dial::Dialled;
use jsonrpc_node::serve::Connection;
use jsonrpc_node::{Action, Climate, Hardware, Input, Node};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;

/// How often the inputs are looked at, as the board does.
const POLL: Duration = Duration::from_millis(200);
/// The pause before a hub that cannot be reached is dialled again.
const AGAIN: Duration = Duration::from_millis(500);
/// Connections at one time: five listeners as the board has, and as many short calls.
const CONNECTIONS: usize = 10;

/// Who one node is.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub id: String,
    /// What callers must show, and what the node shows to its hub.
    pub token: Option<String>,
    /// The hub to dial, `host:port`; without one the node only listens.
    pub hub: Option<String>,
    /// What a person set on its page before it was ever reached: pins as in `configpins`.
    pub pins: String,
}

/// What is kept between the node's restarts and seen from outside.
struct Board {
    node: Node,
    stored: Vec<u8>,
    booted: Instant,
    inputs: u64,
    on: u64,
}

/// A running node; dropping it pulls the plug.
#[derive(Debug)]
pub struct JsonRpcNode {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    board: Mutex<Board>,
    said: broadcast::Sender<String>,
    settings: Settings,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JSON-RPC node {}", self.settings.id)
    }
}

fn hardware() -> Hardware {
    Hardware { cores: 2, revision: (0, 2), flash_mb: 4, free_heap: 200_000, mac: [2, 0, 0, 0, 0, 1] }
}

impl Shared {
    /// Steps the core; whoever listens is told what it says.
    fn step(&self, input: Input) -> Option<String> {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = board.booted.elapsed().as_millis() as u64;
        let output = board.node.step(now_ms, input);
        board.on = output.on;
        match output.action {
            Some(Action::Store) => board.stored = board.node.stored(),
            Some(Action::Restart { forget }) => {
                if forget {
                    board.stored.clear();
                }
                board.node = Node::new(hardware(), &board.stored);
                (board.booted, board.on) = (Instant::now(), 0);
            }
            // There is no other firmware to start here.
            Some(Action::Upgrade { .. }) | None => {}
        }
        for text in output.said {
            // Nobody may be listening.
            let _ = self.said.send(text);
        }
        output.answer
    }

    async fn tick(self: Arc<Self>) {
        loop {
            let (due, inputs) = {
                let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
                (board.node.deadline_ms().map(|ms| board.booted + Duration::from_millis(ms)), board.inputs)
            };
            self.step(Input::Pins(inputs));
            let next = Instant::now() + POLL;
            tokio::time::sleep_until(
                due.filter(|due| *due > Instant::now()).map_or(next, |due| due.min(next)).into(),
            )
            .await;
        }
    }

    async fn listen(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    // One too many is closed at once.
                    let Ok(place) = places.clone().try_acquire_owned() else { continue };
                    let shared = self.clone();
                    connections.spawn(async move {
                        let _place = place;
                        // A connection that breaks is over, and nobody needs to know.
                        let _ = shared.serve(stream).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut connection = Connection::new(self.settings.token.clone());
        let mut said = self.said.subscribe();
        let mut segment = [0; 1024];
        while !connection.is_over() {
            tokio::select! {
                read = stream.read(&mut segment) => {
                    let len = read?;
                    if len == 0 {
                        return Ok(());
                    }
                    connection.push(segment.get(..len).unwrap_or(&[]));
                    while let Some(request) = connection.next_request() {
                        if let Some(answer) = self.step(Input::Request(&request)) {
                            connection.answer(&answer);
                        }
                    }
                }
                Ok(text) = said.recv() => connection.tell(&text),
            }
            stream.write_all(&connection.take_output()).await?;
        }
        stream.shutdown().await
    }

    async fn dial(self: Arc<Self>, hub: String) {
        loop {
            // Whatever ended it, the hub is dialled again.
            let _ = self.dialled(&hub).await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn dialled(&self, hub: &str) -> io::Result<()> {
        let mut stream = TcpStream::connect(hub).await?;
        stream.set_nodelay(true)?;
        let token = self.settings.token.as_deref().unwrap_or_default();
        let mut dialled = Dialled::new(&self.settings.id, token, None).map_err(io::Error::other)?;
        let mut said = self.said.subscribe();
        let mut segment = [0; 1024];
        loop {
            stream.write_all(&dialled.take_output()).await?;
            if dialled.is_over() {
                return stream.shutdown().await;
            }
            tokio::select! {
                read = stream.read(&mut segment) => {
                    let len = read?;
                    if len == 0 {
                        return Ok(());
                    }
                    dialled.push(segment.get(..len).unwrap_or(&[]));
                    while let Some(request) = dialled.next_request() {
                        if let Some(answer) = self.step(Input::Request(&request)) {
                            dialled.say(&answer);
                        }
                    }
                }
                Ok(text) = said.recv() => dialled.say(&text),
            }
        }
    }
}

impl JsonRpcNode {
    /// Starts a node that listens at `at`.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn start(at: SocketAddr, settings: Settings) -> io::Result<JsonRpcNode> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let mut node = Node::new(hardware(), &[]);
        node.step(0, Input::Climate(Some(Climate { temperature: 20.5, pressure: 1013.0, humidity: 45.0 })));
        let pins = &settings.pins;
        let request =
            format!(r#"{{"jsonrpc":"2.0","id":"1","method":"configpins","params":{{"pins":{pins}}}}}"#);
        if !pins.is_empty() {
            node.step(0, Input::Request(&request));
        }
        let stored = node.stored();
        let board = Board { node, stored, booted: Instant::now(), inputs: 0, on: 0 };
        let shared = Arc::new(Shared { board: Mutex::new(board), said: broadcast::channel(64).0, settings });
        let mut tasks = JoinSet::new();
        tasks.spawn(shared.clone().tick());
        tasks.spawn(shared.clone().listen(listener));
        if let Some(hub) = shared.settings.hub.clone() {
            tasks.spawn(shared.clone().dial(hub));
        }
        Ok(JsonRpcNode { address, shared, _tasks: tasks })
    }

    /// Closes and opens contacts: bit n is pin n.
    pub fn set_inputs(&self, inputs: u64) {
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner).inputs = inputs;
    }

    /// The outputs that are on, bit n is pin n.
    pub fn outputs(&self) -> u64 {
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner).on
    }
}
