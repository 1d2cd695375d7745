//! Waiting for descriptors (poll(2), select(2), epoll(7)).

use crate::plain::plain;

bitflags::bitflags! {
    /// What poll(2) waits for and finds.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PollFlags: u16 {
        /// `POLLIN`.
        const IN = 0x1;
        /// `POLLPRI`.
        const PRI = 0x2;
        /// `POLLOUT`.
        const OUT = 0x4;
        /// `POLLERR`.
        const ERR = 0x8;
        /// `POLLHUP`.
        const HUP = 0x10;
        /// `POLLNVAL`.
        const NVAL = 0x20;
        /// `POLLRDNORM`.
        const RDNORM = 0x40;
        /// `POLLRDBAND`.
        const RDBAND = 0x80;
        /// `POLLWRNORM`.
        const WRNORM = 0x100;
        /// `POLLWRBAND`.
        const WRBAND = 0x200;
        /// `POLLMSG`.
        const MSG = 0x400;
        /// `POLLREMOVE`.
        const REMOVE = 0x1000;
        /// `POLLRDHUP`.
        const RDHUP = 0x2000;
    }
}

bitflags::bitflags! {
    /// What epoll_wait(2) waits for and finds; the low bits are those of [`PollFlags`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EpollFlags: u32 {
        /// `EPOLLIN`.
        const IN = 0x1;
        /// `EPOLLPRI`.
        const PRI = 0x2;
        /// `EPOLLOUT`.
        const OUT = 0x4;
        /// `EPOLLERR`.
        const ERR = 0x8;
        /// `EPOLLHUP`.
        const HUP = 0x10;
        /// `EPOLLNVAL`.
        const NVAL = 0x20;
        /// `EPOLLRDNORM`.
        const RDNORM = 0x40;
        /// `EPOLLRDBAND`.
        const RDBAND = 0x80;
        /// `EPOLLWRNORM`.
        const WRNORM = 0x100;
        /// `EPOLLWRBAND`.
        const WRBAND = 0x200;
        /// `EPOLLMSG`.
        const MSG = 0x400;
        /// `EPOLLRDHUP`.
        const RDHUP = 0x2000;
        /// `EPOLLEXCLUSIVE`.
        const EXCLUSIVE = 0x1000_0000;
        /// `EPOLLWAKEUP`.
        const WAKEUP = 0x2000_0000;
        /// `EPOLLONESHOT`.
        const ONESHOT = 0x4000_0000;
        /// `EPOLLET`.
        const ET = 0x8000_0000;
    }
}

// Operations of epoll_ctl(2).
pub const EPOLL_CTL_ADD: i32 = 1;
pub const EPOLL_CTL_DEL: i32 = 2;
pub const EPOLL_CTL_MOD: i32 = 3;
/// The flag of epoll_create1(2).
pub const EPOLL_CLOEXEC: u32 = 0x8_0000;

/// The bits in the sets of select(2).
pub const FD_SETSIZE: usize = 1024;

plain! {
    /// One descriptor of poll(2) (`struct pollfd`).
    pub struct Pollfd {
        pub fd: i32,
        pub events: u16,
        pub revents: u16,
    }

    /// One event of epoll (`struct epoll_event`), packed on this architecture alone.
    #[repr(packed)]
    pub struct EpollEvent {
        pub events: u32,
        pub data: u64,
    }

    /// The last argument of pselect6(2): the address of a signal set and its size.
    pub struct SelectSigmask {
        pub ss: u64,
        pub ss_len: u64,
    }
}
