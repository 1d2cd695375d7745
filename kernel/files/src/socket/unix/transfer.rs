//! Sending and receiving: send(2), recv(2) and what travels along.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::socket::{MessageFlags, Ucred};
use machine::heap::{Grow, try_collect};
use memory::{Sink, Source};
use threads::WaitError;

use super::address::Address;
use super::circles;
use super::inbox::{MESSAGE_MAX, Packet, Side};
use super::{UnixKind, UnixSocket, bury};
use crate::socket::{Message, Received, SocketCaller};

/// Bytes of a stream that go into one packet.
const CHUNK: usize = 16 * 1024;

/// Takes `len` bytes out of a source, all or none: ENOBUFS where there is no memory for so many, EFAULT.
fn copy_in(from: &mut dyn Source, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_grow_exact(len).map_err(|_| Errno::ENOBUFS)?;
    bytes.resize(len, 0);
    if from.read(&mut bytes)? < len { Err(Errno::EFAULT) } else { Ok(bytes) }
}

/// Writes as much as there is room for, all of it or nothing: EFAULT.
fn copy_out(into: &mut dyn Sink, bytes: &[u8]) -> Result<usize, Errno> {
    let len = bytes.len().min(into.remaining());
    if into.write(bytes)? < len { Err(Errno::EFAULT) } else { Ok(len) }
}

impl UnixSocket {
    /// Whether this socket takes datagrams from the one of `side`: from all while it is not connected.
    pub(super) fn takes_from(&self, side: &Arc<Side>) -> bool {
        self.peer.lock().as_ref().is_none_or(|peer| Arc::ptr_eq(peer, side))
    }

