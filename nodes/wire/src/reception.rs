//! Who may speak to a v2 node: the hub in session, and a few newcomers that have yet to prove who they are. Without I/O.
//!
//! Anybody in the network can connect to a node. Invariants: an open session stays until it is silent, ends by itself, or a
//! newcomer has *proved* to be a hub that the node obeys; there are at most [`NEWCOMERS`] newcomers, none longer than
//! [`PROVE_WITHIN_MS`]; and one newcomer too many costs the oldest its place, so that a hub which needs a moment for its
//! handshake comes in although others come and say nothing.
//!
//! The owner of the sockets numbers its connections. After each call it closes those that are no longer [`Reception::contains`]ed.

use crate::message::Message;
use crate::pairing::Acceptor;
use crate::session::{Fill, Incoming, Link};
use crate::{HEARTBEAT_LOST_MS, Refused};
use alloc::vec::Vec;

/// Connections that have not proved anything, at most.
pub const NEWCOMERS: usize = 3;
/// A newcomer has so long to prove who it is. A small board needs a part of it for its own arithmetic.
pub const PROVE_WITHIN_MS: u64 = 10_000;

/// The connections of one node. Times are milliseconds since it booted.
#[derive(Debug, Default)]
pub struct Reception {
    newcomers: Vec<Caller>,
    session: Option<Caller>,
    fill: Option<Fill>,
}

#[derive(Debug)]
struct Caller {
    number: u32,
    link: Link,
    /// When it came, and in a session when it was last heard.
    heard_ms: u64,
}

impl Reception {
    /// A reception that draws from the randomness of a board; the default one draws from the system's.
    pub fn drawing_from(fill: Fill) -> Reception {
        Reception { fill: Some(fill), ..Reception::default() }
    }

    /// A connection has been made; the owner has no other of this number.
    pub fn arrive(&mut self, now_ms: u64, number: u32, acceptor: &Acceptor) {
        if self.newcomers.len() >= NEWCOMERS {
            self.newcomers.remove(0);
        }
        let link = Link::accept_from(acceptor.clone(), self.fill);
        self.newcomers.push(Caller { number, link, heard_ms: now_ms });
    }

    /// The owner has closed, or lost, this connection.
    pub fn depart(&mut self, number: u32) {
        self.newcomers.retain(|caller| caller.number != number);
        self.session.take_if(|caller| caller.number == number);
    }

    /// Whether this connection is to be kept.
    pub fn contains(&self, number: u32) -> bool {
        self.newcomers.iter().chain(&self.session).any(|caller| caller.number == number)
    }

    /// Takes what a connection gave. With [`Incoming::Open`] it has become the session, in place of the one before.
    ///
    /// # Errors
    /// The peer is not who it should be, or breaks the protocol; its place is gone. A wrong code has been counted.
    pub fn push(
        &mut self,
        now_ms: u64,
        number: u32,
        segment: &[u8],
        acceptor: &mut Acceptor,
    ) -> Result<Vec<Incoming>, Refused> {
        let Some(caller) = self.caller(number) else { return Ok(Vec::new()) };
        let incoming = match caller.link.push(segment) {
            Ok(incoming) => incoming,
            Err(refused) => {
                if refused == Refused::WrongCode {
                    acceptor.window.missed();
                }
                self.depart(number);
                return Err(refused);
            }
        };
        let is_open = caller.link.is_open();
        if is_open && !incoming.is_empty() {
            caller.heard_ms = now_ms;
        }
        if is_open && let Some(at) = self.newcomers.iter().position(|caller| caller.number == number) {
            self.session = Some(self.newcomers.remove(at));
        }
        Ok(incoming)
    }

    /// Obeys a hub that has just [`Incoming::Proved`] to know the code. Store `acceptor` before the output is sent.
    ///
    /// # Errors
    /// See [`Link::confirm`].
    pub fn confirm(&mut self, number: u32, acceptor: &mut Acceptor) -> Result<(), Refused> {
        let caller = self.caller(number).ok_or(Refused::Malformed("nothing to confirm"))?;
        caller.link.confirm(acceptor).inspect_err(|_| self.depart(number))
    }

    /// Queues a message for the hub in session. Without one it is dropped: the opening of the next tells the state anyway.
    ///
    /// # Errors
    /// The message is too long.
    pub fn send(&mut self, message: &Message) -> Result<(), Refused> {
        self.session.as_mut().map_or(Ok(()), |caller| caller.link.send(message))
    }

