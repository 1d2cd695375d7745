//! The other way round: a node behind a NAT connects out to its hub and answers there.
//!
//! The connection is [`wire::dial`]'s: encrypted, and proved at both ends by the node's token. Over it the hub asks and the node
//! answers and tells, one text a message, exactly as over a connection that the hub opened.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use wire::Refused;
use wire::dial::{Call, Heard};
use wire::jsonrpc::REQUEST_BYTES;
use wire::session::Fill;

/// The node's end of a connection to its hub.
#[derive(Debug)]
pub struct Dialled {
    call: Call,
    requests: VecDeque<String>,
    is_over: bool,
}

impl Dialled {
    /// A connection that has just been made; a board brings its own randomness.
    ///
    /// # Errors
    /// See [`Call::dial`].
    pub fn new(id: &str, token: &str, fill: Option<Fill>) -> Result<Dialled, Refused> {
        Ok(Dialled { call: Call::dial(id, token, fill)?, requests: VecDeque::new(), is_over: false })
    }

    /// Takes bytes of the hub. Who does not know the token is no hub, and the connection is over.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.call.push(bytes) {
            _ if self.is_over => {}
            Ok(heard) => {
                for heard in heard {
                    match heard {
                        Heard::Text(text) if text.len() <= REQUEST_BYTES => self.requests.push_back(text),
                        Heard::Text(_) => self.is_over = true,
                        Heard::Open | Heard::Caller(_) => {}
                    }
                }
            }
            Err(_) => self.is_over = true,
        }
    }

    /// The next request of the hub.
    pub fn next_request(&mut self) -> Option<String> {
        self.requests.pop_front()
    }

    /// Says something: the answer to a request, or news. Before the hub has proved itself nothing is said.
    pub fn say(&mut self, text: &str) {
        // An answer that no frame can carry would be a mistake of the node's own; the hub comes again without it.
        if !self.is_over && self.call.say(text).is_err() {
            self.is_over = true;
        }
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.call.take_output()
    }

    /// Whether the connection is to be closed once the output is sent.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}
