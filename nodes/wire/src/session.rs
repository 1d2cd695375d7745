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
//!   bits, so that recording or sitting in the middle of a pairing gives nothing that could be searched. The hub's last
//!   handshake message proves that it knows the code; the node proves it by a confirmation, one frame under the keys that
//!   the code went into. Until then the hub has met nobody. Then each knows the other's static key; a session follows.
//!
//! The prologue binds kind and the node's id. Inside, [`Message`]s; see `docs/hub/dwn.md`.

use crate::Refused;
use crate::message::Message;
use crate::pairing::{Acceptor, Code};
use alloc::boxed::Box;
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
/// The plain text of a node's confirmation; no message has this kind.
const CONFIRMED: &[u8] = &[6];

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
pub(crate) fn builder<'a>(name: &str, fill: Option<Fill>) -> Result<Builder<'a>, Refused> {
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

/// What comes out of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The peer has proved to hold this key, now and not in a recording. At the hub the handshake is proof of it. At the node
    /// the hub's first message is: the handshake of before could be said again by whoever has heard it.
    Open { peer: [u8; 32] },
    /// At the node: this hub knows the code. [`Link::confirm`] obeys it.
    Proved { peer: [u8; 32] },
    /// At the hub: pairing is done, and the node knows the code too. Remember this key; the link has nothing more to say.
    Paired { peer: [u8; 32] },
    /// A message of the open session.
    Message(Message),
}

/// What a handshake is for.
enum Purpose {
    Session,
    /// The hub's end of a pairing.
    Introduce,
    /// The node's end: the code it shows, and whether the next message must prove that the hub knows it.
    Admit {
        code: Code,
        is_proof_due: bool,
    },
}

enum State {
    Preamble(Acceptor, Option<Fill>),
    Handshake {
        noise: Box<HandshakeState>,
        purpose: Purpose,
    },
    /// The hub waits for the node's confirmation.
    Unconfirmed {
        noise: Box<TransportState>,
        peer: [u8; 32],
    },
    /// The node's owner has yet to confirm.
    Proved {
        noise: Box<TransportState>,
        peer: [u8; 32],
        code: Code,
    },
    /// The node has answered; only the hub that asked can use the keys that this gave.
    Answered {
        noise: Box<TransportState>,
        peer: [u8; 32],
    },
    Open(Box<TransportState>),
    Closed,
}

/// One end of a connection.
pub struct Link {
    state: State,
    held: Vec<u8>,
    output: Vec<u8>,
}