    pub(super) fn send_message(
        &self,
        caller: Option<&SocketCaller<'_>>,
        from: &mut dyn Source,
        message: Message<'_>,
        identity: Ucred,
        is_nonblocking: bool,
    ) -> Result<usize, Errno> {
        if message.flags.contains(MessageFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let is_nonblocking = is_nonblocking || message.flags.contains(MessageFlags::DONTWAIT);
        let to = match message.address.filter(|address| !address.is_empty()) {
            Some(_) if self.kind == UnixKind::Stream => {
                return Err(if self.peer().is_some() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
            }
            Some(address) if self.kind == UnixKind::Datagram => Some(Address::parse(address)?),
            _ => None,
        };
        if self.kind == UnixKind::Packets && self.peer().is_none() {
            return Err(Errno::ENOTCONN);
        }
        // Before a receiver is looked for: what is too long can be sent to nobody.
        let len = from.remaining();
        if self.kind != UnixKind::Stream && len > MESSAGE_MAX {
            return Err(Errno::EMSGSIZE);
        }
        if self.kind != UnixKind::Stream && self.writing_has_ended.load(Ordering::Acquire) {
            return Err(Errno::EPIPE);
        }
        if self.kind == UnixKind::Packets && self.peer().is_some_and(|peer| peer.has_reading_ended()) {
            return Err(Errno::EPIPE);
        }
        // Datagrams are taken before a receiver is looked for, too.
        let datagram = if self.kind == UnixKind::Stream { None } else { Some(copy_in(from, len)?) };
        let target = match to {
            None => self.peer().ok_or(Errno::ENOTCONN)?,
            Some(address) => {
                let caller = caller.ok_or(Errno::EINVAL)?;
                let target = self.find(caller, &address)?;
                if target.kind != self.kind {
                    return Err(Errno::EPROTOTYPE);
                }
                if !target.takes_from(&self.own) {
                    return Err(Errno::EPERM);
                }
                Arc::clone(&target.own)
            }
        };
        if self.writing_has_ended.load(Ordering::Acquire) {
            return Err(Errno::EPIPE);
        }
        let credentials = message.credentials.unwrap_or(identity);
        let packet =
            |bytes, rights| Packet { bytes, start: 0, rights, credentials, from: self.own.address() };
        let Some(bytes) = datagram else {
            return self.send_stream(&target, from, message.rights, packet, is_nonblocking);
        };
        self.wait_for_room(&target, is_nonblocking)?;
        let count = bytes.len();
        let _still = match circles::note(&message.rights) {
            Ok(still) => still,
            Err(error) => {
                bury(message.rights);
                return Err(error.into());
            }
        };
        target.push(packet(bytes, message.rights)).map_err(|error| self.when_gone(error))?;
        Ok(count)
    }

    fn send_stream(
        &self,
        target: &Side,
        from: &mut dyn Source,
        mut rights: Vec<Arc<crate::OpenFile>>,
        packet: impl Fn(Vec<u8>, Vec<Arc<crate::OpenFile>>) -> Packet,
        is_nonblocking: bool,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        if from.remaining() == 0 && target.has_reading_ended() {
            return Err(Errno::EPIPE);
        }
        loop {
            let len = from.remaining().min(CHUNK);
            // A message without bytes carries nothing on a stream.
            if len == 0 {
                bury(rights);
                return Ok(done);
            }
            let step = self.wait_for_room(target, is_nonblocking).and_then(|()| copy_in(from, len)).and_then(
                |bytes| {
                    let count = bytes.len();
                    let _still = circles::note(&rights)?;
                    target.push(packet(bytes, core::mem::take(&mut rights)))?;
                    Ok(count)
                },
            );
            match step {
                Ok(count) => done += count,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => {
                    bury(rights);
                    return Err(error);
                }
            }
        }
    }

    /// What it means that the receiver has gone: nobody listens to datagrams, a connection is broken.
    fn when_gone(&self, error: Errno) -> Errno {
        if error == Errno::EPIPE && self.is_datagram() { Errno::ECONNREFUSED } else { error }
    }

    fn wait_for_room(&self, target: &Side, is_nonblocking: bool) -> Result<(), Errno> {
        let is_datagram = self.is_datagram();
        let ready = || {
            if target.has_reading_ended() {
                return Some(Err(self.when_gone(Errno::EPIPE)));
            }
            if self.writing_has_ended.load(Ordering::Acquire) {
                return Some(Err(Errno::EPIPE));
            }
            (!target.is_full(is_datagram)).then_some(Ok(()))
        };
        match ready() {
            Some(result) => result,
            None if is_nonblocking => Err(Errno::EAGAIN),
            None => match target.writable.wait_until(Self::wait(&self.send_timeout_ns), ready) {
                Ok(result) => result,
                Err(WaitError::Interrupted) => Err(Errno::EINTR),
                Err(WaitError::TimedOut) => Err(Errno::EAGAIN),
            },
        }
    }

    pub(super) fn receive_message(
        &self,
        into: &mut dyn Sink,
        flags: MessageFlags,
        is_nonblocking: bool,
    ) -> Result<Received, Errno> {
        if flags.contains(MessageFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.kind {
            UnixKind::Stream if self.is_listening() || self.peer().is_none() => return Err(Errno::EINVAL),
            UnixKind::Packets if self.peer().is_none() => return Err(Errno::ENOTCONN),
            _ => {}
        }
        let is_nonblocking = is_nonblocking || flags.contains(MessageFlags::DONTWAIT);
        let peeks = flags.contains(MessageFlags::PEEK);
        if self.kind != UnixKind::Stream {
            return self.receive_packet(into, flags, is_nonblocking);
        }
        let waits_for_all = flags.contains(MessageFlags::WAITALL) && !peeks;
        let mut received = Received::default();
        let mut first = None;
        if into.remaining() == 0 {
            self.wait_for_packet(is_nonblocking)?;
        }
        while into.remaining() > 0 {
            let may_wait = received.len == 0 || waits_for_all;
            match self.wait_for_packet(is_nonblocking || !may_wait) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if received.len > 0 => break,
                Err(error) => return Err(error),
            }
            let receiving = self.receiving.lock();
            let goes_on = self.receive_part(into, &mut received, &mut first, peeks);
            drop(receiving);
            match goes_on {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if received.len > 0 => break,
                Err(error) => return Err(error),
            }
        }
        received.full_len = received.len;
        Ok(received)
    }

    /// Waits until there is a packet: false at the end. EAGAIN, EINTR, or the error that waits to be told.
    fn wait_for_packet(&self, is_nonblocking: bool) -> Result<bool, Errno> {
        let ready = || {
            if !self.own.is_empty() {
                return Some(Ok(true));
            }
            if let Some(error) = self.own.take_error() {
                return Some(Err(error));
            }
            (self.own.has_writing_ended() || self.own.has_reading_ended()).then_some(Ok(false))
        };
        match ready() {
            Some(result) => result,
            None if is_nonblocking => Err(Errno::EAGAIN),
            None => match self.own.readable.wait_until(Self::wait(&self.receive_timeout_ns), ready) {
                Ok(result) => result,
                Err(WaitError::Interrupted) => Err(Errno::EINTR),
                Err(WaitError::TimedOut) => Err(Errno::EAGAIN),
            },
        }
    }

    /// Takes from the packet in front as much as fits; false when the receive is over: bytes of another sender, or with other
    /// files, begin a message of their own.
    fn receive_part(
        &self,
        into: &mut dyn Sink,
        received: &mut Received,
        first: &mut Option<Ucred>,
        peeks: bool,
    ) -> Result<bool, Errno> {
        let tells_identity = self.passes_credentials.load(Ordering::Relaxed);
        let already = *first;
        let taken = self.own.take_front(|front| {
            let is_same = already.is_none_or(|first| !tells_identity || first == front.credentials);
            is_same && (already.is_none() || front.rights.is_empty())
        });
        let Some(mut packet) = taken else { return Ok(self.own.is_empty() && first.is_none()) };
        if first.is_none() {
            *first = Some(packet.credentials);
            received.credentials = tells_identity.then_some(packet.credentials);
            received.address = match &packet.from {
                Address::Unnamed => Vec::new(),
                named => named.to_bytes().unwrap_or_default(),
            };
        }
        let result = copy_out(into, packet.rest());
        let count = result.as_ref().copied().unwrap_or(0);
        let had_rights = !packet.rights.is_empty();
        if had_rights && result.is_ok() {
            if !peeks {
                received.rights = core::mem::take(&mut packet.rights);
            } else if let Ok(rights) = try_collect(packet.rights.iter().map(Arc::clone)) {
                received.rights = rights;
            } else {
                // Those that are only looked at stay; the message says that some are missing.
                received.flags |= MessageFlags::CTRUNC;
            }
        }
        received.len += count;
        if !peeks {
            packet.start += count;
        }
        let is_used_up = packet.rest().is_empty() && !peeks;
        if !is_used_up {
            self.own.put_back(packet);
        }
        if !peeks && count > 0 || is_used_up {
            self.own.left(count, usize::from(is_used_up));
        }
        result?;
        // A look at what is there shows one packet.
        Ok(is_used_up && !had_rights)
    }

    fn receive_packet(
        &self,
        into: &mut dyn Sink,
        flags: MessageFlags,
        is_nonblocking: bool,
    ) -> Result<Received, Errno> {
        let peeks = flags.contains(MessageFlags::PEEK);
        loop {
            if !self.wait_for_packet(is_nonblocking)? {
                // Only a connection has an end that need not be waited for.
                let is_told = self.kind == UnixKind::Packets || !is_nonblocking;
                return if is_told { Ok(Received::default()) } else { Err(Errno::EAGAIN) };
            }
            let _receiving = self.receiving.lock();
            let taken = self.own.take_front(|_| true);
            // Another receiver was quicker.
            let Some(mut packet) = taken else { continue };
            let result = copy_out(into, packet.rest());
            let full_len = packet.bytes.len();
            let mut received = Received { full_len, ..Received::default() };
            if self.passes_credentials.load(Ordering::Relaxed) {
                received.credentials = Some(packet.credentials);
            }
            if packet.from != Address::Unnamed {
                received.address = packet.from.to_bytes().unwrap_or_default();
            }
            if peeks {
                match try_collect(packet.rights.iter().map(Arc::clone)) {
                    Ok(rights) => received.rights = rights,
                    Err(_) => received.flags |= MessageFlags::CTRUNC,
                }
                self.own.put_back(packet);
            } else {
                received.rights = core::mem::take(&mut packet.rights);
                self.own.left(full_len, 1);
            }
            // A message is gone even where its bytes could not be stored.
            received.len = match result {
                Ok(len) => len,
                Err(error) => {
                    bury(received.rights);
                    return Err(error);
                }
            };
            if received.len < full_len {
                received.flags |= MessageFlags::TRUNC;
            }
            return Ok(received);
        }
    }
}
