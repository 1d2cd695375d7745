//! A node behind a NAT dials its hub: one connection, encrypted, and proved at both ends by the node's token. Without I/O.
//!
//! ```text
//! node -> hub   "DWN2" 'J' length id
//! node -> hub   frame: e
//! hub  -> node  frame: e, ee, psk       the hub knows the token
//! node -> hub   frame: nothing          the node knows it, and this is no recording
//! both          frames: one text each
//! ```
//! The handshake is `Noise_NNpsk2_25519_ChaChaPoly_BLAKE2s`, its prologue the first line, its shared secret the hash of the token.
//! A frame is a length (u16, big-endian) and a Noise message. What was said stays secret even if the token becomes known
//! later. Who plays the other end can try one token for each connection, and what it gets can be searched for a token
//! that is weak: so it has [`SHORTEST_TOKEN`] characters at least, and should be random.

use crate::Refused;
use crate::jsonrpc::ANSWER_BYTES;
use crate::session::{Fill, Keys, builder, noise};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use snow::params::HashChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::{HandshakeState, TransportState};

/// A shorter token is refused.
pub const SHORTEST_TOKEN: usize = 16;
const PATTERN: &str = "Noise_NNpsk2_25519_ChaChaPoly_BLAKE2s";
const START: &[u8; 5] = b"DWN2J";
const LONGEST_ID: usize = 64;
const TAG: usize = 16;
/// The longest body of a frame.
const MAX_FRAME: usize = ANSWER_BYTES + TAG;

/// What comes out of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// At the hub: who says to call. The hub goes on by [`Call::answer`].
    Caller(String),
    /// The peer has proved that it knows the token, now and not in a recording.
    Open,
    /// A text of the open call.
    Text(String),
}

enum State {
    /// The hub waits for the first line.
    Ringing,
    /// The hub has been told who calls; its owner is to answer.
    Announced,
    Handshake(Box<HandshakeState>),
    /// The hub has answered; only a node that knows the token can go on.
    Answered(Box<TransportState>),
    Open(Box<TransportState>),
    Closed,
}

/// One end of a connection.
pub struct Call {
    state: State,
    held: Vec<u8>,
    output: Vec<u8>,
}

fn first_line(id: &str) -> Result<Vec<u8>, Refused> {
    let len = u8::try_from(id.len()).ok().filter(|len| (1..=LONGEST_ID).contains(&usize::from(*len)));
    let len = len.ok_or(Refused::TooLong { limit: LONGEST_ID })?;
    Ok([&START[..], &[len], id.as_bytes()].concat())
}

fn secret(token: &str) -> Result<[u8; 32], Refused> {
    if token.len() < SHORTEST_TOKEN {
        return Err(Refused::Malformed("a token that is too short"));
    }
    let hash = DefaultResolver.resolve_hash(&HashChoice::Blake2s);
    let mut hash = hash.ok_or(Refused::Malformed("hash"))?;
    hash.reset();
    hash.input(b"DWN2 dial token");
    hash.input(token.as_bytes());
    let mut secret = [0; 32];
    hash.result(&mut secret);
    Ok(secret)
}

fn handshake(
    id: &str,
    secret: &[u8; 32],
    is_node: bool,
    fill: Option<Fill>,
) -> Result<Box<HandshakeState>, Refused> {
    let line = first_line(id)?;
    let builder = builder(PATTERN, fill)?.prologue(&line).and_then(|b| b.psk(2, secret)).map_err(noise)?;
    let made = if is_node { builder.build_initiator() } else { builder.build_responder() };
    made.map(Box::new).map_err(noise)
}

impl Call {
    /// The node's end; a board brings its own randomness.
    ///
    /// # Errors
    /// The id is none, or the token is too short.
    pub fn dial(id: &str, token: &str, fill: Option<Fill>) -> Result<Call, Refused> {
        let noise = handshake(id, &secret(token)?, true, fill)?;
        let mut call = Call { state: State::Handshake(noise), held: Vec::new(), output: first_line(id)? };
        call.speak()?;
        Ok(call)
    }

