//! DWN v2: an authenticated, encrypted, framed and versioned session between hub and node, without I/O.
//!
//! The hub connects. Both ends are a [`Link`]: bytes from the socket go in by [`Link::push`], bytes for the socket come out
//! of [`Link::take_output`].
//!
//! ```text
//! hub  -> node   "DWN2" kind [hub's public key, when kind is 'S']
//! both           frames: length (u16, big-endian), then a Noise message
//! ```
//! * kind `S`, a session: `Noise_KK_25519_ChaChaPoly_BLAKE2s`. Each end already knows the other's static key.
//! * kind `P`, pairing: `Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s`. The shared secret is the [`Code`] that the node shows, 80 random
//!   bits, so that recording or sitting in the middle of a pairing gives nothing that could be searched. It makes the
//!   static keys known to each other and ends; a session follows.
//!
//! The prologue binds kind and the node's id. Inside, [`Message`]s; see `docs/hub/dwn.md`.

use crate::Refused;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, TransportState};

/// The version that [`Message::Hello`] carries.
pub const VERSION: u8 = 2;
/// The longest frame's body.
pub const MAX_FRAME: usize = 2_048;
/// The longest payload of a command or report.
pub const MAX_PAYLOAD: usize = 1_024;
const TAG: usize = 16;
const MAGIC: &[u8; 4] = b"DWN2";
const SESSION: &str = "Noise_KK_25519_ChaChaPoly_BLAKE2s";
const PAIRING: &str = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s";

/// Fills a buffer with randomness that nobody can guess: how a board without a system brings its own.
pub type Fill = fn(&mut [u8]);

/// The usual cryptography with randomness of the board's own.
struct Own(Fill);

impl Random for Own {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), snow::Error> {
        (self.0)(bytes);
        Ok(())
    }
}

impl CryptoResolver for Own {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Own(self.0)))
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// A Noise builder that draws from `fill`, or from the system where there is one.
fn builder<'a>(name: &str, fill: Option<Fill>) -> Result<Builder<'a>, Refused> {
    let pattern: NoiseParams = name.parse().map_err(|_| Refused::Malformed("pattern"))?;
    Ok(match fill {
        Some(fill) => Builder::with_resolver(pattern, Box::new(Own(fill))),
        None => Builder::new(pattern),
    })
}

/// A static key pair of a hub or of a node.
#[derive(Clone)]
pub struct Keys {
    pub private: [u8; 32],
    pub public: [u8; 32],
}

impl Keys {
    /// A fresh pair from the system's randomness.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<Keys, Refused> {
        Keys::generate_from(None)
    }

    /// A fresh pair from the randomness of a board.
    ///
    /// # Errors
    /// See [`Keys::generate`].
    pub fn generate_from(fill: Option<Fill>) -> Result<Keys, Refused> {
        let pair = builder(SESSION, fill)?.generate_keypair().map_err(noise)?;
        let key = |bytes: Vec<u8>| bytes.try_into().map_err(|_| Refused::Malformed("key"));
        Ok(Keys { private: key(pair.private)?, public: key(pair.public)? })
    }
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Keys({})", crate::advert::key_to_hex(&self.public))
    }
}

/// The code that a node shows while it can be paired: 16 characters of Crockford's base 32, 80 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; 16]);

impl Code {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// The code that these random bytes make; five bits of each count.
    pub fn from_random(random: [u8; 16]) -> Code {
        Code(random.map(|byte| Self::ALPHABET[usize::from(byte & 31)]))
    }

    /// Reads what a person typed: any case, with or without dashes and spaces, O for 0, I and L for 1.
    pub fn parse(text: &str) -> Option<Code> {
        let mut code = [0; 16];
        let mut typed = text.bytes().filter(|b| !matches!(b, b'-' | b' '));
        for place in &mut code {
            let letter = match typed.next()?.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            *place = Some(letter).filter(|l| Self::ALPHABET.contains(l))?;
        }
        typed.next().is_none().then_some(Code(code))
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = *b"................DWN2 pairing psk";
        secret[..16].copy_from_slice(&self.0);
        secret
    }
}

/// A code is a secret until it is used: a log must not have it by accident.
impl core::fmt::Debug for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Code(..)")
    }
}

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}

