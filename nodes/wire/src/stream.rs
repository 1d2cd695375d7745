//! The v1 byte stream: heartbeats mixed with a driver's messages, without any framing.
//!
//! The original read whatever one `recv` gave and took it for one message. Here a driver's [`Payload`] says where each of
//! its messages ends, so a heartbeat glued to a report, or half a report, means the same as if each had come alone.

use crate::{HEARTBEAT, Refused};
use alloc::vec::Vec;

/// How a driver's messages are cut out of the stream.
pub trait Payload {
    /// What one message says.
    type Message;
    /// Looks at the start of `bytes` (never empty, never starting with a heartbeat).
    ///
    /// `Ok(None)` asks for more bytes; `Ok(Some((message, used)))` takes `used > 0` bytes.
    ///
    /// # Errors
    /// The bytes can never become a message.
    fn next(bytes: &[u8]) -> Result<Option<(Self::Message, usize)>, Refused>;
    /// No message is longer than this.
    const MAX_BYTES: usize;
}

/// A heartbeat or a driver's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<M> {
    /// The node lives.
    Heartbeat,
    /// The driver's own.
    Message(M),
}

/// Cuts a v1 stream into messages. Holds at most one unfinished message.
#[derive(Debug)]
pub struct Stream<P> {
    held: Vec<u8>,
    payload: core::marker::PhantomData<fn() -> P>,
}

impl<P: Payload> Default for Stream<P> {
    fn default() -> Self {
        Stream { held: Vec::new(), payload: core::marker::PhantomData }
    }
}

impl<P: Payload> Stream<P> {
    /// Takes a segment and gives the messages that it completes to `out`.
    ///
    /// # Errors
    /// The stream makes no sense; messages before that point have been given.
    pub fn push(&mut self, segment: &[u8], mut out: impl FnMut(Received<P::Message>)) -> Result<(), Refused> {
        self.held.extend_from_slice(segment);
        let mut at = 0;
        let result = loop {
            let Some(rest) = self.held.get(at..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
            if rest.starts_with(HEARTBEAT) {
                out(Received::Heartbeat);
                at += HEARTBEAT.len();
            } else if HEARTBEAT.starts_with(rest) {
                break Ok(());
            } else {
                match P::next(rest) {
                    Ok(Some((message, used))) if used > 0 => {
                        out(Received::Message(message));
                        at += used;
                    }
                    Ok(_) if rest.len() >= P::MAX_BYTES => {
                        break Err(Refused::TooLong { limit: P::MAX_BYTES });
                    }
                    Ok(_) => break Ok(()),
                    Err(refused) => break Err(refused),
                }
            }
        };
        self.held.drain(..at);
        if result.is_err() {
            self.held = Vec::new();
        }
        result
    }
}

/// All messages of one segment, for drivers and tests that want a list.
///
/// # Errors
/// See [`Stream::push`].
pub fn collect<P: Payload>(
    stream: &mut Stream<P>,
    segment: &[u8],
) -> Result<Vec<Received<P::Message>>, Refused> {
    let mut all = Vec::new();
    stream.push(segment, |message| all.push(message)).map(|()| all)
}

/// Checks that `wire` gives the same messages when it is cut at every place, and byte by byte.
#[cfg(test)]
pub(crate) fn same_however_cut<P: Payload>(wire: &[u8])
where
    P::Message: PartialEq + core::fmt::Debug,
{
    let whole = collect(&mut Stream::<P>::default(), wire);
    for cut in 0..=wire.len() {
        let mut stream = Stream::<P>::default();
        let mut all = Vec::new();
        let split = stream
            .push(&wire[..cut], |m| all.push(m))
            .and_then(|()| stream.push(&wire[cut..], |m| all.push(m)));
        assert_eq!(split.map(|()| all), whole, "cut at {cut}");
    }
    let mut stream = Stream::<P>::default();
    let mut all = Vec::new();
    let bytewise = wire.iter().try_for_each(|b| stream.push(&[*b], |m| all.push(m)));
    assert_eq!(bytewise.map(|()| all), whole);
}
