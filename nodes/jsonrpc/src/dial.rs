//! The other way round: a node behind a NAT connects out to its hub and answers there.
//!
//! The node opens a WebSocket at `/node/<id>` of the hub, shows its token, and from then on the hub asks and the node answers
//! and tells, exactly as over a connection that the hub opened.

use crate::http::Head;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use wire::jsonrpc::{REQUEST_BYTES, SUBPROTOCOL};
use wire::websocket::{Frame, Frames, Outgoing, Role, accept, base64, encode};

/// The node's end of a connection to its hub.
#[derive(Debug)]
pub struct Dialled {
    expected: String,
    held: Vec<u8>,
    frames: Option<Frames>,
    requests: VecDeque<String>,
    output: Vec<u8>,
    is_over: bool,
}

impl Dialled {
    /// A connection that has just been made to `host`. `random` must never have been used before.
    pub fn new(host: &str, id: &str, token: &str, random: [u8; 16]) -> Dialled {
        let key = base64(&random);
        let head = format!(
            "GET /node/{id} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer {token}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        Dialled {
            expected: accept(&key),
            held: Vec::new(),
            frames: None,
            requests: VecDeque::new(),
            output: head.into_bytes(),
            is_over: false,
        }
    }

    /// Takes bytes; `mask` gives four random bytes for each frame that must be answered at once.
    pub fn push(&mut self, bytes: &[u8], mut mask: impl FnMut() -> [u8; 4]) {
        if self.is_over {
            return;
        }
        let later;
        let bytes = match self.frames {
            Some(_) => bytes,
            None => {
                self.held.extend_from_slice(bytes);
                match Head::read(&self.held) {
                    Ok(None) => return,
                    Ok(Some(head)) if self.is_welcome(&head) => {
                        self.frames = Some(Frames::new(Role::Client, REQUEST_BYTES));
                        later = self.held.split_off(head.len);
                        self.held = Vec::new();
                        &later
                    }
                    _ => {
                        self.is_over = true;
                        return;
                    }
                }
            }
        };
        let Some(frames) = &mut self.frames else { return };
        let (output, requests, is_over) = (&mut self.output, &mut self.requests, &mut self.is_over);
        let pushed = frames.push(bytes, |frame| match frame {
            _ if *is_over => {}
            Frame::Text(text) => requests.push_back(text),
            Frame::Ping(content) => output.extend(encode(Outgoing::Pong(&content), Some(mask()))),
            Frame::Close(status) => {
                output.extend(encode(Outgoing::Close(status.unwrap_or(1000)), Some(mask())));
                *is_over = true;
            }
            Frame::Binary(_) | Frame::Pong => {}
        });
        if let Err(broken) = pushed {
            self.output.extend(encode(Outgoing::Close(broken.status()), Some(mask())));
            self.is_over = true;
        }
    }

    fn is_welcome(&self, head: &Head) -> bool {
        head.first[1] == "101"
            && head.lists("upgrade", "websocket")
            && head.header("sec-websocket-accept") == Some(&self.expected)
    }

    /// The next request of the hub.
    pub fn next_request(&mut self) -> Option<String> {
        self.requests.pop_front()
    }

    /// Says something: the answer to a request, or news. Before the hub has welcomed the node nothing is said.
    pub fn say(&mut self, text: &str, mask: [u8; 4]) {
        if self.frames.is_some() && !self.is_over {
            self.output.extend(encode(Outgoing::Text(text), Some(mask)));
        }
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether the connection is to be closed once the output is sent; refused, or ended by the hub.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome() -> Vec<u8> {
        let accept = accept(&base64(&[7; 16]));
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
    }

    #[test]
    fn the_hub_asks_and_the_node_answers_however_cut() {
        let mut wire = welcome();
        wire.extend(encode(Outgoing::Text("ask"), None));
        for cut in 0..=wire.len() {
            let mut node = Dialled::new("hub", "n1", "secret", [7; 16]);
            let head = String::from_utf8(node.take_output()).unwrap();
            assert!(head.starts_with("GET /node/n1 ") && head.contains("Bearer secret"));
            node.push(&wire[..cut], || [1; 4]);
            node.push(&wire[cut..], || [1; 4]);
            assert_eq!(node.next_request().as_deref(), Some("ask"), "cut at {cut}");
            node.say("answer", [1; 4]);
            assert!(!node.take_output().is_empty() && !node.is_over());
        }
    }

    #[test]
    fn a_refusal_or_a_false_accept_ends_it() {
        let forged = String::from_utf8(welcome()).unwrap().replace("Accept: ", "Accept: x");
        for answer in ["HTTP/1.1 401 Unauthorized\r\n\r\n", "nonsense\r\n\r\n", &forged] {
            let mut node = Dialled::new("hub", "n1", "secret", [7; 16]);
            node.take_output();
            node.push(answer.as_bytes(), || [1; 4]);
            node.say("news", [1; 4]);
            assert!(node.is_over() && node.take_output().is_empty(), "{answer}");
        }
    }
}
