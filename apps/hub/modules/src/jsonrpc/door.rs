//! Where nodes dial in: encrypted connections, proved at both ends by the node's token.

use super::line::Dialled;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use wire::dial::{Call, Heard};

/// How long opening may take.
const OPENING: Duration = Duration::from_secs(10);
/// Openings at one time.
const OPENINGS: usize = 32;

/// A node that may dial in: its token, and who takes its connection.
#[derive(Clone)]
pub(super) struct Expected {
    pub token: String,
    pub take: mpsc::Sender<Dialled>,
}

/// Lets nodes in for ever. One opening too many ends the oldest: who comes and says nothing keeps no node out.
pub(super) async fn open(listener: TcpListener, expected: BTreeMap<String, Expected>) {
    let expected = Arc::new(expected);
    let mut openings = JoinSet::new();
    let mut under_way: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    under_way.retain(|opening| !opening.is_finished());
                    if under_way.len() >= OPENINGS && let Some(oldest) = under_way.pop_front() {
                        oldest.abort();
                    }
                    let expected = expected.clone();
                    under_way.push_back(openings.spawn(async move {
                        match timeout(OPENING, welcome(stream, &expected)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(reason)) => tracing::info!(%from, reason, "somebody who dialled in is no node of the house"),
                            Err(_) => tracing::info!(%from, "somebody dialled in and said nothing"),
                        }
                    }));
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

async fn welcome(mut stream: TcpStream, expected: &BTreeMap<String, Expected>) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (mut call, mut node, mut segment) = (Call::taken(), None, [0; 1024]);
    loop {
        let len = stream.read(&mut segment).await.map_err(|e| e.to_string())?;
        if len == 0 {
            return Err("it closed the connection".into());
        }
        let mut heard = call.push(segment.get(..len).unwrap_or(&[])).map_err(|e| e.to_string())?;
        if let Some(Heard::Caller(id)) = heard.first() {
            node = expected.get(id);
            heard = call.answer(id, node.map(|node| node.token.as_str())).map_err(|e| e.to_string())?;
        }
        stream.write_all(&call.take_output()).await.map_err(|e| e.to_string())?;
        let mut heard = heard.into_iter();
        if heard.next() == Some(Heard::Open) {
            let node = node.ok_or("no such node")?;
            let dialled = Dialled { stream, call, heard: heard.collect() };
            return node.take.send(dialled).await.map_err(|_| "the module ends".to_string());
        }
    }
}
