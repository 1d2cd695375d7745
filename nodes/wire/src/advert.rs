//! The advert: one JSON object per datagram, by which a node says its name and its id.
//!
//! v1 carries `name` and `id`. v2 adds `v`, `port` and `key` (the node's static public key, 64 hex digits); a v1 hub
//! ignores them.

use crate::Refused;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::{Map, Value};

/// The largest datagram that is looked at, as in the original.
pub const MAX_BYTES: usize = 2_000;
/// The longest name or id in bytes.
pub const MAX_TEXT: usize = 64;

/// What a node says about itself every five seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Selects the driver.
    pub name: String,
    /// Unique and constant for one device; addresses are not.
    pub id: String,
    /// Protocol version: 1 or 2.
    pub version: u8,
    /// TCP port of the node; absent means [`crate::PORT`] (or the port that the hub was told to use).
    pub port: Option<u16>,
    /// The node's static public key, v2 only.
    pub key: Option<[u8; 32]>,
}

impl Advert {
    /// A v1 advert.
    pub fn v1(name: &str, id: &str) -> Advert {
        Advert { name: name.to_string(), id: id.to_string(), version: 1, port: None, key: None }
    }

    /// Reads one datagram.
    ///
    /// # Errors
    /// Too long, not a JSON object, or a field that is missing or of the wrong shape. Unknown fields are ignored.
    pub fn decode(datagram: &[u8]) -> Result<Advert, Refused> {
        if datagram.len() > MAX_BYTES {
            return Err(Refused::TooLong { limit: MAX_BYTES });
        }
        let fields: Map<String, Value> =
            serde_json::from_slice(datagram).map_err(|_| Refused::Malformed("not one JSON object"))?;
        let name = text(&fields, "name").ok_or(Refused::Malformed("name"))?;
        if !name.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return Err(Refused::Malformed("name"));
        }
        let id = text(&fields, "id").ok_or(Refused::Malformed("id"))?;
        if !is_id(id) {
            return Err(Refused::Malformed("id"));
        }
        let version = match fields.get("v") {
            None => 1,
            Some(v) => match v.as_u64() {
                Some(v @ 1..=255) => v as u8,
                _ => return Err(Refused::Malformed("v")),
            },
        };
        let port = match fields.get("port") {
            None => None,
            Some(port) => match port.as_u64().and_then(|p| u16::try_from(p).ok()) {
                Some(port) if port != 0 => Some(port),
                _ => return Err(Refused::Malformed("port")),
            },
        };
        let key = match fields.get("key") {
            None => None,
            Some(key) => Some(key.as_str().and_then(key_from_hex).ok_or(Refused::Malformed("key"))?),
        };
        Ok(Advert { name: name.to_string(), id: id.to_string(), version, port, key })
    }

    /// The datagram that says this.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Map::new();
        fields.insert("name".into(), Value::from(self.name.as_str()));
        fields.insert("id".into(), Value::from(self.id.as_str()));
        if self.version != 1 {
            fields.insert("v".into(), Value::from(self.version));
        }
        if let Some(port) = self.port {
            fields.insert("port".into(), Value::from(port));
        }
        if let Some(key) = self.key {
            fields.insert("key".into(), Value::from(key_to_hex(&key)));
        }
        Value::Object(fields).to_string().into_bytes()
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|t| !t.is_empty() && t.len() <= MAX_TEXT)
}

/// Whether a text can be a node's id: it becomes part of URLs, file names and logs.
pub fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TEXT
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'.'))
        && !text.bytes().all(|b| b == b'.')
}

/// A key as 64 lower-case hex digits.
pub fn key_to_hex(key: &[u8; 32]) -> String {
    key.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from_digit(n.into(), 16).unwrap_or('0')).collect()
}

/// The key that 64 hex digits spell.
pub fn key_from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_originals_advert_is_understood() {
        let advert = Advert::decode(br#"{"name":"ESP8266 IRRIGATION CONTROLLER","id":"18:fe:34:00"}"#);
        assert_eq!(advert, Ok(Advert::v1("ESP8266 IRRIGATION CONTROLLER", "18:fe:34:00")));
    }

    #[test]
    fn a_lying_advert_is_refused() {
        for bad in [
            &br#"{"name":"x"}"#[..],
            br#"{"name":"x","id":7}"#,
            br#"{"name":"x","id":"../../etc"}"#,
            br#"{"name":"x","id":".."}"#,
            br#"{"name":"x\u0000","id":"a"}"#,
            br#"{"name":"","id":"a"}"#,
            br#"{"name":"x","id":"a","port":0}"#,
            br#"{"name":"x","id":"a","port":70000}"#,
            br#"{"name":"x","id":"a","v":2,"key":"zz"}"#,
            br#"[1,2]"#,
            b"",
            b"\xff\xff",
        ] {
            assert!(Advert::decode(bad).is_err(), "{:?}", core::str::from_utf8(bad));
        }
        let huge = alloc::vec![b' '; 65_000];
        assert_eq!(Advert::decode(&huge), Err(Refused::TooLong { limit: MAX_BYTES }));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Advert::decode(&bytes);
        }

        #[test]
        fn what_is_encoded_is_read_back(name in "[A-Z ]{1,20}", id in "[a-z0-9:]{1,64}", port in proptest::option::of(1u16..), key in proptest::option::of(any::<[u8; 32]>())) {
            let advert = Advert { name, id, version: 2, port, key };
            prop_assert_eq!(Advert::decode(&advert.encode()), Ok(advert));
        }
    }
}
