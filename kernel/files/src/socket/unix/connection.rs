//! Names and connections: bind(2), listen(2), connect(2), accept(2).

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::socket::{AF_UNIX, AF_UNSPEC, SOMAXCONN};
use abi::stat::S_IFSOCK;
use machine::heap::{Grow, try_arc};
use threads::WaitError;
use threads::poll::Events;

use super::address::Address;
use super::{Backlog, UnixSocket};
use crate::credentials::Access;
use crate::metadata::Kind;
use crate::socket::SocketCaller;
use crate::walk::Lookup;

/// What hangs on the inode of a socket's path.
struct Bound(Weak<UnixSocket>);

/// Makes the file that shows where a socket is: EADDRINUSE where there is one.
fn make_place(caller: &SocketCaller<'_>, path: &[u8]) -> Result<crate::Path, Errno> {
    let made = caller.context.make_node(None, path, S_IFSOCK | 0o777, 0);
    made.map_err(|error| if error == Errno::EEXIST { Errno::EADDRINUSE } else { error })
}

impl UnixSocket {
    pub(super) fn bind_to(&self, caller: &SocketCaller<'_>, address: &[u8]) -> Result<(), Errno> {
        // The family alone asks for any name.
        let wanted =
            if address == AF_UNIX.to_ne_bytes() { Address::Unnamed } else { Address::parse(address)? };
        if self.own.address() != Address::Unnamed {
            return match &wanted {
                // It has a name, and any would have done.
                Address::Unnamed => Ok(()),
                Address::Abstract(_) => Err(Errno::EINVAL),
                // What is wrong with the path is said first.
                Address::Path(path) => {
                    make_place(caller, path)?;
                    caller.context.unlink(None, path)?;
                    Err(Errno::EINVAL)
                }
            };
        }
        let bound = match wanted {
            Address::Unnamed => Address::Abstract(self.namespace.bind_any(&self.me)?),
            Address::Abstract(name) => {
                self.namespace.bind(&name, Weak::clone(&self.me))?;
                Address::Abstract(name)
            }
            Address::Path(path) => {
                let bound = try_arc(Bound(Weak::clone(&self.me)))?;
                let place = make_place(caller, &path)?;
                let attachment = place.inode().attachment().ok_or(Errno::EOPNOTSUPP)?;
                attachment.attach(bound);
                Address::Path(path)
            }
        };
        *self.own.address.lock() = bound;
        self.owns_name.store(true, Ordering::Release);
        Ok(())
    }

    /// The socket at an address: ECONNREFUSED where there is none, and the errors of finding a path.
    pub(super) fn find(&self, caller: &SocketCaller<'_>, address: &Address) -> Result<Arc<Self>, Errno> {
        match address {
            Address::Unnamed => Err(Errno::ECONNREFUSED),
            Address::Abstract(name) => self.namespace.find(name).ok_or(Errno::ECONNREFUSED),
            Address::Path(path) => {
                let place = caller.context.look_up(None, path, Lookup::FOLLOW)?;
                let file = place.inode().ownership();
                caller.context.check_access(&place, Access::WRITE)?;
                if Kind::of_mode(file.mode) != Kind::Socket {
                    return Err(Errno::ECONNREFUSED);
                }
                let bound = place.inode().attachment().and_then(|attachment| attachment.get::<Bound>());
                bound.and_then(|bound| bound.0.upgrade()).ok_or(Errno::ECONNREFUSED)
            }
        }
    }

    pub(super) fn start_listening(&self, caller: &SocketCaller<'_>, backlog: i32) -> Result<(), Errno> {
        if self.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.own.address() == Address::Unnamed || self.peer().is_some() {
            return Err(Errno::EINVAL);
        }
        // A negative backlog is as large as can be (listen(2)).
        let most = u32::try_from(backlog).map_or(SOMAXCONN, |backlog| backlog.min(SOMAXCONN)) as usize;
        *self.own.credentials.lock() = caller.identity();
        let mut state = self.backlog.lock();
        match &mut *state {
            Some(known) => known.most = most,
            None => *state = Some(Backlog { waiting: VecDeque::new(), most }),
        }
        drop(state);
        self.accepted.wake_all();
        Ok(())
    }