    /// The hub's end of a connection that somebody has made.
    pub fn taken() -> Call {
        Call { state: State::Ringing, held: Vec::new(), output: Vec::new() }
    }

    /// At the hub, after [`Heard::Caller`]: the token of that node. Without one, because there is no such node, the call goes on
    /// just as with a wrong token: who asks for it learns no more.
    ///
    /// # Errors
    /// The token is too short, or nobody waits for an answer.
    pub fn answer(&mut self, id: &str, token: Option<&str>) -> Result<Vec<Heard>, Refused> {
        if !matches!(self.state, State::Announced) {
            return Err(Refused::Malformed("nobody calls"));
        }
        let secret = match token {
            Some(token) => secret(token)?,
            None => Keys::generate()?.private,
        };
        self.state = State::Handshake(handshake(id, &secret, false, None)?);
        self.push(&[])
    }

    /// Takes what the socket gave; says what it means.
    ///
    /// # Errors
    /// The peer does not know the token, or breaks the protocol. The call is closed and takes nothing more.
    pub fn push(&mut self, segment: &[u8]) -> Result<Vec<Heard>, Refused> {
        self.held.extend_from_slice(segment);
        let mut heard = Vec::new();
        match self.advance(&mut heard) {
            Ok(()) => Ok(heard),
            Err(refused) => {
                self.state = State::Closed;
                self.held = Vec::new();
                Err(refused)
            }
        }
    }

    /// Queues a text. Before the call is open, and after it is closed, nothing is said.
    ///
    /// # Errors
    /// It is longer than a frame can carry.
    pub fn say(&mut self, text: &str) -> Result<(), Refused> {
        match &self.state {
            State::Open(_) => self.seal(text.as_bytes()),
            _ => Ok(()),
        }
    }

    /// The bytes that the socket is to carry, once.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    fn frame(&mut self, body: &[u8]) {
        self.output.extend((body.len() as u16).to_be_bytes());
        self.output.extend_from_slice(body);
    }

    fn seal(&mut self, plain: &[u8]) -> Result<(), Refused> {
        let State::Open(state) = &mut self.state else { return Err(Refused::Malformed("not open")) };
        if plain.len() > ANSWER_BYTES {
            return Err(Refused::TooLong { limit: ANSWER_BYTES });
        }
        let mut body = vec![0; plain.len() + TAG];
        let len = state.write_message(plain, &mut body).map_err(noise)?;
        self.frame(body.get(..len).unwrap_or(&[]));
        Ok(())
    }

    /// Writes the next message of the handshake when it is this end's turn.
    fn speak(&mut self) -> Result<(), Refused> {
        let State::Handshake(state) = &mut self.state else { return Ok(()) };
        if !state.is_handshake_finished() && state.is_my_turn() {
            let mut body = [0; 128];
            let len = state.write_message(&[], &mut body).map_err(noise)?;
            self.frame(body.get(..len).unwrap_or(&[]));
        }
        Ok(())
    }

    fn advance(&mut self, heard: &mut Vec<Heard>) -> Result<(), Refused> {
        if matches!(self.state, State::Ringing) {
            let Some((id, used)) = read_first_line(&self.held)? else { return Ok(()) };
            self.held.drain(..used);
            self.state = State::Announced;
            heard.push(Heard::Caller(id));
        }
        if matches!(self.state, State::Announced) {
            // What follows waits for the answer.
            let is_too_much = self.held.len() > 2 + MAX_FRAME;
            return if is_too_much { Err(Refused::TooLong { limit: MAX_FRAME }) } else { Ok(()) };
        }
        while let Some((head, rest)) = self.held.split_first_chunk() {
            let len = usize::from(u16::from_be_bytes(*head));
            if len > MAX_FRAME {
                return Err(Refused::TooLong { limit: MAX_FRAME });
            }
            let Some(body) = rest.get(..len) else { break };
            let body = body.to_vec();
            self.held.drain(..2 + len);
            self.read_frame(&body, heard)?;
        }
        Ok(())
    }

    fn read_frame(&mut self, body: &[u8], heard: &mut Vec<Heard>) -> Result<(), Refused> {
        let mut plain = vec![0; body.len()];
        match &mut self.state {
            State::Handshake(state) => {
                state.read_message(body, &mut plain).map_err(|_| Refused::WrongCode)?;
                self.speak()?;
                self.settle(heard)
            }
            State::Answered(state) => {
                let len = state.read_message(body, &mut plain).map_err(|_| Refused::WrongCode)?;
                if len != 0 {
                    return Err(Refused::Malformed("proof"));
                }
                heard.push(Heard::Open);
                self.state = match core::mem::replace(&mut self.state, State::Closed) {
                    State::Answered(state) => State::Open(state),
                    other => other,
                };
                Ok(())
            }
            State::Open(state) => {
                let len = state.read_message(body, &mut plain).map_err(noise)?;
                plain.truncate(len);
                let text = String::from_utf8(plain).map_err(|_| Refused::Malformed("text"))?;
                heard.push(Heard::Text(text));
                Ok(())
            }
            State::Ringing | State::Announced | State::Closed => Err(Refused::Malformed("closed")),
        }
    }

    fn settle(&mut self, heard: &mut Vec<Heard>) -> Result<(), Refused> {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Handshake(state) if state.is_handshake_finished() => {
                let is_node = state.is_initiator();
                let state = Box::new(state.into_transport_mode().map_err(noise)?);
                if is_node {
                    self.state = State::Open(state);
                    self.seal(&[])?;
                    heard.push(Heard::Open);
                } else {
                    self.state = State::Answered(state);
                }
            }
            unfinished => self.state = unfinished,
        }
        Ok(())
    }
}

