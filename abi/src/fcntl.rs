//! Opening, duplicating and locking files (open(2), fcntl(2), openat2(2), flock(2), access(2)).

use crate::plain::plain;

bitflags::bitflags! {
    /// How a file is opened: the flags of open(2) besides the two bits of access mode.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpenFlags: u32 {
        /// `O_WRONLY`.
        const WRONLY = 0x1;
        /// `O_RDWR`.
        const RDWR = 0x2;
        /// `O_CREAT`.
        const CREAT = 0x40;
        /// `O_EXCL`.
        const EXCL = 0x80;
        /// `O_NOCTTY`.
        const NOCTTY = 0x100;
        /// `O_TRUNC`.
        const TRUNC = 0x200;
        /// `O_APPEND`.
        const APPEND = 0x400;
        /// `O_NONBLOCK`.
        const NONBLOCK = 0x800;
        /// `O_DSYNC`.
        const DSYNC = 0x1000;
        /// `FASYNC`.
        const FASYNC = 0x2000;
        /// `O_DIRECT`.
        const DIRECT = 0x4000;
        /// `O_LARGEFILE`.
        const LARGEFILE = 0x8000;
        /// `O_DIRECTORY`.
        const DIRECTORY = 0x1_0000;
        /// `O_NOFOLLOW`.
        const NOFOLLOW = 0x2_0000;
        /// `O_NOATIME`.
        const NOATIME = 0x4_0000;
        /// `O_CLOEXEC`.
        const CLOEXEC = 0x8_0000;
        /// `O_SYNC`.
        const SYNC = 0x10_1000;
        /// `O_PATH`.
        const PATH = 0x20_0000;
        /// `O_TMPFILE`.
        const TMPFILE = 0x41_0000;
    }
}

/// The two bits of an open file's flags that say read, write or both; 3 means neither (only ioctl).
pub const O_ACCMODE: u32 = 0x3;
pub const O_RDONLY: u32 = 0x0;
pub const O_WRONLY: u32 = 0x1;
pub const O_RDWR: u32 = 0x2;

impl OpenFlags {
    /// Whether the access mode lets the descriptor read.
    pub const fn can_read(self) -> bool {
        matches!(self.bits() & O_ACCMODE, O_RDONLY | O_RDWR)
    }

    /// Whether the access mode lets the descriptor write.
    pub const fn can_write(self) -> bool {
        matches!(self.bits() & O_ACCMODE, O_WRONLY | O_RDWR)
    }
}

/// The directory descriptor that stands for the working directory.
pub const AT_FDCWD: i32 = -100;

bitflags::bitflags! {
    /// How a path is looked up: the flags of the `*at` calls. Some bits mean two things, by call.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AtFlags: u32 {
        /// `AT_SYMLINK_NOFOLLOW`.
        const SYMLINK_NOFOLLOW = 0x100;
        /// `AT_EACCESS`.
        const EACCESS = 0x200;
        /// `AT_REMOVEDIR`.
        const REMOVEDIR = 0x200;
        /// `AT_SYMLINK_FOLLOW`.
        const SYMLINK_FOLLOW = 0x400;
        /// `AT_NO_AUTOMOUNT`.
        const NO_AUTOMOUNT = 0x800;
        /// `AT_EMPTY_PATH`.
        const EMPTY_PATH = 0x1000;
        /// `AT_STATX_FORCE_SYNC`.
        const STATX_FORCE_SYNC = 0x2000;
        /// `AT_STATX_DONT_SYNC`.
        const STATX_DONT_SYNC = 0x4000;
        /// `AT_RECURSIVE`.
        const RECURSIVE = 0x8000;
    }
}

bitflags::bitflags! {
    /// What openat2(2) forbids a path to pass through.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ResolveFlags: u64 {
        /// `RESOLVE_NO_XDEV`.
        const NO_XDEV = 0x1;
        /// `RESOLVE_NO_MAGICLINKS`.
        const NO_MAGICLINKS = 0x2;
        /// `RESOLVE_NO_SYMLINKS`.
        const NO_SYMLINKS = 0x4;
        /// `RESOLVE_BENEATH`.
        const BENEATH = 0x8;
        /// `RESOLVE_IN_ROOT`.
        const IN_ROOT = 0x10;
        /// `RESOLVE_CACHED`.
        const CACHED = 0x20;
    }
}

bitflags::bitflags! {
    /// Flags of renameat2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RenameFlags: u32 {
        /// `RENAME_NOREPLACE`.
        const NOREPLACE = 0x1;
        /// `RENAME_EXCHANGE`.
        const EXCHANGE = 0x2;
        /// `RENAME_WHITEOUT`.
        const WHITEOUT = 0x4;
    }
}

