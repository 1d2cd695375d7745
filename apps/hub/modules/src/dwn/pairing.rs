//! Pairing: the hub's own key pair, the keys of the nodes it has been introduced to, and the introduction.

use house::{Change, House, Problem};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::advert::{key_from_hex, key_to_hex};
use wire::pairing::Code;
use wire::session::{Incoming, Keys, Link};

/// The space of documents that holds a paired node's key; a revoked node stays in it without a key, so that it is never
/// taken for v1 again.
const SPACE: &str = "pairings";

/// The hub's key pair; made once and kept in the store.
///
/// # Errors
/// There is no randomness.
pub async fn own_keys(house: &House) -> Result<Arc<Keys>, String> {
    let read = |value: &serde_json::Value, name: &str| key_from_hex(value[name].as_str()?);
    if let Some(stored) = house.memory().get("dwn", "keys")
        && let (Some(private), Some(public)) = (read(&stored, "private"), read(&stored, "public"))
    {
        return Ok(Arc::new(Keys { private, public }));
    }
    let keys = Keys::generate().map_err(|e| e.to_string())?;
    let value = json!({"private": key_to_hex(&keys.private), "public": key_to_hex(&keys.public)});
    if let Err(error) = house.memory().write(vec![Change::put("dwn", "keys", value)]).await {
        tracing::warn!(%error, "the hub's key lasts only until it ends");
    }
    Ok(Arc::new(keys))
}

/// The key of a paired node. One that was revoked has the key of all zeros, which nobody can prove to hold.
pub fn peer(house: &House, id: &str) -> Option<[u8; 32]> {
    let stored = house.memory().get(SPACE, id)?;
    Some(stored["key"].as_str().and_then(key_from_hex).unwrap_or([0; 32]))
}

/// Introduces hub and node by the code that the node shows.
///
/// # Errors
/// The code is wrong, the node is not there or is not in pairing mode, or the result could not be stored.
pub async fn pair(
    house: &House,
    keys: &Keys,
    id: &str,
    address: SocketAddr,
    code: &str,
) -> Result<(), Problem> {
    let code = Code::parse(code).ok_or_else(|| Problem::bad("a code has 16 letters and digits"))?;
    let introduction = introduce(keys, id, address, &code);
    let key = tokio::time::timeout(Duration::from_secs(10), introduction)
        .await
        .map_err(|_| Problem::unavailable("the node does not answer"))??;
    let value = json!({"key": key_to_hex(&key), "paired": house.clock().now_ms()});
    house.memory().write(vec![Change::put(SPACE, id, value)]).await?;
    Ok(())
}

async fn introduce(keys: &Keys, id: &str, address: SocketAddr, code: &Code) -> Result<[u8; 32], Problem> {
    let failed = |what: &dyn std::fmt::Display| {
        Problem::new(409, "pairing failed").detail(format!(
            "{what}: is the code right, and does the node show it now? Three wrong ones end that"
        ))
    };
    let mut stream = TcpStream::connect(address).await.map_err(|e| Problem::unavailable(e.to_string()))?;
    let mut link = Link::pair(id, keys, code).map_err(|e| failed(&e))?;
    let mut segment = [0; 1024];
    loop {
        stream.write_all(&link.take_output()).await.map_err(|e| failed(&e))?;
        let len = stream.read(&mut segment).await.map_err(|e| failed(&e))?;
        if len == 0 {
            return Err(failed(&"the node closed the connection"));
        }
        for incoming in link.push(segment.get(..len).unwrap_or(&[])).map_err(|e| failed(&e))? {
            if let Incoming::Paired { peer } = incoming {
                return Ok(peer);
            }
        }
    }
}

/// Takes a node's key away. It is not accepted as v1 either; only pairing anew brings it back.
///
/// # Errors
/// It was never paired, or the change could not be stored.
pub async fn revoke(house: &House, id: &str) -> Result<(), Problem> {
    if house.memory().get(SPACE, id).is_none() {
        return Err(Problem::missing("pairing", id));
    }
    house.memory().write(vec![Change::put(SPACE, id, json!({"revoked": house.clock().now_ms()}))]).await?;
    Ok(())
}