/// The id in the first line, and the line's length.
fn read_first_line(held: &[u8]) -> Result<Option<(String, usize)>, Refused> {
    let seen = held.len().min(START.len());
    if held.get(..seen) != START.get(..seen) {
        return Err(Refused::Malformed("not a node that dials"));
    }
    let Some((len, rest)) = held.get(START.len()..).and_then(<[u8]>::split_first) else { return Ok(None) };
    let len = usize::from(*len);
    if len > LONGEST_ID {
        return Err(Refused::TooLong { limit: LONGEST_ID });
    }
    let Some(id) = rest.get(..len) else { return Ok(None) };
    let id = core::str::from_utf8(id).ok().filter(|id| crate::advert::is_id(id));
    let id = id.ok_or(Refused::Malformed("id"))?;
    Ok(Some((id.into(), START.len() + 1 + len)))
}

impl core::fmt::Debug for Call {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = match self.state {
            State::Ringing => "ringing",
            State::Announced => "announced",
            State::Handshake(_) => "handshake",
            State::Answered(_) => "answered",
            State::Open(_) => "open",
            State::Closed => "closed",
        };
        write!(f, "Call({state})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a token of some length";

    /// Carries bytes both ways, `step` at a time; gives what the node and the hub have heard.
    fn talk(
        node: &mut Call,
        hub: &mut Call,
        token: Option<&str>,
        step: usize,
    ) -> Result<(Vec<Heard>, Vec<Heard>), Refused> {
        let (mut at_node, mut at_hub) = (Vec::new(), Vec::new());
        loop {
            let (to_hub, to_node) = (node.take_output(), hub.take_output());
            if to_hub.is_empty() && to_node.is_empty() {
                return Ok((at_node, at_hub));
            }
            for part in to_hub.chunks(step) {
                for heard in hub.push(part)? {
                    if let Heard::Caller(id) = &heard {
                        assert_eq!(id, "boat");
                        at_hub.extend(hub.answer(id, token)?);
                    }
                    at_hub.push(heard);
                }
            }
            for part in to_node.chunks(step) {
                at_node.extend(node.push(part)?);
            }
        }
    }

    #[test]
    fn who_knows_the_token_at_both_ends_can_talk_however_cut() {
        for step in [1, 3, 10_000] {
            let (mut node, mut hub) = (Call::dial("boat", TOKEN, None).unwrap(), Call::taken());
            assert_eq!(node.say("too early"), Ok(()));
            let (at_node, at_hub) = talk(&mut node, &mut hub, Some(TOKEN), step).unwrap();
            assert_eq!(
                (at_node, at_hub),
                (vec![Heard::Open], vec![Heard::Caller("boat".into()), Heard::Open])
            );
            let long = "x".repeat(ANSWER_BYTES);
            hub.say("question").unwrap();
            node.say(&long).unwrap();
            node.say("news").unwrap();
            let (at_node, at_hub) = talk(&mut node, &mut hub, None, step).unwrap();
            assert_eq!(at_node, [Heard::Text("question".into())]);
            assert_eq!(at_hub, [Heard::Text(long), Heard::Text("news".into())]);
            assert!(node.say(&"x".repeat(ANSWER_BYTES + 1)).is_err());
        }
    }

    #[test]
    fn what_is_said_cannot_be_read_on_the_way() {
        let (mut node, mut hub) = (Call::dial("boat", TOKEN, None).unwrap(), Call::taken());
        talk(&mut node, &mut hub, Some(TOKEN), 100).unwrap();
        hub.say("setpin five").unwrap();
        let bytes = hub.take_output();
        assert!(!bytes.windows(6).any(|part| part == b"setpin"));
        let mut changed = bytes.clone();
        changed[4] ^= 1;
        assert!(node.push(&changed).is_err());
        assert!(node.push(&bytes).is_err(), "a call that was broken into is over");
    }

    #[test]
    fn a_wrong_token_opens_nothing_at_either_end_and_no_token_is_like_a_wrong_one() {
        for token in [Some("another token of length"), None] {
            let (mut node, mut hub) = (Call::dial("boat", TOKEN, None).unwrap(), Call::taken());
            // The hub answers; it is the node that finds out.
            assert_eq!(talk(&mut node, &mut hub, token, 100), Err(Refused::WrongCode));
        }
        assert!(Call::dial("boat", "short", None).is_err());
        let mut hub = Call::taken();
        let said = Call::dial("boat", TOKEN, None).unwrap().take_output();
        assert_eq!(hub.push(&said).unwrap(), [Heard::Caller("boat".into())]);
        assert!(hub.answer("boat", Some("short")).is_err());
    }

    #[test]
    fn a_call_that_was_recorded_opens_nothing() {
        let (mut node, mut hub) = (Call::dial("boat", TOKEN, None).unwrap(), Call::taken());
        let first = node.take_output();
        hub.push(&first).unwrap();
        hub.answer("boat", Some(TOKEN)).unwrap();
        node.push(&hub.take_output()).unwrap();
        let proof = node.take_output();
        assert_eq!(hub.push(&proof), Ok(vec![Heard::Open]));
        let mut again = Call::taken();
        again.push(&first).unwrap();
        assert_eq!(again.answer("boat", Some(TOKEN)), Ok(Vec::new()));
        assert_eq!(again.push(&proof), Err(Refused::WrongCode));
    }

    #[test]
    fn nobody_makes_the_hub_keep_much() {
        let mut hub = Call::taken();
        let mut line = first_line("boat").unwrap();
        line.extend(vec![0; 3 + MAX_FRAME]);
        assert!(hub.push(&line).is_err(), "more than a frame before the answer");
        let mut hub = Call::taken();
        hub.push(&first_line("boat").unwrap()).unwrap();
        hub.answer("boat", Some(TOKEN)).unwrap();
        assert!(hub.push(&[0xff, 0xff]).is_err(), "a frame that is too long");
        assert!(Call::taken().push(b"GET /node/boat HTTP/1.1\r\n").is_err());
        assert!(Call::taken().push(b"DWN2J\x041/2/").is_err());
    }

    proptest::proptest! {
        // Each case makes several keys.
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
        #[test]
        fn any_bytes_are_refused_or_waited_for(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Call::taken().push(&bytes);
            let mut hub = Call::taken();
            let _ = hub.push(&[&first_line("boat").unwrap()[..], &bytes].concat());
            let heard = hub.answer("boat", Some(TOKEN)).unwrap_or_default();
            assert!(heard.is_empty());
            let _ = Call::dial("boat", TOKEN, None).unwrap().push(&bytes);
        }
    }
}
