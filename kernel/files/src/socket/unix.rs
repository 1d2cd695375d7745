//! AF_UNIX sockets (unix(7)): streams, datagrams and sequenced packets between processes of one machine, with open files and
//! identities as passengers.
//!
//! ```text
//!   socket A ── own ──► Side A (inbox, address, identity) ◄── peer ── socket B
//!   socket A ── peer ─► Side B                            ◄── own ─── socket B
//! ```
//!
//! What A sends goes into Side B. Bytes are copied once into a packet and once out of it, with no lock held.

mod address;
mod circles;
mod connection;
mod inbox;
mod options;
mod transfer;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::ioctl::{FIONREAD, TIOCOUTQ};
use abi::socket::{AF_UNIX, MessageFlags, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, Ucred};
use abi::stat::S_IFSOCK;
use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_arc_cyclic, try_format};
use machine::list::List;
use machine::sync::{Rank, SpinLock};
use memory::{Sink, Source};
use threads::poll::{Events, PollSource, Pollable, Waiter};
use threads::{Mutex, Wait, WaitQueue};

use super::{Message, Received, Shutdown, Socket, SocketCaller};
use crate::anonymous::{Home, Identity, path};
use crate::credentials::Ownership;
use crate::file::{File, IoctlArgument, Transfer};
use crate::inode::{Inode, Opening};
use crate::locks::FileLocks;
use crate::metadata::{Metadata, MetadataChange};
use crate::open_file::OpenFile;

use address::Address;
pub use address::UnixNamespace;
pub use circles::socket_was_closed;
use inbox::Side;

/// How bytes are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixKind {
    /// SOCK_STREAM: bytes.
    Stream,
    /// SOCK_DGRAM: messages, to anybody.
    Datagram,
    /// SOCK_SEQPACKET: messages, over a connection.
    Packets,
}

impl UnixKind {
    /// The kind that socket(2)'s second argument asks for, without its flags: ESOCKTNOSUPPORT. SOCK_RAW means datagrams.
    pub const fn new(kind: u32) -> Result<Self, Errno> {
        match kind {
            SOCK_STREAM => Ok(Self::Stream),
            SOCK_DGRAM | SOCK_RAW => Ok(Self::Datagram),
            SOCK_SEQPACKET => Ok(Self::Packets),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        }
    }
}

/// Connections that nobody has accepted yet.
struct Backlog {
    waiting: VecDeque<Arc<UnixSocket>>,
    most: usize,
}

/// A socket of AF_UNIX.
pub struct UnixSocket {
    me: Weak<UnixSocket>,
    kind: UnixKind,
    namespace: Arc<UnixNamespace>,
    own: Arc<Side>,
    peer: SpinLock<Option<Arc<Side>>>,
    /// Some while it listens.
    backlog: SpinLock<Option<Backlog>>,
    /// Woken when a connection waits, and when one has been taken.
    arrived: WaitQueue,
    accepted: WaitQueue,
    events: PollSource,
    /// The name was given by bind(2); an accepted socket only shows its listener's.
    owns_name: AtomicBool,
    /// Held by a receiver while it copies, so that two do not tear what the other takes.
    receiving: Mutex<()>,
    /// Nothing is sent any more (shutdown(2)).
    writing_has_ended: AtomicBool,
    passes_credentials: AtomicBool,
    /// SO_RCVTIMEO and SO_SNDTIMEO, in nanoseconds; 0 for none.
    receive_timeout_ns: AtomicU64,
    send_timeout_ns: AtomicU64,
}

/// Open files that were on their way in a socket that has gone. Closing one can close another socket, which has files on their
/// way in turn: whoever is closing already goes on with those, so that no chain of them uses up the stack.
static GRAVEYARD: SpinLock<Graveyard> =
    SpinLock::new(Rank::Stream, Graveyard { files: List::new(), is_attended: false });

struct Graveyard {
    files: List<OpenFile, Buried>,
    is_attended: bool,
}

/// Marks the link by which an open file is in the graveyard.
pub(crate) enum Buried {}

/// Drops open files one after the other.
fn bury(files: Vec<Arc<OpenFile>>) {
    if files.is_empty() {
        return;
    }
    {
        let mut graveyard = GRAVEYARD.lock();
        for file in files {
            // One that is there already is closed there, or later.
            let _ = graveyard.files.push_back(file);
        }
        if core::mem::replace(&mut graveyard.is_attended, true) {
            return;
        }
    }
    loop {
        let next = {
            let mut graveyard = GRAVEYARD.lock();
            let next = graveyard.files.pop_front();
            graveyard.is_attended = next.is_some();
            next
        };
        match next {
            Some(file) => drop(file),
            None => return,
        }
    }
}