/// What travels in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// First from each end. `boot` differs after each restart of the node.
    Hello { version: u8, boot: u32 },
    /// Hub to node: a driver's command.
    Command { number: u32, payload: Vec<u8> },
    /// Node to hub: the command was carried out, or not.
    Done { number: u32, accepted: bool },
    /// Node to hub: a driver's report.
    Report { payload: Vec<u8> },
    /// Either end, every five seconds.
    Alive,
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Message::Hello { version, boot } => {
                bytes.extend([1, *version]);
                bytes.extend(boot.to_be_bytes());
            }
            Message::Command { number, payload } => {
                bytes.push(2);
                bytes.extend(number.to_be_bytes());
                bytes.extend(payload);
            }
            Message::Done { number, accepted } => {
                bytes.push(3);
                bytes.extend(number.to_be_bytes());
                bytes.push(u8::from(*accepted));
            }
            Message::Report { payload } => {
                bytes.push(4);
                bytes.extend(payload);
            }
            Message::Alive => bytes.push(5),
        }
        bytes
    }

    /// `None` for a kind that a later version may have added: it is passed over.
    fn decode(bytes: &[u8]) -> Result<Option<Message>, Refused> {
        let number = |b: &[u8; 4]| u32::from_be_bytes(*b);
        let Some((kind, rest)) = bytes.split_first() else { return Err(Refused::Malformed("empty message")) };
        Ok(Some(match (kind, rest) {
            (1, [version, boot @ ..]) => {
                let boot = boot.first_chunk().ok_or(Refused::Malformed("hello"))?;
                Message::Hello { version: *version, boot: number(boot) }
            }
            (2, rest) => {
                let (head, payload) = rest.split_first_chunk().ok_or(Refused::Malformed("command"))?;
                Message::Command { number: number(head), payload: payload.to_vec() }
            }
            (3, rest) => match rest.split_first_chunk() {
                Some((head, [accepted])) => Message::Done { number: number(head), accepted: *accepted != 0 },
                _ => return Err(Refused::Malformed("done")),
            },
            (4, payload) => Message::Report { payload: payload.to_vec() },
            (5, _) => Message::Alive,
            (1, _) => return Err(Refused::Malformed("hello")),
            _ => return Ok(None),
        }))
    }
}

/// What comes out of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The handshake is done; the peer has proved to hold this key.
    Open { peer: [u8; 32] },
    /// Pairing is done: remember this key. The link has nothing more to say.
    Paired { peer: [u8; 32] },
    /// A message of the open session.
    Message(Message),
}

/// How a node answers a hub.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// The node's id.
    pub id: String,
    /// The node's key pair.
    pub keys: Keys,
    /// The public keys of the hubs that it obeys.
    pub hubs: Vec<[u8; 32]>,
    /// The code it shows; `None` while it cannot be paired.
    pub code: Option<Code>,
}

enum State {
    Preamble(Acceptor, Option<Fill>),
    Handshake { noise: Box<HandshakeState>, pairing: bool },
    Open(Box<TransportState>),
    Closed,
}

/// One end of a connection.
pub struct Link {
    state: State,
    held: Vec<u8>,
    output: Vec<u8>,
}

fn noise(_: snow::Error) -> Refused {
    Refused::Malformed("handshake or key")
}

fn prologue(kind: u8, id: &str) -> Vec<u8> {
    [&MAGIC[..], &[kind], id.as_bytes()].concat()
}

fn handshake(
    kind: u8,
    id: &str,
    keys: &Keys,
    peer: Option<&[u8; 32]>,
    secret: Option<&[u8; 32]>,
    initiator: bool,
    fill: Option<Fill>,
) -> Result<HandshakeState, Refused> {
    let name = if kind == b'P' { PAIRING } else { SESSION };
    let prologue = prologue(kind, id);
    let mut builder = builder(name, fill)?
        .prologue(&prologue)
        .and_then(|b| b.local_private_key(&keys.private))
        .map_err(noise)?;
    if let Some(peer) = peer {
        builder = builder.remote_public_key(peer).map_err(noise)?;
    }
    if let Some(secret) = secret {
        builder = builder.psk(3, secret).map_err(noise)?;
    }
    if initiator { builder.build_initiator() } else { builder.build_responder() }.map_err(noise)
}