    pub(super) fn connect_to(
        &self,
        caller: &SocketCaller<'_>,
        address: &[u8],
        is_nonblocking: bool,
    ) -> Result<(), Errno> {
        if self.is_datagram() {
            return self.connect_datagrams(caller, address);
        }
        let address = Address::parse(address)?;
        *self.own.credentials.lock() = caller.identity();
        loop {
            let listener = self.find(caller, &address)?;
            if listener.kind != self.kind {
                return Err(Errno::EPROTOTYPE);
            }
            if !listener.is_listening() || listener.own.has_reading_ended() {
                return Err(Errno::ECONNREFUSED);
            }
            // That there is a listener is what Linux looks at first.
            if self.is_listening() {
                return Err(Errno::EINVAL);
            }
            if self.peer().is_some() {
                return Err(Errno::EISCONN);
            }
            if self.enter_backlog(&listener)? {
                return Ok(());
            }
            if is_nonblocking {
                return Err(Errno::EAGAIN);
            }
            let ready = || {
                let backlog = listener.backlog.lock();
                backlog.as_ref().is_none_or(|backlog| backlog.waiting.len() <= backlog.most).then_some(())
            };
            match listener.accepted.wait_until(Self::wait(&self.send_timeout_ns), ready) {
                Ok(()) => {}
                Err(WaitError::Interrupted) => return Err(Errno::EINTR),
                Err(WaitError::TimedOut) => return Err(Errno::EAGAIN),
            }
        }
    }

    /// Puts the other half of a connection into a listener's backlog; false when that is full. The connection is up from then on,
    /// accepted or not.
    fn enter_backlog(&self, listener: &Arc<Self>) -> Result<bool, Errno> {
        // The accepted socket carries the listener's name and the identity that listened.
        let half = Self::new(self.kind, &self.namespace, Address::Unnamed, listener.own.credentials())?;
        *half.own.address.lock() = listener.own.address();
        *half.peer.lock() = Some(Arc::clone(&self.own));
        {
            let mut backlog = listener.backlog.lock();
            let Some(backlog) = &mut *backlog else { return Err(Errno::ECONNREFUSED) };
            if backlog.waiting.len() > backlog.most {
                return Ok(false);
            }
            backlog.waiting.try_grow(1)?;
            let mut peer = self.peer.lock_nested();
            if peer.is_some() {
                return Err(Errno::EISCONN);
            }
            *peer = Some(Arc::clone(&half.own));
            drop(peer);
            backlog.waiting.push_back(half);
        }
        listener.arrived.wake_one();
        listener.events.notify(Events::IN | Events::RDNORM);
        self.events.notify(Events::OUT | Events::WRNORM);
        Ok(true)
    }

    pub(super) fn take_connection(&self, is_nonblocking: bool) -> Result<Arc<Self>, Errno> {
        if self.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.is_listening() {
            return Err(Errno::EINVAL);
        }
        let take = || {
            let mut backlog = self.backlog.lock();
            match &mut *backlog {
                Some(backlog) => backlog.waiting.pop_front().map(Ok),
                None => Some(Err(Errno::EINVAL)),
            }
        };
        let taken = match take() {
            Some(taken) => taken?,
            None if is_nonblocking => return Err(Errno::EAGAIN),
            None => match self.arrived.wait_until(Self::wait(&self.receive_timeout_ns), take) {
                Ok(taken) => taken?,
                Err(WaitError::Interrupted) => return Err(Errno::EINTR),
                Err(WaitError::TimedOut) => return Err(Errno::EAGAIN),
            },
        };
        self.accepted.wake_one();
        Ok(taken)
    }

    /// Names the socket that datagrams go to and come from; an address of no family forgets it.
    fn connect_datagrams(&self, caller: &SocketCaller<'_>, address: &[u8]) -> Result<(), Errno> {
        let family = address.first_chunk::<2>().map(|family| u16::from_ne_bytes(*family));
        let peer = match family {
            Some(AF_UNSPEC) => None,
            Some(AF_UNIX) => {
                let target = self.find(caller, &Address::parse(address)?)?;
                if target.kind != self.kind {
                    return Err(Errno::EPROTOTYPE);
                }
                if !target.takes_from(&self.own) {
                    return Err(Errno::EPERM);
                }
                Some(Arc::clone(&target.own))
            }
            _ => return Err(Errno::EINVAL),
        };
        let old = core::mem::replace(&mut *self.peer.lock(), peer);
        drop(old);
        self.events.notify(Events::OUT | Events::WRNORM);
        Ok(())
    }
}