impl UnixSocket {
    fn new(
        kind: UnixKind,
        namespace: &Arc<UnixNamespace>,
        address: Address,
        identity: Ucred,
    ) -> Result<Arc<Self>, OutOfMemory> {
        let own = Side::new(address, identity)?;
        try_arc_cyclic(|me| Self {
            me: Weak::clone(me),
            kind,
            namespace: Arc::clone(namespace),
            own,
            peer: SpinLock::new(Rank::Stream, None),
            backlog: SpinLock::new(Rank::Stream, None),
            arrived: WaitQueue::new(),
            accepted: WaitQueue::new(),
            events: PollSource::new(),
            owns_name: AtomicBool::new(false),
            receiving: Mutex::new(()),
            writing_has_ended: AtomicBool::new(false),
            passes_credentials: AtomicBool::new(false),
            receive_timeout_ns: AtomicU64::new(0),
            send_timeout_ns: AtomicU64::new(0),
        })
    }

    /// Visits the files that wait in the inbox, and in those of connections that nobody has accepted.
    fn each_waiting(&self, visit: &mut dyn FnMut(&OpenFile)) {
        self.own.each_right(visit);
        if let Some(backlog) = &*self.backlog.lock() {
            for half in &backlog.waiting {
                half.own.each_right_nested(visit);
            }
        }
    }

    /// Throws away what waits, as when the socket goes.
    fn empty(&self) {
        self.own.clear();
        let backlog = self.backlog.lock().take();
        drop(backlog);
    }

    fn peer(&self) -> Option<Arc<Side>> {
        self.peer.lock().clone()
    }

    fn is_listening(&self) -> bool {
        self.backlog.lock().is_some()
    }

    fn is_datagram(&self) -> bool {
        self.kind == UnixKind::Datagram
    }

    fn wait(timeout_ns: &AtomicU64) -> Wait {
        match timeout_ns.load(Ordering::Relaxed) {
            0 => Wait::INTERRUPTIBLE,
            ns => Wait::INTERRUPTIBLE.with_deadline(machine::clock::now_ns().saturating_add(ns)),
        }
    }

    fn to_open_file(self: Arc<Self>) -> Result<Arc<OpenFile>, OutOfMemory> {
        let identity = self.own.credentials();
        let inode = SocketInode::new(identity.uid, identity.gid)?;
        OpenFile::new(self, path(Home::Sockets, inode)?, OpenFlags::RDWR, false)
    }
}

/// socket(2) for AF_UNIX.
pub fn create(
    kind: UnixKind,
    namespace: &Arc<UnixNamespace>,
    identity: Ucred,
) -> Result<Arc<OpenFile>, OutOfMemory> {
    UnixSocket::new(kind, namespace, Address::Unnamed, identity)?.to_open_file()
}

/// socketpair(2): two sockets connected to each other.
pub fn create_pair(
    kind: UnixKind,
    namespace: &Arc<UnixNamespace>,
    identity: Ucred,
) -> Result<(Arc<OpenFile>, Arc<OpenFile>), OutOfMemory> {
    let first = UnixSocket::new(kind, namespace, Address::Unnamed, identity)?;
    let second = UnixSocket::new(kind, namespace, Address::Unnamed, identity)?;
    *first.peer.lock() = Some(Arc::clone(&second.own));
    *second.peer.lock() = Some(Arc::clone(&first.own));
    Ok((first.to_open_file()?, second.to_open_file()?))
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Address::Abstract(name) = self.own.address()
            && *self.owns_name.get_mut()
        {
            self.namespace.release(&name);
        }
        let had_unread = self.own.clear();
        self.own.end_reading();
        if let Some(peer) = self.peer.get_mut().take()
            && self.kind != UnixKind::Datagram
        {
            if had_unread {
                peer.error.store(i32::from(Errno::ECONNRESET.number()), Ordering::Release);
            }
            peer.end_writing();
        }
        if let Some(backlog) = self.backlog.get_mut().take() {
            // Whoever is connected already and will never be accepted is cut off.
            for waiting in &backlog.waiting {
                if let Some(peer) = waiting.peer() {
                    peer.error.store(i32::from(Errno::ECONNRESET.number()), Ordering::Release);
                }
            }
        }
        self.accepted.wake_all();
    }
}

impl Pollable for UnixSocket {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        let peer = self.peer();
        if let Some(waiter) = waiter {
            waiter.watch(&self.events, interest);
            waiter.watch(&self.own.read_events, interest);
            if let Some(peer) = &peer {
                waiter.watch(&peer.write_events, interest);
            }
        }
        let mut ready = Events::empty();
        if let Some(backlog) = &*self.backlog.lock() {
            ready.set(Events::IN | Events::RDNORM, !backlog.waiting.is_empty());
            return ready & interest;
        }
        let own_ended = self.own.has_writing_ended();
        let reading_ended = own_ended || self.own.has_reading_ended();
        ready.set(Events::IN | Events::RDNORM, !self.own.is_empty() || reading_ended);
        ready.set(Events::RDHUP, reading_ended);
        ready.set(Events::ERR, self.own.error.load(Ordering::Acquire) != 0);
        match &peer {
            Some(peer) => {
                let is_writable = peer.has_reading_ended() || !peer.is_full(self.is_datagram());
                ready.set(Events::OUT | Events::WRNORM | Events::WRBAND, is_writable);
                let both_ended = reading_ended && (peer.has_reading_ended() || peer.has_writing_ended());
                ready.set(Events::HUP, both_ended && !self.is_datagram());
            }
            None => {
                ready |= Events::OUT | Events::WRNORM | Events::WRBAND;
                // A socket that could be connected and is not has hung up.
                ready.set(Events::HUP, !self.is_datagram());
            }
        }
        ready & (interest | Events::ALWAYS)
    }
}