impl Link {
    /// The hub's end of a session with a paired node.
    ///
    /// # Errors
    /// A key that is none.
    pub fn connect(id: &str, keys: &Keys, node: &[u8; 32]) -> Result<Link, Refused> {
        let noise = handshake(b'S', id, keys, Some(node), None, true, None)?;
        let preamble = [&MAGIC[..], b"S", &keys.public].concat();
        Link::start(noise, preamble, false)
    }

    /// The hub's end of a pairing.
    ///
    /// # Errors
    /// A key that is none.
    pub fn pair(id: &str, keys: &Keys, code: &Code) -> Result<Link, Refused> {
        let noise = handshake(b'P', id, keys, None, Some(&code.secret()), true, None)?;
        Link::start(noise, [&MAGIC[..], b"P"].concat(), true)
    }

    fn start(noise: HandshakeState, preamble: Vec<u8>, pairing: bool) -> Result<Link, Refused> {
        let state = State::Handshake { noise: Box::new(noise), pairing };
        let mut link = Link { state, held: Vec::new(), output: preamble };
        link.speak()?;
        Ok(link)
    }

    /// The node's end, where a system gives randomness.
    pub fn accept(acceptor: Acceptor) -> Link {
        Link::accept_from(acceptor, None)
    }

    /// The node's end; a board brings its own randomness.
    pub fn accept_from(acceptor: Acceptor, fill: Option<Fill>) -> Link {
        Link { state: State::Preamble(acceptor, fill), held: Vec::new(), output: Vec::new() }
    }

