//! The encrypted way to a broker: a door on the loopback address, and TLS from behind it to the broker.
//!
//! The MQTT library would bring a cryptography of its own, in C. So it is given a plain connection to this door. Another program
//! of this machine that finds the door gains nothing: it stands before the broker without user and password.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long connect and handshake may take, each.
const TIME: Duration = Duration::from_secs(10);

/// Why the last connection failed, until somebody asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
    fn set(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }
}

/// Where the broker is and whom to trust.
#[derive(Clone)]
pub(super) struct Tunnel {
    pub host: String,
    pub port: u16,
    pub tls: Arc<ClientConfig>,
    pub trouble: Trouble,
}

impl Tunnel {
    /// Opens the door; it is open as long as `tasks` live.
    pub fn open(self, tasks: &mut JoinSet<()>) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (door, listener) = (listener.local_addr()?, TcpListener::from_std(listener)?);
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            // When the door breaks the task ends, and the module is started anew.
            while let Ok((stream, _)) = listener.accept().await {
                // The library has one connection: with a new one, the one before is of no more use.
                carried.abort_all();
                let tunnel = self.clone();
                carried.spawn(async move {
                    tunnel.carry(stream).await;
                });
                while carried.try_join_next().is_some() {}
            }
        });
        Ok(door)
    }

    /// Carries bytes both ways until one end closes. The inner end is closed after the reason is known.
    async fn carry(&self, mut inner: TcpStream) {
        if let Err(reason) = self.connect(&mut inner).await {
            self.trouble.set(reason);
        }
    }

    async fn connect(&self, inner: &mut TcpStream) -> Result<(), String> {
        let name =
            ServerName::try_from(self.host.clone()).map_err(|_| format!("{:?} is no host", self.host))?;
        let late = |_| "the broker does not answer".to_string();
        let connect =
            timeout(TIME, TcpStream::connect((self.host.as_str(), self.port))).await.map_err(late)?;
        let outer = connect.map_err(|error| format!("no connection: {error}"))?;
        // Messages are small and must not wait for more.
        outer.set_nodelay(true).and_then(|()| inner.set_nodelay(true)).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(self.tls.clone());
        let outer = timeout(TIME, connector.connect(name, outer)).await.map_err(late)?;
        let mut outer = outer.map_err(|error| format!("no TLS: {error}"))?;
        copy_bidirectional(inner, &mut outer).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}