impl File for UnixSocket {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        if into.remaining() == 0 {
            return Ok(0);
        }
        let received = self.receive_message(into, MessageFlags::empty(), how.is_nonblocking)?;
        // Files that nobody asked for are closed.
        bury(received.rights);
        Ok(received.len)
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        let identity = self.own.credentials();
        self.send_message(None, from, Message::default(), identity, how.is_nonblocking)
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        let value = match request {
            FIONREAD if self.is_listening() => return Err(Errno::EINVAL),
            // For messages: the length of the next.
            FIONREAD if self.kind != UnixKind::Stream => {
                self.own.packets.lock().front().map_or(0, |packet| packet.bytes.len())
            }
            FIONREAD => self.own.bytes.load(Ordering::Acquire),
            TIOCOUTQ => self.peer().map_or(0, |peer| peer.bytes.load(Ordering::Acquire)),
            _ => return Err(Errno::ENOTTY),
        };
        argument.write(&(value as i32).to_ne_bytes())?;
        Ok(0)
    }

    fn as_socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }
}

impl Socket for UnixSocket {
    fn domain(&self) -> i32 {
        i32::from(AF_UNIX)
    }

    fn kind(&self) -> i32 {
        let kind = match self.kind {
            UnixKind::Stream => SOCK_STREAM,
            UnixKind::Datagram => SOCK_DGRAM,
            UnixKind::Packets => SOCK_SEQPACKET,
        };
        kind as i32
    }

    fn bind(&self, caller: &SocketCaller<'_>, address: &[u8]) -> Result<(), Errno> {
        self.bind_to(caller, address)
    }

    fn connect(&self, caller: &SocketCaller<'_>, address: &[u8], is_nonblocking: bool) -> Result<(), Errno> {
        self.connect_to(caller, address, is_nonblocking)
    }

    fn listen(&self, caller: &SocketCaller<'_>, backlog: i32) -> Result<(), Errno> {
        self.start_listening(caller, backlog)
    }

    fn accept(&self, is_nonblocking: bool) -> Result<Arc<OpenFile>, Errno> {
        Ok(self.take_connection(is_nonblocking)?.to_open_file()?)
    }

    fn local_address(&self) -> Result<Vec<u8>, Errno> {
        Ok(self.own.address().to_bytes()?)
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        Ok(self.peer().ok_or(Errno::ENOTCONN)?.address().to_bytes()?)
    }

    fn send(
        &self,
        caller: &SocketCaller<'_>,
        from: &mut dyn Source,
        message: Message<'_>,
        is_nonblocking: bool,
    ) -> Result<usize, Errno> {
        self.send_message(Some(caller), from, message, caller.identity(), is_nonblocking)
    }

    fn receive(
        &self,
        into: &mut dyn Sink,
        flags: MessageFlags,
        is_nonblocking: bool,
    ) -> Result<Received, Errno> {
        self.receive_message(into, flags, is_nonblocking)
    }

    fn shutdown(&self, what: Shutdown) -> Result<(), Errno> {
        let peer = self.peer();
        if what.reading {
            self.own.end_reading();
            self.own.end_writing();
        }
        if what.writing
            && let Some(peer) = &peer
        {
            if self.kind != UnixKind::Datagram {
                peer.end_writing();
            }
            self.own.wake_all();
            self.writing_has_ended.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn option(&self, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        self.get_option(level, name)
    }

    fn set_option(
        &self,
        _caller: &SocketCaller<'_>,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        self.put_option(level, name, value)
    }
}

/// What fstat(2) shows of a socket.
struct SocketInode(Identity);

impl SocketInode {
    fn new(uid: u32, gid: u32) -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self(Identity::new(S_IFSOCK | 0o777, uid, gid)))
    }
}

impl Inode for SocketInode {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    fn set_metadata(&self, change: &MetadataChange) -> Result<(), Errno> {
        self.0.change(change);
        Ok(())
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(self.0.locks())
    }

    fn ownership(&self) -> Ownership {
        self.0.ownership()
    }

    fn open(self: Arc<Self>, _opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }

    fn label(&self) -> Result<Option<String>, Errno> {
        Ok(Some(try_format(format_args!("socket:[{}]", self.0.number))?))
    }
}