    /// Takes what the socket gave; says what it means.
    ///
    /// # Errors
    /// The peer is not who it should be, or breaks the protocol. The link is closed and takes nothing more.
    pub fn push(&mut self, segment: &[u8]) -> Result<Vec<Incoming>, Refused> {
        self.held.extend_from_slice(segment);
        let mut incoming = Vec::new();
        match self.advance(&mut incoming) {
            Ok(()) => Ok(incoming),
            Err(refused) => {
                self.state = State::Closed;
                self.held = Vec::new();
                Err(refused)
            }
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// The session is not open, or the payload is longer than [`MAX_PAYLOAD`].
    pub fn send(&mut self, message: &Message) -> Result<(), Refused> {
        let State::Open(noise_state) = &mut self.state else { return Err(Refused::Malformed("not open")) };
        let plain = message.encode();
        if plain.len() > MAX_PAYLOAD + 5 {
            return Err(Refused::TooLong { limit: MAX_PAYLOAD });
        }
        let mut body = [0; MAX_FRAME];
        let len = noise_state.write_message(&plain, &mut body).map_err(noise)?;
        self.frame(body.get(..len).unwrap_or(&[]));
        Ok(())
    }

    /// The bytes that the socket is to carry, once.
    pub fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    fn frame(&mut self, body: &[u8]) {
        self.output.extend((body.len() as u16).to_be_bytes());
        self.output.extend_from_slice(body);
    }

    fn advance(&mut self, incoming: &mut Vec<Incoming>) -> Result<(), Refused> {
        if let State::Preamble(acceptor, fill) = &self.state {
            let Some((noise, pairing, used)) = read_preamble(acceptor, *fill, &self.held)? else {
                return Ok(());
            };
            self.held.drain(..used);
            self.state = State::Handshake { noise: Box::new(noise), pairing };
        }
        while let Some((head, rest)) = self.held.split_first_chunk() {
            let len = usize::from(u16::from_be_bytes(*head));
            if !(TAG..=MAX_FRAME).contains(&len) {
                return Err(Refused::TooLong { limit: MAX_FRAME });
            }
            let Some(body) = rest.get(..len) else { break };
            let body = body.to_vec();
            self.held.drain(..2 + len);
            self.read_frame(&body, incoming)?;
        }
        Ok(())
    }

    fn read_frame(&mut self, body: &[u8], incoming: &mut Vec<Incoming>) -> Result<(), Refused> {
        let mut plain = [0; MAX_FRAME];
        match &mut self.state {
            State::Handshake { noise: state, .. } => {
                state.read_message(body, &mut plain).map_err(noise)?;
                self.speak()?;
                self.settle(incoming)
            }
            State::Open(state) => {
                let len = state.read_message(body, &mut plain).map_err(noise)?;
                if let Some(message) = Message::decode(plain.get(..len).unwrap_or(&[]))? {
                    incoming.push(Incoming::Message(message));
                }
                Ok(())
            }
            State::Preamble(..) | State::Closed => Err(Refused::Malformed("closed")),
        }
    }

    /// Writes the next handshake message when it is this end's turn.
    fn speak(&mut self) -> Result<(), Refused> {
        let State::Handshake { noise: state, .. } = &mut self.state else { return Ok(()) };
        if state.is_handshake_finished() || !state.is_my_turn() {
            return Ok(());
        }
        let mut body = [0; MAX_FRAME];
        let len = state.write_message(&[], &mut body).map_err(noise)?;
        self.frame(body.get(..len).unwrap_or(&[]));
        Ok(())
    }

    fn settle(&mut self, incoming: &mut Vec<Incoming>) -> Result<(), Refused> {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Handshake { noise: state, pairing } if state.is_handshake_finished() => {
                let peer = state.get_remote_static().and_then(|key| key.try_into().ok());
                let peer = peer.ok_or(Refused::Malformed("key"))?;
                if pairing {
                    incoming.push(Incoming::Paired { peer });
                } else {
                    self.state = State::Open(Box::new(state.into_transport_mode().map_err(noise)?));
                    incoming.push(Incoming::Open { peer });
                }
            }
            unfinished => self.state = unfinished,
        }
        Ok(())
    }
}

/// The handshake that the preamble asks for, and the preamble's length.
fn read_preamble(
    acceptor: &Acceptor,
    fill: Option<Fill>,
    held: &[u8],
) -> Result<Option<(HandshakeState, bool, usize)>, Refused> {
    let seen = held.len().min(MAGIC.len());
    if held.get(..seen) != MAGIC.get(..seen) {
        return Err(Refused::Malformed("not a DWN v2 hub"));
    }
    let Some((kind, rest)) = held.get(MAGIC.len()..).and_then(<[u8]>::split_first) else { return Ok(None) };
    match kind {
        b'S' => {
            let Some(hub) = rest.first_chunk::<32>() else { return Ok(None) };
            if !acceptor.hubs.contains(hub) {
                return Err(Refused::Malformed("a hub that is not paired"));
            }
            let noise = handshake(b'S', &acceptor.id, &acceptor.keys, Some(hub), None, false, fill)?;
            Ok(Some((noise, false, MAGIC.len() + 1 + 32)))
        }
        b'P' => {
            let code = acceptor.code.as_ref().ok_or(Refused::Malformed("not in pairing mode"))?;
            let noise =
                handshake(b'P', &acceptor.id, &acceptor.keys, None, Some(&code.secret()), false, fill)?;
            Ok(Some((noise, true, MAGIC.len() + 1)))
        }
        other => Err(Refused::NotAMessage(*other)),
    }
}

impl core::fmt::Debug for Link {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = match self.state {
            State::Preamble(..) => "preamble",
            State::Handshake { .. } => "handshake",
            State::Open(_) => "open",
            State::Closed => "closed",
        };
        write!(f, "Link({state})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn acceptor(code: Option<Code>) -> Acceptor {
        Acceptor { id: "n1".into(), keys: Keys::generate().unwrap(), hubs: Vec::new(), code }
    }

    /// Carries bytes both ways, `step` at a time, until both ends are silent.
    fn talk(hub: &mut Link, node: &mut Link, step: usize) -> Result<(Vec<Incoming>, Vec<Incoming>), Refused> {
        let (mut at_hub, mut at_node) = (Vec::new(), Vec::new());
        loop {
            let (to_node, to_hub) = (hub.take_output(), node.take_output());
            if to_node.is_empty() && to_hub.is_empty() {
                return Ok((at_hub, at_node));
            }
            for part in to_node.chunks(step) {
                at_node.extend(node.push(part)?);
            }
            for part in to_hub.chunks(step) {
                at_hub.extend(hub.push(part)?);
            }
        }
    }

