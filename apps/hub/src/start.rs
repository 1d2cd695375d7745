//! The start, in the order that is promised: restore, arm, open.

use crate::api;
use crate::config::Config;
use house::function::Right;
use house::{Clock, Function, House, Memory, Method, Reply, Status};
use hub_server::{Doorkeeper, Everyone, Hosts, Limits, Server, Tls, Users};
use hub_store::{OpenError, Options, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// How long the network stays closed for modules that are not ready: one that hangs must not lock people out of the rest.
const ARMING: Duration = Duration::from_secs(5);

/// Why the hub did not start, and what to do about it.
#[derive(Debug)]
pub enum StartError {
    Store(OpenError),
    /// The same id is in the configuration and in the store.
    Twice {
        space: &'static str,
        id: String,
    },
    /// A backup that was to become the store could not.
    Restore(String),
    /// A folder or socket could not be made.
    Io {
        what: String,
        error: std::io::Error,
    },
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Store(error) => write!(f, "{error}"),
            StartError::Twice { space, id } => write!(
                f,
                "{space}.{id} is in the configuration file and was also made in the hub: rename it in the file, or remove it in the hub"
            ),
            StartError::Restore(reason) => write!(f, "the backup could not be put in place: {reason}"),
            StartError::Io { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A hub that runs. [`Running::stop`] ends it in order; a drop ends its tasks and leaves the rest to the end of the program.
pub struct Running {
    pub house: House,
    pub store: Arc<Store>,
    /// Where plain HTTP is served.
    pub http: SocketAddr,
    /// Where HTTPS is served, when it is.
    pub https: Option<SocketAddr>,
    /// The code with which the first administrator is made; none when there is one.
    pub setup_code: Option<String>,
    tasks: JoinSet<()>,
    /// Somebody wants the hub to start anew.
    restart: Arc<Notify>,
    closing: watch::Sender<bool>,
}

impl Running {
    /// Lets connections end, ends every task, then commits what waits and closes the store.
    pub async fn stop(mut self) {
        self.closing.send_replace(true);
        self.tasks.shutdown().await;
        // Every connection holds a receiver. One that does not end is left behind.
        let _ = timeout(hub_server::listen::ENDING * 2, self.closing.closed()).await;
        let store = self.store.clone();
        // The commit may take as long as the disk does.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }

    /// Waits until the hub must be stopped: `true` when it is to start anew (a backup is to become its store), `false` when
    /// something that must not end has ended.
    pub async fn over(&mut self) -> bool {
        tokio::select! {
            () = self.restart.notified() => true,
            _ = self.tasks.join_next() => false,
        }
    }
}

/// The store's file in a state folder.
pub fn store_file(config: &Config) -> PathBuf {
    config.state.join("store.redb")
}

/// The local socket in a state folder.
pub fn socket_file(config: &Config) -> PathBuf {
    config.state.join("hub.sock")
}

/// Starts a hub within the present runtime.
///
/// # Errors
/// The store is in use or newer, the state folder cannot be made, or an address is taken.
pub async fn start(config: &Config, clock: Clock) -> Result<Running, StartError> {
    let io = |what: String| move |error| StartError::Io { what, error };
    // 1. Restore.
    hub_store::private::folder(&config.state)
        .map_err(io(format!("the folder {}", config.state.display())))?;
    match crate::maintain::put_in_place(config) {
        Ok(true) => tracing::info!("the store is the one of a backup now"),
        Ok(false) => {}
        Err(error) => return Err(StartError::Restore(error.to_string())),
    }
    let store = Store::open(&store_file(config), Options::default()).map_err(StartError::Store)?;
    start_on(config, clock, store).await
}

/// Starts a hub on a store that is open already: on any medium.
///
/// # Errors
/// See [`start`].
pub async fn start_on(config: &Config, clock: Clock, store: Store) -> Result<Running, StartError> {
    let io = |what: String| move |error| StartError::Io { what, error };
    let store = Arc::new(store);
    if let Some(trouble) = store.trouble() {
        tracing::error!(trouble, "the store cannot be used: devices are controlled, nothing is remembered");
    }
    let memory: Arc<dyn Memory> = store.clone();
    let default = if config.devices.accept_all { Status::Accepted } else { Status::Inbox };
    let house = House::new(memory, clock, default);
    for (space, all) in config.definitions() {
        for (id, value) in all {
            if store.get(space, id).is_some() {
                return Err(StartError::Twice { space, id: id.clone() });
            }
            house.fix(space, id, value.clone());
        }
    }
    house.bus().resume(store.last_seq());
    let recorder = store.clone();
    house.bus().add_sink(Arc::new(move |events| recorder.record_all(events)));

    // 2. Arm, one after another: the first guards the valves, then come the automations, then who talks to devices. So no
    // report of a device finds a house that does not yet listen.
    let mut tasks = JoinSet::new();
    let restart = Arc::new(Notify::new());
    api::register(&house, &store, config, &restart);
    let latest = Instant::now() + ARMING;
    for module in hub_modules::all(&config.modules, &config.place) {
        let (is_armed, mut arms) = watch::channel(false);
        let name = module.name();
        tasks.spawn(house::module::supervise(house.clone(), module, is_armed));
        if timeout_at(latest, arms.wait_for(|is_armed| *is_armed)).await.is_err() {
            tracing::error!(module = name, "a module is not ready; the house is opened without it");
        }
    }

    // 3. Open.
    let users = Users::new(house.clone());
    users.register();
    let setup_code = users.setup_code();
    let doorkeeper: Arc<dyn Doorkeeper> = if config.server.open_door { Arc::new(Everyone) } else { users };
    let hosts = Hosts::new(config.server.names.clone());
    let (closing, closes) = watch::channel(false);
    let server = Arc::new(Server {
        house: house.clone(),
        doorkeeper,
        hosts,
        limits: Limits::default(),
        closing: closes,
    });
    let at = config.server.http;
    let taken =
        |at: SocketAddr| io(format!("{at} (is another program there? see [server] of the configuration)"));
    let listener = TcpListener::bind(at).await.map_err(taken(at))?;
    let http = listener.local_addr().map_err(io(at.to_string()))?;
    tasks.spawn(server.clone().serve(listener, Arc::new(hub_server::listen::Plain)));
    let mut https = None;
    if let Some(at) = config.server.https {
        match tls(&house, config).await {
            Ok(tls) => {
                let listener = TcpListener::bind(at).await.map_err(taken(at))?;
                https = Some(listener.local_addr().map_err(io(at.to_string()))?);
                tasks.spawn(server.clone().serve(listener, Arc::new(tls)));
            }
            // The house still works; only from elsewhere it cannot be reached, and why is said here and in the status.
            Err(reason) => tracing::error!(reason, "no HTTPS: the hub is reachable from this machine only"),
        }
    }
    let socket = socket_file(config);
    let local = bind_local(&socket).map_err(io(format!("the socket {}", socket.display())))?;
    tasks.spawn(server.serve_local(local));
    Ok(Running { house, store, http, https, setup_code, tasks, restart, closing })
}

/// TLS for this machine's names, and the authority's certificate as a function.
async fn tls(house: &House, config: &Config) -> Result<Tls, String> {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut names = vec!["localhost".to_string(), "127.0.0.1".into(), "::1".into()];
    names.extend(Some(own.trim().to_string()).filter(|name| wire::advert::is_id(name)));
    names.extend(
        config
            .server
            .https
            .iter()
            .map(|at| at.ip())
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string()),
    );
    names.extend(config.server.names.iter().cloned());
    let tls = Tls::new(house, names).await?;
    let pem = tls.authority_pem.clone();
    let about = "The certificate of the house's authority, to install in browsers";
    let function = Function::new(Method::Get, "/ca.crt", about, move |_, _| {
        let mut reply = Reply::bytes("application/x-x509-ca-cert", pem.clone().into_bytes());
        reply.headers.push(("content-disposition", "attachment; filename=\"hob-authority.crt\"".into()));
        Box::pin(async move { Ok(reply) })
    });
    house.functions().add(function.right(Right::Anyone));
    Ok(tls)
}

/// Only the owner may speak over the socket. The store's lock has made sure that no other hub has it.
fn bind_local(path: &std::path::Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The name appears with the right permissions: it is made under another and renamed.
    let made = path.with_extension("new");
    let _ = std::fs::remove_file(&made);
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&made, path)?;
    Ok(listener)
}