    /// The connection of the hub in session.
    pub fn session(&self) -> Option<u32> {
        self.session.as_ref().map(|caller| caller.number)
    }

    /// The bytes that this connection is to carry, once.
    pub fn take_output(&mut self, number: u32) -> Vec<u8> {
        self.caller(number).map(|caller| caller.link.take_output()).unwrap_or_default()
    }

    /// Time has passed: who has been silent for too long loses its place.
    pub fn tick(&mut self, now_ms: u64) {
        self.newcomers.retain(|caller| now_ms < caller.heard_ms + PROVE_WITHIN_MS);
        self.session.take_if(|caller| now_ms >= caller.heard_ms + HEARTBEAT_LOST_MS);
    }

    /// When the next tick is due; `None` while nobody is there.
    pub fn next_tick_ms(&self) -> Option<u64> {
        let newcomer = self.newcomers.first().map(|caller| caller.heard_ms + PROVE_WITHIN_MS);
        let session = self.session.as_ref().map(|caller| caller.heard_ms + HEARTBEAT_LOST_MS);
        newcomer.into_iter().chain(session).min()
    }

    fn caller(&mut self, number: u32) -> Option<&mut Caller> {
        self.newcomers.iter_mut().chain(&mut self.session).find(|caller| caller.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::{Code, WRONG_CODES, Window};
    use crate::session::Keys;
    use alloc::vec;

    struct House {
        hub: Keys,
        node: Acceptor,
        reception: Reception,
    }

    impl House {
        fn new() -> House {
            let hub = Keys::generate().unwrap();
            let keys = Keys::generate().unwrap();
            let node = Acceptor { id: "n1".into(), keys, hubs: vec![hub.public], window: Window::default() };
            House { hub, node, reception: Reception::default() }
        }

        fn arrive(&mut self, now_ms: u64, number: u32) {
            self.reception.arrive(now_ms, number, &self.node);
        }

        fn push(&mut self, now_ms: u64, number: u32, segment: &[u8]) -> Result<Vec<Incoming>, Refused> {
            self.reception.push(now_ms, number, segment, &mut self.node)
        }

        /// A hub's end up to where it has read the node's answer, and all that a listener has heard of it.
        fn greeted(&mut self, now_ms: u64, number: u32) -> (Link, Vec<u8>) {
            let mut link = Link::connect("n1", &self.hub, &self.node.keys.public).unwrap();
            let said = link.take_output();
            self.arrive(now_ms, number);
            assert_eq!(self.push(now_ms, number, &said), Ok(Vec::new()));
            link.push(&self.reception.take_output(number)).unwrap();
            assert!(link.is_open());
            (link, said)
        }

        /// A hub in session, and what a listener has heard of its handshake.
        fn session(&mut self, now_ms: u64, number: u32) -> (Link, Vec<u8>) {
            let (mut link, said) = self.greeted(now_ms, number);
            let peer = self.hub.public;
            let incoming = self.alive(now_ms, number, &mut link).unwrap();
            assert_eq!(incoming, [Incoming::Open { peer }, Incoming::Message(Message::Alive)]);
            assert_eq!(self.reception.session(), Some(number));
            (link, said)
        }

        fn alive(&mut self, now_ms: u64, number: u32, link: &mut Link) -> Result<Vec<Incoming>, Refused> {
            link.send(&Message::Alive).unwrap();
            self.push(now_ms, number, &link.take_output())
        }
    }

    #[test]
    fn who_proves_nothing_does_not_displace_a_session() {
        let mut house = House::new();
        let (mut link, said) = house.session(0, 0);
        // Silence, nonsense, a stranger's key, and the hub's own handshake said again.
        house.arrive(1, 1);
        house.arrive(1, 2);
        assert!(house.push(1, 2, b"GET / HTTP/1.1\r\n").is_err());
        let stranger = Keys::generate().unwrap();
        let mut thief = Link::connect("n1", &stranger, &house.node.keys.public).unwrap();
        house.arrive(1, 3);
        assert!(house.push(1, 3, &thief.take_output()).is_err());
        house.arrive(1, 4);
        assert_eq!(house.push(1, 4, &said), Ok(Vec::new()), "a recording is answered, and nothing more");
        assert_eq!(house.reception.session(), Some(0));
        let mut forged = vec![0, 17];
        forged.extend([5; 17]);
        assert!(house.push(1, 4, &forged).is_err());
        assert_eq!(house.reception.session(), Some(0));
        assert_eq!(house.alive(2, 0, &mut link), Ok(vec![Incoming::Message(Message::Alive)]));
        assert!(!house.reception.contains(2) && !house.reception.contains(3) && !house.reception.contains(4));
    }

    #[test]
    fn a_hub_that_proves_its_key_takes_over() {
        let mut house = House::new();
        let (mut lost, _) = house.session(0, 0);
        let (mut link, _) = house.greeted(1, 1);
        assert_eq!(house.reception.session(), Some(0), "not yet");
        house.alive(1, 1, &mut link).unwrap();
        assert_eq!(house.reception.session(), Some(1));
        assert!(!house.reception.contains(0));
        assert_eq!(house.alive(2, 0, &mut lost), Ok(Vec::new()), "nobody hears it");
        house.reception.send(&Message::Alive).unwrap();
        assert_eq!(link.push(&house.reception.take_output(1)), Ok(vec![Incoming::Message(Message::Alive)]));
    }

    #[test]
    fn newcomers_are_few_and_the_oldest_makes_room() {
        let mut house = House::new();
        let (mut link, _) = house.session(0, 0);
        for number in 1..100 {
            house.arrive(u64::from(number), number);
            assert!(house.reception.newcomers.len() <= NEWCOMERS);
        }
        assert!(house.reception.contains(99) && !house.reception.contains(96));
        // The hub comes anew amid the others, is slow by one step of them, and comes in.
        let (mut again, _) = house.greeted(100, 100);
        house.arrive(101, 101);
        house.alive(102, 100, &mut again).unwrap();
        assert_eq!(house.reception.session(), Some(100));
        assert_eq!(house.alive(102, 0, &mut link), Ok(Vec::new()));
    }

    #[test]
    fn newcomers_and_sessions_have_their_time() {
        let mut house = House::new();
        assert_eq!(house.reception.next_tick_ms(), None);
        let (mut link, _) = house.session(0, 0);
        assert_eq!(house.reception.next_tick_ms(), Some(HEARTBEAT_LOST_MS));
        house.arrive(1_000, 1);
        // A byte now and then buys no time.
        house.push(9_000, 1, b"D").unwrap();
        assert_eq!(house.reception.next_tick_ms(), Some(1_000 + PROVE_WITHIN_MS));
        house.reception.tick(1_000 + PROVE_WITHIN_MS - 1);
        assert!(house.reception.contains(1));
        house.reception.tick(1_000 + PROVE_WITHIN_MS);
        assert!(!house.reception.contains(1));
        house.alive(14_000, 0, &mut link).unwrap();
        house.reception.tick(14_000 + HEARTBEAT_LOST_MS - 1);
        assert!(house.reception.contains(0));
        // Half a frame is no word.
        house.push(15_000, 0, &[0]).unwrap();
        house.reception.tick(14_000 + HEARTBEAT_LOST_MS);
        assert_eq!((house.reception.session(), house.reception.contains(0)), (None, false));
    }

    #[test]
    fn pairing_goes_on_beside_a_session_and_wrong_codes_are_counted() {
        let mut house = House::new();
        house.session(0, 0);
        let shown = Code::from_random([7; 16]);
        house.node.window = Window::open(shown.clone());
        let second = Keys::generate().unwrap();
        let introduce = |house: &mut House, number, code: &Code| {
            let mut link = Link::pair("n1", &second, code).unwrap();
            house.arrive(1, number);
            house.push(1, number, &link.take_output())?;
            link.push(&house.reception.take_output(number))?;
            let incoming = house.push(1, number, &link.take_output())?;
            assert_eq!(incoming, [Incoming::Proved { peer: second.public }]);
            house.reception.confirm(number, &mut house.node)?;
            link.push(&house.reception.take_output(number))
        };
        let paired = introduce(&mut house, 1, &shown);
        assert_eq!(paired, Ok(vec![Incoming::Paired { peer: house.node.keys.public }]));
        assert_eq!(house.node.hubs.len(), 2);
        house.node.window = Window::open(shown);
        for number in 2..2 + u32::from(WRONG_CODES) {
            assert!(house.node.window.code().is_some());
            let wrong = introduce(&mut house, number, &Code::from_random([8; 16]));
            assert_eq!(wrong, Err(Refused::WrongCode));
        }
        assert!(house.node.window.code().is_none());
        assert_eq!(house.reception.session(), Some(0));
    }
}