bitflags::bitflags! {
    /// What access(2) asks for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AccessFlags: u32 {
        /// `W_OK`.
        const W_OK = 0x2;
        /// `R_OK`.
        const R_OK = 0x4;
    }
}

// Commands of fcntl(2).
pub const F_DUPFD: u32 = 0;
pub const F_GETFD: u32 = 1;
pub const F_SETFD: u32 = 2;
pub const F_GETFL: u32 = 3;
pub const F_SETFL: u32 = 4;
pub const F_GETLK: u32 = 5;
pub const F_SETLK: u32 = 6;
pub const F_SETLKW: u32 = 7;
pub const F_SETOWN: u32 = 8;
pub const F_GETOWN: u32 = 9;
pub const F_SETSIG: u32 = 10;
pub const F_GETSIG: u32 = 11;
pub const F_SETOWN_EX: u32 = 15;
pub const F_GETOWN_EX: u32 = 16;
pub const F_GETOWNER_UIDS: u32 = 17;
pub const F_OFD_GETLK: u32 = 36;
pub const F_OFD_SETLK: u32 = 37;
pub const F_OFD_SETLKW: u32 = 38;
pub const F_SETLEASE: u32 = 1024;
pub const F_GETLEASE: u32 = 1025;
pub const F_NOTIFY: u32 = 1026;
pub const F_DUPFD_QUERY: u32 = 1027;
pub const F_CREATED_QUERY: u32 = 1028;
pub const F_CANCELLK: u32 = 1029;
pub const F_DUPFD_CLOEXEC: u32 = 1030;
pub const F_SETPIPE_SZ: u32 = 1031;
pub const F_GETPIPE_SZ: u32 = 1032;
pub const F_ADD_SEALS: u32 = 1033;
pub const F_GET_SEALS: u32 = 1034;
pub const F_GET_RW_HINT: u32 = 1035;
pub const F_SET_RW_HINT: u32 = 1036;
pub const F_GET_FILE_RW_HINT: u32 = 1037;
pub const F_SET_FILE_RW_HINT: u32 = 1038;

/// The only flag of F_SETFD: the descriptor does not survive execve(2).
pub const FD_CLOEXEC: u32 = 1;

// What `F_SETOWN_EX` names.
pub const F_OWNER_TID: i32 = 0;
pub const F_OWNER_PID: i32 = 1;
pub const F_OWNER_PGRP: i32 = 2;

// Kinds of a record lock (`Flock::l_type`).
pub const F_RDLCK: i16 = 0;
pub const F_WRLCK: i16 = 1;
pub const F_UNLCK: i16 = 2;

// Operations of flock(2).
pub const LOCK_SH: u32 = 1;
pub const LOCK_EX: u32 = 2;
pub const LOCK_NB: u32 = 4;
pub const LOCK_UN: u32 = 8;
/// A mandatory lock, of which nothing is left but the bit.
pub const LOCK_MAND: u32 = 32;

bitflags::bitflags! {
    /// What a memory file's seals forbid.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Seals: u32 {
        /// `F_SEAL_SEAL`.
        const SEAL = 0x1;
        /// `F_SEAL_SHRINK`.
        const SHRINK = 0x2;
        /// `F_SEAL_GROW`.
        const GROW = 0x4;
        /// `F_SEAL_WRITE`.
        const WRITE = 0x8;
        /// `F_SEAL_FUTURE_WRITE`.
        const FUTURE_WRITE = 0x10;
        /// `F_SEAL_EXEC`.
        const EXEC = 0x20;
    }
}

// Where lseek(2) counts from.
pub const SEEK_SET: u32 = 0;
pub const SEEK_CUR: u32 = 1;
pub const SEEK_END: u32 = 2;
pub const SEEK_DATA: u32 = 3;
pub const SEEK_HOLE: u32 = 4;

// Advice of posix_fadvise(2).
pub const POSIX_FADV_NORMAL: i32 = 0;
pub const POSIX_FADV_RANDOM: i32 = 1;
pub const POSIX_FADV_SEQUENTIAL: i32 = 2;
pub const POSIX_FADV_WILLNEED: i32 = 3;
pub const POSIX_FADV_DONTNEED: i32 = 4;
pub const POSIX_FADV_NOREUSE: i32 = 5;