pub(crate) fn noise(_: snow::Error) -> Refused {
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
        Link::start(noise, preamble, Purpose::Session)
    }

    /// The hub's end of a pairing.
    ///
    /// # Errors
    /// A key that is none.
    pub fn pair(id: &str, keys: &Keys, code: &Code) -> Result<Link, Refused> {
        let noise = handshake(b'P', id, keys, None, Some(&code.secret()), true, None)?;
        Link::start(noise, [&MAGIC[..], b"P"].concat(), Purpose::Introduce)
    }

    fn start(noise: HandshakeState, preamble: Vec<u8>, purpose: Purpose) -> Result<Link, Refused> {
        let state = State::Handshake { noise: Box::new(noise), purpose };
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
    /// The peer is not who it should be, or breaks the protocol. The link is closed and takes nothing more. At a node,
    /// [`Refused::WrongCode`] is to be counted: see [`crate::pairing::Window::missed`].
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

    /// The node's last word after [`Incoming::Proved`]: from now on it obeys the hub and shows no code. Store `acceptor` before
    /// the output is sent.
    ///
    /// # Errors
    /// Nothing is to be confirmed, or the node has meanwhile stopped to show that code.
    pub fn confirm(&mut self, acceptor: &mut Acceptor) -> Result<(), Refused> {
        let State::Proved { noise: mut state, peer, code } =
            core::mem::replace(&mut self.state, State::Closed)
        else {
            return Err(Refused::Malformed("nothing to confirm"));
        };
        if !acceptor.admit(peer, &code) {
            return Err(Refused::WrongCode);
        }
        let mut body = [0; CONFIRMED.len() + TAG];
        let len = state.write_message(CONFIRMED, &mut body).map_err(noise)?;
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
            let Some((noise, purpose, used)) = read_preamble(acceptor, *fill, &self.held)? else {
                return Ok(());
            };
            self.held.drain(..used);
            self.state = State::Handshake { noise: Box::new(noise), purpose };
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
            State::Handshake { noise: state, purpose } => {
                let read = state.read_message(body, &mut plain);
                match (read, &mut *purpose) {
                    (Err(_), Purpose::Admit { is_proof_due: true, .. }) => return Err(Refused::WrongCode),
                    (Err(error), _) => return Err(noise(error)),
                    (Ok(_), Purpose::Admit { is_proof_due, .. }) => *is_proof_due = true,
                    (Ok(_), _) => {}
                }
                self.speak()?;
                self.settle(incoming)
            }
            State::Unconfirmed { noise: state, peer } => {
                let len = state.read_message(body, &mut plain).map_err(noise)?;
                if plain.get(..len) != Some(CONFIRMED) {
                    return Err(Refused::Malformed("confirmation"));
                }
                incoming.push(Incoming::Paired { peer: *peer });
                self.state = State::Closed;
                Ok(())
            }
            State::Answered { noise: state, .. } | State::Open(state) => {
                let len = state.read_message(body, &mut plain).map_err(noise)?;
                self.open(incoming);
                if let Some(message) = Message::decode(plain.get(..len).unwrap_or(&[]))? {
                    incoming.push(Incoming::Message(message));
                }
                Ok(())
            }
            State::Preamble(..) | State::Proved { .. } | State::Closed => Err(Refused::Malformed("closed")),
        }
    }

    /// The hub has used the keys of the session.
    fn open(&mut self, incoming: &mut Vec<Incoming>) {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Answered { noise: state, peer } => {
                incoming.push(Incoming::Open { peer });
                self.state = State::Open(state);
            }
            other => self.state = other,
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
            State::Handshake { noise: state, purpose } if state.is_handshake_finished() => {
                let peer = state.get_remote_static().and_then(|key| key.try_into().ok());
                let peer = peer.ok_or(Refused::Malformed("key"))?;
                let is_hub = state.is_initiator();
                let state = Box::new(state.into_transport_mode().map_err(noise)?);
                self.state = match purpose {
                    Purpose::Session if !is_hub => State::Answered { noise: state, peer },
                    Purpose::Session => {
                        incoming.push(Incoming::Open { peer });
                        State::Open(state)
                    }
                    Purpose::Introduce => State::Unconfirmed { noise: state, peer },
                    Purpose::Admit { code, .. } => {
                        incoming.push(Incoming::Proved { peer });
                        State::Proved { noise: state, peer, code }
                    }
                };
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
) -> Result<Option<(HandshakeState, Purpose, usize)>, Refused> {
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
            Ok(Some((noise, Purpose::Session, MAGIC.len() + 1 + 32)))
        }
        b'P' => {
            let code = acceptor.window.code().ok_or(Refused::Malformed("not in pairing mode"))?;
            let noise =
                handshake(b'P', &acceptor.id, &acceptor.keys, None, Some(&code.secret()), false, fill)?;
            let purpose = Purpose::Admit { code: code.clone(), is_proof_due: false };
            Ok(Some((noise, purpose, MAGIC.len() + 1)))
        }
        other => Err(Refused::NotAMessage(*other)),
    }
}