    #[test]
    fn pairing_by_the_shown_code_makes_a_session_possible() {
        for step in [1, 3, 1000] {
            let hub = Keys::generate().unwrap();
            let code = Code::from_random([7; 16]);
            let mut node = acceptor(Some(code.clone()));
            let typed = Code::parse(&code.to_string().to_lowercase()).unwrap();
            let (at_hub, at_node) =
                talk(&mut Link::pair("n1", &hub, &typed).unwrap(), &mut Link::accept(node.clone()), step)
                    .unwrap();
            assert_eq!(at_hub, [Incoming::Paired { peer: node.keys.public }]);
            assert_eq!(at_node, [Incoming::Paired { peer: hub.public }]);

            node.hubs.push(hub.public);
            let mut near = Link::connect("n1", &hub, &node.keys.public).unwrap();
            let mut far = Link::accept(node.clone());
            talk(&mut near, &mut far, step).unwrap();
            let command = Message::Command { number: 9, payload: b"a1\x00\x10".to_vec() };
            near.send(&command).unwrap();
            far.send(&Message::Alive).unwrap();
            far.send(&Message::Done { number: 9, accepted: true }).unwrap();
            let (at_hub, at_node) = talk(&mut near, &mut far, step).unwrap();
            assert_eq!(at_node, [Incoming::Message(command)]);
            assert_eq!(at_hub.len(), 2);
        }
    }

    #[test]
    fn a_board_draws_from_its_own_randomness() {
        use core::sync::atomic::{AtomicU8, Ordering};
        // A test's randomness may be guessed.
        static DRAWN: AtomicU8 = AtomicU8::new(1);
        let fill: Fill = |bytes| bytes.fill(DRAWN.fetch_add(1, Ordering::Relaxed));
        let hub = Keys::generate().unwrap();
        let keys = Keys::generate_from(Some(fill)).unwrap();
        let node = Acceptor { id: "n1".into(), keys, hubs: alloc::vec![hub.public], code: None };
        let mut near = Link::connect("n1", &hub, &node.keys.public).unwrap();
        let mut far = Link::accept_from(node, Some(fill));
        talk(&mut near, &mut far, 1000).unwrap();
        assert!(near.is_open() && far.is_open());
        assert_eq!(DRAWN.load(Ordering::Relaxed), 3, "once for the key, once for the handshake");
    }

    #[test]
    fn a_wrong_code_pairs_nobody() {
        let hub = Keys::generate().unwrap();
        let node = acceptor(Some(Code::from_random([7; 16])));
        let mut link = Link::pair("n1", &hub, &Code::from_random([8; 16])).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node), 1000).is_err());
    }

    #[test]
    fn a_stranger_is_no_hub_and_another_node_is_not_this_one() {
        let (hub, stranger) = (Keys::generate().unwrap(), Keys::generate().unwrap());
        let mut node = acceptor(None);
        node.hubs.push(hub.public);
        let mut link = Link::connect("n1", &stranger, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), 1000).is_err());
        // A thief knows the hub's public key, but not its private one.
        let thief = Keys { private: stranger.private, public: hub.public };
        let mut link = Link::connect("n1", &thief, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), 1000).is_err());
        // An impostor of the node, and a node that answers under another id.
        let mut impostor = acceptor(None);
        impostor.hubs.push(hub.public);
        let mut link = Link::connect("n1", &hub, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(impostor), 1000).is_err());
        let mut link = Link::connect("n2", &hub, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), 1000).is_err());
        // Not in pairing mode.
        let mut link = Link::pair("n1", &hub, &Code::from_random([0; 16])).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node), 1000).is_err());
    }

    #[test]
    fn a_repeated_frame_ends_the_session() {
        let hub = Keys::generate().unwrap();
        let mut node = acceptor(None);
        node.hubs.push(hub.public);
        let mut near = Link::connect("n1", &hub, &node.keys.public).unwrap();
        let mut far = Link::accept(node);
        talk(&mut near, &mut far, 1000).unwrap();
        near.send(&Message::Alive).unwrap();
        let bytes = near.take_output();
        assert!(far.push(&bytes).is_ok());
        assert!(far.push(&bytes).is_err());
        assert!(!far.is_open());
    }

    #[test]
    fn what_people_type_is_read_kindly() {
        assert_eq!(Code::parse("oooo llll-IIII 0123"), Code::parse("0000-1111-1111-0123"));
        assert_eq!(Code::parse("0000"), None);
        assert_eq!(Code::parse("0000-1111-1111-0123-4"), None);
        assert_eq!(Code::parse("0000-1111-1111-012U"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_or_waited_for(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut prefixed = b"DWN2P".to_vec();
            prefixed.extend(&bytes);
            let _ = Link::accept(acceptor(Some(Code::from_random([1; 16])))).push(&prefixed);
            let _ = Link::accept(acceptor(None)).push(&bytes);
            let _ = Message::decode(&bytes);
        }
    }
}