bitflags::bitflags! {
    /// Modes of fallocate(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FallocateFlags: u32 {
        /// `FALLOC_FL_KEEP_SIZE`.
        const KEEP_SIZE = 0x1;
        /// `FALLOC_FL_PUNCH_HOLE`.
        const PUNCH_HOLE = 0x2;
        /// `FALLOC_FL_COLLAPSE_RANGE`.
        const COLLAPSE_RANGE = 0x8;
        /// `FALLOC_FL_ZERO_RANGE`.
        const ZERO_RANGE = 0x10;
        /// `FALLOC_FL_INSERT_RANGE`.
        const INSERT_RANGE = 0x20;
        /// `FALLOC_FL_UNSHARE_RANGE`.
        const UNSHARE_RANGE = 0x40;
    }
}

bitflags::bitflags! {
    /// Flags of splice(2), tee(2) and vmsplice(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SpliceFlags: u32 {
        /// `SPLICE_F_MOVE`.
        const MOVE = 0x1;
        /// `SPLICE_F_NONBLOCK`.
        const NONBLOCK = 0x2;
        /// `SPLICE_F_MORE`.
        const MORE = 0x4;
        /// `SPLICE_F_GIFT`.
        const GIFT = 0x8;
    }
}

bitflags::bitflags! {
    /// Flags of preadv2(2) and pwritev2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ReadWriteFlags: u32 {
        /// `RWF_HIPRI`.
        const HIPRI = 0x1;
        /// `RWF_DSYNC`.
        const DSYNC = 0x2;
        /// `RWF_SYNC`.
        const SYNC = 0x4;
        /// `RWF_NOWAIT`.
        const NOWAIT = 0x8;
        /// `RWF_APPEND`.
        const APPEND = 0x10;
    }
}

bitflags::bitflags! {
    /// Flags of sync_file_range(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SyncRangeFlags: u32 {
        /// `SYNC_FILE_RANGE_WAIT_BEFORE`.
        const WAIT_BEFORE = 0x1;
        /// `SYNC_FILE_RANGE_WRITE`.
        const WRITE = 0x2;
        /// `SYNC_FILE_RANGE_WAIT_AFTER`.
        const WAIT_AFTER = 0x4;
    }
}

bitflags::bitflags! {
    /// Flags of memfd_create(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MemfdFlags: u32 {
        /// `MFD_CLOEXEC`.
        const CLOEXEC = 0x1;
        /// `MFD_ALLOW_SEALING`.
        const ALLOW_SEALING = 0x2;
        /// `MFD_HUGETLB`.
        const HUGETLB = 0x4;
        /// `MFD_NOEXEC_SEAL`.
        const NOEXEC_SEAL = 0x8;
        /// `MFD_EXEC`.
        const EXEC = 0x10;
    }
}

bitflags::bitflags! {
    /// Flags of setxattr(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct XattrFlags: u32 {
        /// `XATTR_CREATE`.
        const CREATE = 0x1;
        /// `XATTR_REPLACE`.
        const REPLACE = 0x2;
    }
}

/// Nanosecond values of utimensat(2) that mean "the time now" and "leave it".
pub const UTIME_NOW: i64 = 0x3fff_ffff;
pub const UTIME_OMIT: i64 = 0x3fff_fffe;

/// Limits of names and paths in bytes (the path's with its final NUL), and of one atomic pipe write.
pub const NAME_MAX: usize = 255;
pub const PATH_MAX: usize = 4096;
pub const PIPE_BUF: usize = 4096;
pub const XATTR_NAME_MAX: usize = 255;
pub const XATTR_SIZE_MAX: usize = 65_536;
pub const XATTR_LIST_MAX: usize = 65_536;

/// The most segments of one vectored read or write.
pub const UIO_MAXIOV: usize = 1024;

plain! {
    /// A record lock of fcntl(2) (`struct flock`).
    pub struct Flock {
        pub l_type: i16,
        pub l_whence: i16,
        pub pad: u32,
        pub l_start: i64,
        pub l_len: i64,
        pub l_pid: i32,
        pub pad_end: u32,
    }

    /// Who gets the signals of asynchronous I/O (`struct f_owner_ex`).
    pub struct OwnerEx {
        pub type_: i32,
        pub pid: i32,
    }

    /// What openat2(2) is given (`struct open_how`).
    pub struct OpenHow {
        pub flags: u64,
        pub mode: u64,
        pub resolve: u64,
    }

    /// One segment of a vectored read or write (`struct iovec`): a claimed address and its length.
    pub struct Iovec {
        pub iov_base: u64,
        pub iov_len: u64,
    }
}
