//! Listening: connections with limits and time-outs, each served until it ends.

use crate::door::Doorkeeper;
use crate::hosts::Hosts;
use crate::http;
use house::House;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

/// What one client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// How long a request's head may take, and an idle connection may stay.
    pub head: Duration,
    /// How long a request's body may take.
    pub body: Duration,
    /// The longest body.
    pub body_bytes: usize,
    /// How long a live client may take no bytes.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            head: Duration::from_secs(20),
            body: Duration::from_secs(30),
            body_bytes: 1 << 20,
            write: Duration::from_secs(10),
        }
    }
}

/// Head of a request: start line and all headers.
const HEAD_BYTES: usize = 16 * 1024;

/// Everything that serving a request needs.
pub struct Server {
    pub house: House,
    pub doorkeeper: Arc<dyn Doorkeeper>,
    pub hosts: Hosts,
    pub limits: Limits,
    /// Becomes true when the hub stops: connections say what they have to say and end.
    pub closing: watch::Receiver<bool>,
}

/// How long a connection may take to end when the hub stops.
pub const ENDING: Duration = Duration::from_secs(2);

/// Where a connection came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// None over the local socket, whose owner may do everything.
    pub address: Option<IpAddr>,
    pub is_secure: bool,
}

/// What turns a TCP connection into the stream that HTTP is spoken on: TLS, or nothing.
pub trait Wrap: Send + Sync + 'static {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// Whether what comes out is encrypted.
    const IS_SECURE: bool;
    /// Does what is to be done first; `None` when it fails.
    fn wrap(&self, stream: tokio::net::TcpStream) -> impl Future<Output = Option<Self::Stream>> + Send;
}

/// Plain HTTP.
pub struct Plain;

impl Wrap for Plain {
    type Stream = tokio::net::TcpStream;
    const IS_SECURE: bool = false;
    async fn wrap(&self, stream: tokio::net::TcpStream) -> Option<Self::Stream> {
        Some(stream)
    }
}

impl Server {
    /// Accepts connections for ever.
    pub async fn serve<W: Wrap>(self: Arc<Self>, listener: TcpListener, wrap: Arc<W>) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            // Beyond the limit, clients wait in the backlog.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: others will be closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (server, wrap) = (self.clone(), wrap.clone());
            tokio::spawn(async move {
                let _place = place;
                // Small answers must not wait for more bytes; a socket that refuses is as good without.
                let _ = stream.set_nodelay(true);
                let wrapped = tokio::time::timeout(server.limits.head, wrap.wrap(stream)).await;
                if let Ok(Some(stream)) = wrapped {
                    server
                        .connection(stream, Peer { address: Some(from.ip()), is_secure: W::IS_SECURE })
                        .await;
                }
            });
        }
    }

    /// Accepts connections on the local socket for ever.
    pub async fn serve_local(self: Arc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = self.clone();
                    // Not ended with this task: when the hub stops, a connection ends by itself.
                    tokio::spawn(async move {
                        server.connection(stream, Peer { address: None, is_secure: true }).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a local connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Waits until the hub stops.
    pub(crate) async fn closed(&self) {
        // A sender that is gone means the same.
        let _ = self.closing.clone().wait_for(|is_closing| *is_closing).await;
    }

    async fn connection<S>(self: Arc<Self>, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = TowerToHyperService::new(http::router(self.clone(), peer));
        let serve = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut serve = pin!(serve);
        let served = tokio::select! {
            served = serve.as_mut() => served,
            () = self.closed() => {
                // The answer that is on its way is sent; nothing more is read.
                serve.as_mut().graceful_shutdown();
                match tokio::time::timeout(ENDING, serve).await {
                    Ok(served) => served,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}