impl core::fmt::Debug for Link {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = match self.state {
            State::Preamble(..) => "preamble",
            State::Handshake { .. } => "handshake",
            State::Unconfirmed { .. } => "unconfirmed",
            State::Proved { .. } => "proved",
            State::Answered { .. } => "answered",
            State::Open(_) => "open",
            State::Closed => "closed",
        };
        write!(f, "Link({state})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::Window;
    use alloc::string::ToString;
    use alloc::vec;

    fn acceptor(code: Option<Code>) -> Acceptor {
        let window = code.map(Window::open).unwrap_or_default();
        Acceptor { id: "n1".into(), keys: Keys::generate().unwrap(), hubs: Vec::new(), window }
    }

    /// What each end has heard.
    type Heard = (Vec<Incoming>, Vec<Incoming>);

    /// Carries bytes both ways, `step` at a time, until both ends are silent; the node confirms what it is asked to.
    fn talk(
        hub: &mut Link,
        node: &mut Link,
        owner: &mut Acceptor,
        step: usize,
    ) -> Result<Heard, (Refused, Heard)> {
        let mut heard = Heard::default();
        loop {
            let (to_node, to_hub) = (hub.take_output(), node.take_output());
            if to_node.is_empty() && to_hub.is_empty() {
                return Ok(heard);
            }
            for part in to_node.chunks(step) {
                match node.push(part) {
                    Ok(new) => heard.1.extend(new),
                    Err(refused) => return Err((refused, heard)),
                }
                if matches!(heard.1.last(), Some(Incoming::Proved { .. })) {
                    // A second time there is nothing to confirm.
                    let _ = node.confirm(owner);
                }
            }
            for part in to_hub.chunks(step) {
                match hub.push(part) {
                    Ok(new) => heard.0.extend(new),
                    Err(refused) => return Err((refused, heard)),
                }
            }
        }
    }

    /// Hub and node in session.
    fn open(hub: &mut Link, node: &mut Link, owner: &mut Acceptor, step: usize) {
        let (at_hub, at_node) = talk(hub, node, owner, step).unwrap();
        assert_eq!((at_hub, at_node), (vec![Incoming::Open { peer: owner.keys.public }], vec![]));
        assert!(hub.is_open() && !node.is_open(), "the node has heard nothing that could not be a recording");
        hub.send(&Message::Alive).unwrap();
        let (_, at_node) = talk(hub, node, owner, step).unwrap();
        assert!(matches!(at_node[..], [Incoming::Open { .. }, Incoming::Message(Message::Alive)]));
        assert!(node.is_open());
    }

    #[test]
    fn pairing_by_the_shown_code_makes_a_session_possible() {
        for step in [1, 3, 1000] {
            let hub = Keys::generate().unwrap();
            let code = Code::from_random([7; 16]);
            let mut node = acceptor(Some(code.clone()));
            let typed = Code::parse(&code.to_string().to_lowercase()).unwrap();
            let (mut near, mut far) = (Link::pair("n1", &hub, &typed).unwrap(), Link::accept(node.clone()));
            let (at_hub, at_node) = talk(&mut near, &mut far, &mut node, step).unwrap();
            assert_eq!(at_hub, [Incoming::Paired { peer: node.keys.public }]);
            assert_eq!(at_node, [Incoming::Proved { peer: hub.public }]);
            assert_eq!((&node.hubs[..], node.window.code()), (&[hub.public][..], None), "a code serves once");

            let mut near = Link::connect("n1", &hub, &node.keys.public).unwrap();
            let mut far = Link::accept(node.clone());
            open(&mut near, &mut far, &mut node, step);
            let command = Message::Command { number: 9, payload: b"a1\x00\x10".to_vec() };
            near.send(&command).unwrap();
            far.send(&Message::Alive).unwrap();
            far.send(&Message::Done { number: 9, accepted: true }).unwrap();
            let (at_hub, at_node) = talk(&mut near, &mut far, &mut node, step).unwrap();
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
        let mut node = Acceptor { id: "n1".into(), keys, hubs: vec![hub.public], window: Window::default() };
        let mut near = Link::connect("n1", &hub, &node.keys.public).unwrap();
        let mut far = Link::accept_from(node.clone(), Some(fill));
        open(&mut near, &mut far, &mut node, 1000);
        assert_eq!(DRAWN.load(Ordering::Relaxed), 3, "once for the key, once for the handshake");
    }

    #[test]
    fn a_wrong_code_pairs_nobody_at_either_end() {
        let hub = Keys::generate().unwrap();
        let mut node = acceptor(Some(Code::from_random([7; 16])));
        let mut link = Link::pair("n1", &hub, &Code::from_random([8; 16])).unwrap();
        let mut far = Link::accept(node.clone());
        let refused = talk(&mut link, &mut far, &mut node, 1000).unwrap_err();
        assert_eq!(refused, (Refused::WrongCode, Heard::default()), "neither end has met anyone");
        assert!(node.hubs.is_empty());
    }

    #[test]
    fn a_man_in_the_middle_who_accepts_every_code_is_nobodys_node() {
        let (hub, code) = (Keys::generate().unwrap(), Code::from_random([7; 16]));
        let mut near = Link::pair("n1", &hub, &code).unwrap();
        // He plays the node by a code of his own, as far as that goes, and then sends what he likes.
        let impostor = acceptor(Some(Code::from_random([8; 16])));
        let mut far = Link::accept(impostor);
        far.push(&near.take_output()).unwrap();
        assert_eq!(near.push(&far.take_output()), Ok(Vec::new()), "the hub does not yet believe him");
        assert_eq!(far.push(&near.take_output()), Err(Refused::WrongCode));
        let mut forged = vec![0, 17];
        forged.extend([6; 17]);
        assert!(near.push(&forged).is_err());
        // Between hub and node he can carry bytes only unchanged.
        let mut node = acceptor(Some(code.clone()));
        let mut near = Link::pair("n1", &hub, &code).unwrap();
        let mut far = Link::accept(node.clone());
        far.push(&near.take_output()).unwrap();
        near.push(&far.take_output()).unwrap();
        far.push(&near.take_output()).unwrap();
        far.confirm(&mut node).unwrap();
        let mut confirmation = far.take_output();
        *confirmation.last_mut().unwrap() ^= 1;
        assert!(near.push(&confirmation).is_err());
    }

    #[test]
    fn a_code_that_is_no_longer_shown_admits_nobody() {
        let (hub, code) = (Keys::generate().unwrap(), Code::from_random([7; 16]));
        let mut node = acceptor(Some(code.clone()));
        let mut begun: Vec<_> = (0..2)
            .map(|_| {
                let mut near = Link::pair("n1", &hub, &code).unwrap();
                let mut far = Link::accept(node.clone());
                far.push(&near.take_output()).unwrap();
                near.push(&far.take_output()).unwrap();
                far.push(&near.take_output()).unwrap();
                far
            })
            .collect();
        let mut late = begun.pop().unwrap();
        assert_eq!(begun.pop().unwrap().confirm(&mut node), Ok(()));
        assert_eq!(late.confirm(&mut node), Err(Refused::WrongCode));
        assert_eq!((late.take_output(), node.hubs.len()), (Vec::new(), 1));
        assert!(late.confirm(&mut node).is_err());
    }

    #[test]
    fn a_stranger_is_no_hub_and_another_node_is_not_this_one() {
        let (hub, stranger) = (Keys::generate().unwrap(), Keys::generate().unwrap());
        let mut node = acceptor(None);
        node.hubs.push(hub.public);
        let mut link = Link::connect("n1", &stranger, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), &mut node, 1000).is_err());
        // A thief knows the hub's public key, but not its private one.
        let thief = Keys { private: stranger.private, public: hub.public };
        let mut link = Link::connect("n1", &thief, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), &mut node, 1000).is_err());
        // An impostor of the node, and a node that answers under another id.
        let mut impostor = acceptor(None);
        impostor.hubs.push(hub.public);
        let mut link = Link::connect("n1", &hub, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(impostor), &mut node, 1000).is_err());
        let mut link = Link::connect("n2", &hub, &node.keys.public).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), &mut node, 1000).is_err());
        // Not in pairing mode.
        let mut link = Link::pair("n1", &hub, &Code::from_random([0; 16])).unwrap();
        assert!(talk(&mut link, &mut Link::accept(node.clone()), &mut node, 1000).is_err());
    }

    #[test]
    fn a_repeated_frame_ends_the_session() {
        let hub = Keys::generate().unwrap();
        let mut node = acceptor(None);
        node.hubs.push(hub.public);
        let mut near = Link::connect("n1", &hub, &node.keys.public).unwrap();
        let mut far = Link::accept(node.clone());
        open(&mut near, &mut far, &mut node, 1000);
        near.send(&Message::Alive).unwrap();
        let bytes = near.take_output();
        assert!(far.push(&bytes).is_ok());
        assert!(far.push(&bytes).is_err());
        assert!(!far.is_open());
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
