//! The machine as a whole (uname(2), sysinfo(2), reboot(2), getrandom(2), personality(2), syslog(2)).

use crate::plain::plain;

bitflags::bitflags! {
    /// Flags of getrandom(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GetrandomFlags: u32 {
        /// `GRND_NONBLOCK`.
        const NONBLOCK = 0x1;
        /// `GRND_RANDOM`.
        const RANDOM = 0x2;
        /// `GRND_INSECURE`.
        const INSECURE = 0x4;
    }
}

// Magic numbers and commands of reboot(2).
pub const LINUX_REBOOT_MAGIC1: u32 = 0xfee1_dead;
pub const LINUX_REBOOT_MAGIC2: u32 = 0x2812_1969;
pub const LINUX_REBOOT_MAGIC2A: u32 = 0x512_1996;
pub const LINUX_REBOOT_MAGIC2B: u32 = 0x1604_1998;
pub const LINUX_REBOOT_MAGIC2C: u32 = 0x2011_2000;
pub const LINUX_REBOOT_CMD_RESTART: u32 = 0x123_4567;
pub const LINUX_REBOOT_CMD_HALT: u32 = 0xcdef_0123;
pub const LINUX_REBOOT_CMD_CAD_ON: u32 = 0x89ab_cdef;
pub const LINUX_REBOOT_CMD_CAD_OFF: u32 = 0x0;
pub const LINUX_REBOOT_CMD_POWER_OFF: u32 = 0x4321_fedc;
pub const LINUX_REBOOT_CMD_RESTART2: u32 = 0xa1b2_c3d4;
pub const LINUX_REBOOT_CMD_SW_SUSPEND: u32 = 0xd000_fce2;
pub const LINUX_REBOOT_CMD_KEXEC: u32 = 0x4558_4543;

bitflags::bitflags! {
    /// Ways in which a program may ask to be treated (personality(2)). The low byte is the domain, 0 for Linux.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Personality: u32 {
        /// `ADDR_NO_RANDOMIZE`.
        const ADDR_NO_RANDOMIZE = 0x4_0000;
        /// `MMAP_PAGE_ZERO`.
        const MMAP_PAGE_ZERO = 0x10_0000;
        /// `ADDR_COMPAT_LAYOUT`.
        const ADDR_COMPAT_LAYOUT = 0x20_0000;
        /// `READ_IMPLIES_EXEC`.
        const READ_IMPLIES_EXEC = 0x40_0000;
        /// `ADDR_LIMIT_32BIT`.
        const ADDR_LIMIT_32BIT = 0x80_0000;
        /// `SHORT_INODE`.
        const SHORT_INODE = 0x100_0000;
        /// `WHOLE_SECONDS`.
        const WHOLE_SECONDS = 0x200_0000;
        /// `STICKY_TIMEOUTS`.
        const STICKY_TIMEOUTS = 0x400_0000;
        /// `ADDR_LIMIT_3GB`.
        const ADDR_LIMIT_3GB = 0x800_0000;
        /// `UNAME26`.
        const UNAME26 = 0x2_0000;
    }
}

/// The length of each string of [`Utsname`], its NUL among it.
pub const UTSNAME_LENGTH: usize = 65;

/// What [`Sysinfo::loads`] counts a load of one as: 16 bits after the point.
pub const LOAD_SHIFT: u32 = 16;

plain! {
    /// The answer of uname(2) (`struct new_utsname`); strings end with NUL.
    pub struct Utsname {
        pub sysname: [u8; UTSNAME_LENGTH],
        pub nodename: [u8; UTSNAME_LENGTH],
        pub release: [u8; UTSNAME_LENGTH],
        pub version: [u8; UTSNAME_LENGTH],
        pub machine: [u8; UTSNAME_LENGTH],
        pub domainname: [u8; UTSNAME_LENGTH],
    }

    /// The answer of sysinfo(2) (`struct sysinfo`); sizes are in units of `mem_unit` bytes.
    pub struct Sysinfo {
        pub uptime: i64,
        pub loads: [u64; 3],
        pub totalram: u64,
        pub freeram: u64,
        pub sharedram: u64,
        pub bufferram: u64,
        pub totalswap: u64,
        pub freeswap: u64,
        pub procs: u16,
        pub pad: [u8; 6],
        pub totalhigh: u64,
        pub freehigh: u64,
        pub mem_unit: u32,
        pub pad_end: u32,
    }
}

// Actions of syslog(2).
pub const SYSLOG_ACTION_CLOSE: i32 = 0;
pub const SYSLOG_ACTION_OPEN: i32 = 1;
pub const SYSLOG_ACTION_READ: i32 = 2;
pub const SYSLOG_ACTION_READ_ALL: i32 = 3;
pub const SYSLOG_ACTION_READ_CLEAR: i32 = 4;
pub const SYSLOG_ACTION_CLEAR: i32 = 5;
pub const SYSLOG_ACTION_CONSOLE_OFF: i32 = 6;
pub const SYSLOG_ACTION_CONSOLE_ON: i32 = 7;
pub const SYSLOG_ACTION_CONSOLE_LEVEL: i32 = 8;
pub const SYSLOG_ACTION_SIZE_UNREAD: i32 = 9;
pub const SYSLOG_ACTION_SIZE_BUFFER: i32 = 10;
