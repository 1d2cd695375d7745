//! Sockets as files (socket(7)): what a family has to offer, and the family AF_UNIX. AF_INET is wrapped by whoever owns the network.

pub mod unix;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::socket::{MessageFlags, Ucred};
use memory::{Sink, Source};

use crate::open_file::OpenFile;
use crate::walk::Context;

/// The process that makes a call on a socket.
#[derive(Clone, Copy)]
pub struct SocketCaller<'a> {
    /// How it sees files, for sockets with a path.
    pub context: Context<'a>,
    /// Its process id, for SCM_CREDENTIALS.
    pub process: i32,
}

impl SocketCaller<'_> {
    /// Who it is, as SO_PEERCRED and SCM_CREDENTIALS tell.
    pub fn identity(&self) -> Ucred {
        let credentials = self.context.credentials;
        Ucred { pid: self.process, uid: credentials.euid, gid: credentials.egid }
    }
}

/// What is sent besides the bytes.
#[derive(Default)]
pub struct Message<'a> {
    /// To whom, for a socket that is not connected; the whole `struct sockaddr`.
    pub address: Option<&'a [u8]>,
    /// Open files to hand over (SCM_RIGHTS).
    pub rights: Vec<Arc<OpenFile>>,
    /// Who the sender says it is (SCM_CREDENTIALS), checked by the caller.
    pub credentials: Option<Ucred>,
    /// `MSG_DONTWAIT`, `MSG_NOSIGNAL`, `MSG_EOR` ...
    pub flags: MessageFlags,
}

/// What came besides the bytes.
#[derive(Default)]
pub struct Received {
    /// Bytes put into the sink.
    pub len: usize,
    /// Bytes of the message, where the sink was too short for it (`MSG_TRUNC`).
    pub full_len: usize,
    /// From whom; empty for a sender without a name.
    pub address: Vec<u8>,
    /// Open files handed over.
    pub rights: Vec<Arc<OpenFile>>,
    /// Who the sender is, where SO_PASSCRED asks for it.
    pub credentials: Option<Ucred>,
    /// `MSG_TRUNC`, `MSG_CTRUNC`.
    pub flags: MessageFlags,
}

/// Which halves shutdown(2) closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Nothing is received any more.
    pub reading: bool,
    /// Nothing is sent any more.
    pub writing: bool,
}

/// What can be asked of a socket besides reading and writing. Everything may sleep; `is_nonblocking` makes it fail with EAGAIN
/// instead (connect: EINPROGRESS or EAGAIN).
pub trait Socket: Send + Sync {
    /// `AF_*`.
    fn domain(&self) -> i32;
    /// `SOCK_*`.
    fn kind(&self) -> i32;
    /// The protocol number.
    fn protocol(&self) -> i32 {
        0
    }
    /// bind(2).
    fn bind(&self, caller: &SocketCaller<'_>, address: &[u8]) -> Result<(), Errno>;
    /// connect(2).
    fn connect(&self, caller: &SocketCaller<'_>, address: &[u8], is_nonblocking: bool) -> Result<(), Errno>;
    /// listen(2).
    fn listen(&self, caller: &SocketCaller<'_>, backlog: i32) -> Result<(), Errno>;
    /// accept(2): an open file for the new connection, blocking and without flags.
    fn accept(&self, is_nonblocking: bool) -> Result<Arc<OpenFile>, Errno>;
    /// getsockname(2): the whole `struct sockaddr`.
    fn local_address(&self) -> Result<Vec<u8>, Errno>;
    /// getpeername(2): ENOTCONN.
    fn peer_address(&self) -> Result<Vec<u8>, Errno>;
    /// sendmsg(2): EPIPE is the caller's cue to send SIGPIPE, unless `MSG_NOSIGNAL`.
    fn send(
        &self,
        caller: &SocketCaller<'_>,
        from: &mut dyn Source,
        message: Message<'_>,
        is_nonblocking: bool,
    ) -> Result<usize, Errno>;
    /// recvmsg(2).
    fn receive(
        &self,
        into: &mut dyn Sink,
        flags: MessageFlags,
        is_nonblocking: bool,
    ) -> Result<Received, Errno>;
    /// shutdown(2): ENOTCONN.
    fn shutdown(&self, what: Shutdown) -> Result<(), Errno>;
    /// getsockopt(2): the value's bytes. ENOPROTOOPT.
    fn option(&self, level: i32, name: i32) -> Result<Vec<u8>, Errno>;
    /// setsockopt(2).
    fn set_option(&self, caller: &SocketCaller<'_>, level: i32, name: i32, value: &[u8])
    -> Result<(), Errno>;
}
