//! Where nodes dial in: a WebSocket at `/node/<id>`, opened with the node's token.

use super::line::limits;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use wire::jsonrpc::SUBPROTOCOL;

/// How long opening may take.
const OPENING: Duration = Duration::from_secs(10);
/// Openings at one time.
const OPENINGS: usize = 32;

/// A node that may dial in: its token, and who takes its connection.
#[derive(Clone)]
pub(super) struct Expected {
    pub token: String,
    pub take: mpsc::Sender<WebSocketStream<TcpStream>>,
}

/// Lets nodes in for ever.
pub(super) async fn open(listener: TcpListener, expected: BTreeMap<String, Expected>) {
    let (expected, places) = (Arc::new(expected), Arc::new(Semaphore::new(OPENINGS)));
    let mut openings = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let expected = expected.clone();
                    openings.spawn(async move {
                        let _place = place;
                        match timeout(OPENING, welcome(stream, &expected)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(reason)) => tracing::info!(%from, reason, "somebody who dialled in was turned away"),
                            Err(_) => tracing::info!(%from, "somebody dialled in and said nothing"),
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a node could not be let in");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = openings.join_next() => {}
        }
    }
}

async fn welcome(stream: TcpStream, expected: &BTreeMap<String, Expected>) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut node = None;
    #[expect(clippy::result_large_err, reason = "the library's own form of a refusal")]
    let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let id = request.uri().path().strip_prefix("/node/").unwrap_or("");
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
        // Who asks for a node that does not exist learns no more than who has a wrong token.
        match expected.get(id).filter(|node| is_same(&node.token, shown)) {
            None => {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = StatusCode::UNAUTHORIZED;
                Err(refusal)
            }
            Some(known) => {
                node = Some(known.take.clone());
                response
                    .headers_mut()
                    .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
                Ok(response)
            }
        }
    };
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(limits())).await;
    let socket = socket.map_err(|error| error.to_string())?;
    let take = node.ok_or("no node")?;
    take.send(socket).await.map_err(|_| "the module ends".to_string())
}

/// Compares without telling by its time how much was right.
fn is_same(token: &str, shown: &str) -> bool {
    let differs = token.bytes().zip(shown.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    !token.is_empty() && token.len() == shown.len() && differs == 0
}
