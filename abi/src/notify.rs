//! Descriptors that tell of events (eventfd(2), timerfd_create(2), signalfd(2), inotify(7), pidfd_open(2)).

use crate::plain::plain;

bitflags::bitflags! {
    /// Flags of eventfd2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EventfdFlags: u32 {
        /// `EFD_SEMAPHORE`.
        const SEMAPHORE = 0x1;
        /// `EFD_CLOEXEC`.
        const CLOEXEC = 0x8_0000;
        /// `EFD_NONBLOCK`.
        const NONBLOCK = 0x800;
    }
}

bitflags::bitflags! {
    /// Flags of timerfd_create(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TimerfdFlags: u32 {
        /// `TFD_CLOEXEC`.
        const CLOEXEC = 0x8_0000;
        /// `TFD_NONBLOCK`.
        const NONBLOCK = 0x800;
    }
}

bitflags::bitflags! {
    /// Flags of timerfd_settime(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TimerfdSetFlags: u32 {
        /// `TFD_TIMER_ABSTIME`.
        const TIMER_ABSTIME = 0x1;
        /// `TFD_TIMER_CANCEL_ON_SET`.
        const TIMER_CANCEL_ON_SET = 0x2;
    }
}

bitflags::bitflags! {
    /// Flags of signalfd4(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SignalfdFlags: u32 {
        /// `SFD_CLOEXEC`.
        const CLOEXEC = 0x8_0000;
        /// `SFD_NONBLOCK`.
        const NONBLOCK = 0x800;
    }
}

bitflags::bitflags! {
    /// Flags of inotify_init1(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct InotifyFlags: u32 {
        /// `IN_CLOEXEC`.
        const CLOEXEC = 0x8_0000;
        /// `IN_NONBLOCK`.
        const NONBLOCK = 0x800;
    }
}

bitflags::bitflags! {
    /// What inotify(7) watches for and tells.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct InotifyMask: u32 {
        /// `IN_ACCESS`.
        const ACCESS = 0x1;
        /// `IN_MODIFY`.
        const MODIFY = 0x2;
        /// `IN_ATTRIB`.
        const ATTRIB = 0x4;
        /// `IN_CLOSE_WRITE`.
        const CLOSE_WRITE = 0x8;
        /// `IN_CLOSE_NOWRITE`.
        const CLOSE_NOWRITE = 0x10;
        /// `IN_OPEN`.
        const OPEN = 0x20;
        /// `IN_MOVED_FROM`.
        const MOVED_FROM = 0x40;
        /// `IN_MOVED_TO`.
        const MOVED_TO = 0x80;
        /// `IN_CREATE`.
        const CREATE = 0x100;
        /// `IN_DELETE`.
        const DELETE = 0x200;
        /// `IN_DELETE_SELF`.
        const DELETE_SELF = 0x400;
        /// `IN_MOVE_SELF`.
        const MOVE_SELF = 0x800;
        /// `IN_UNMOUNT`.
        const UNMOUNT = 0x2000;
        /// `IN_Q_OVERFLOW`.
        const Q_OVERFLOW = 0x4000;
        /// `IN_IGNORED`.
        const IGNORED = 0x8000;
        /// `IN_ONLYDIR`.
        const ONLYDIR = 0x100_0000;
        /// `IN_DONT_FOLLOW`.
        const DONT_FOLLOW = 0x200_0000;
        /// `IN_EXCL_UNLINK`.
        const EXCL_UNLINK = 0x400_0000;
        /// `IN_MASK_CREATE`.
        const MASK_CREATE = 0x1000_0000;
        /// `IN_MASK_ADD`.
        const MASK_ADD = 0x2000_0000;
        /// `IN_ISDIR`.
        const ISDIR = 0x4000_0000;
        /// `IN_ONESHOT`.
        const ONESHOT = 0x8000_0000;
    }
}

/// The flag of pidfd_open(2): reads would not block.
pub const PIDFD_NONBLOCK: u32 = 0x800;

plain! {
    /// One event of inotify(7), `len` bytes of a NUL-padded name after it (`struct inotify_event`).
    pub struct InotifyEvent {
        pub wd: i32,
        pub mask: u32,
        pub cookie: u32,
        pub len: u32,
    }

    /// One signal read from signalfd(2) (`struct signalfd_siginfo`).
    pub struct SignalfdSiginfo {
        pub ssi_signo: u32,
        pub ssi_errno: i32,
        pub ssi_code: i32,
        pub ssi_pid: u32,
        pub ssi_uid: u32,
        pub ssi_fd: i32,
        pub ssi_tid: u32,
        pub ssi_band: u32,
        pub ssi_overrun: u32,
        pub ssi_trapno: u32,
        pub ssi_status: i32,
        pub ssi_int: i32,
        pub ssi_ptr: u64,
        pub ssi_utime: u64,
        pub ssi_stime: u64,
        pub ssi_addr: u64,
        pub ssi_addr_lsb: u16,
        pub pad2: u16,
        pub ssi_syscall: i32,
        pub ssi_call_addr: u64,
        pub ssi_arch: u32,
        pub pad: [u8; 28],
    }
}
