//! What the calls that ask about files answer (stat(2), statx(2), statfs(2), getdents64(2)).

use crate::plain::plain;

/// The bits of a mode that tell the file's kind.
pub const S_IFMT: u32 = 0xf000;
pub const S_IFSOCK: u32 = 0xc000;
pub const S_IFLNK: u32 = 0xa000;
pub const S_IFREG: u32 = 0x8000;
pub const S_IFBLK: u32 = 0x6000;
pub const S_IFDIR: u32 = 0x4000;
pub const S_IFCHR: u32 = 0x2000;
pub const S_IFIFO: u32 = 0x1000;

// The bits of a mode that tell who may do what.
pub const S_ISUID: u32 = 0x800;
pub const S_ISGID: u32 = 0x400;
pub const S_ISVTX: u32 = 0x200;
pub const S_IRWXU: u32 = 0x1c0;
pub const S_IRUSR: u32 = 0x100;
pub const S_IWUSR: u32 = 0x80;
pub const S_IXUSR: u32 = 0x40;
pub const S_IRWXG: u32 = 0x38;
pub const S_IRGRP: u32 = 0x20;
pub const S_IWGRP: u32 = 0x10;
pub const S_IXGRP: u32 = 0x8;
pub const S_IRWXO: u32 = 0x7;
pub const S_IROTH: u32 = 0x4;
pub const S_IWOTH: u32 = 0x2;
pub const S_IXOTH: u32 = 0x1;

// The kind of a directory entry.
pub const DT_UNKNOWN: u8 = 0;
pub const DT_FIFO: u8 = 1;
pub const DT_CHR: u8 = 2;
pub const DT_DIR: u8 = 4;
pub const DT_BLK: u8 = 6;
pub const DT_REG: u8 = 8;
pub const DT_LNK: u8 = 10;
pub const DT_SOCK: u8 = 12;

/// The kind of a directory entry for a file of this mode: the mode's kind bits, shifted.
pub const fn directory_entry_type(mode: u32) -> u8 {
    ((mode & S_IFMT) >> 12) as u8
}

bitflags::bitflags! {
    /// Which fields of a [`Statx`] are asked for or filled in.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StatxMask: u32 {
        /// `STATX_TYPE`.
        const TYPE = 0x1;
        /// `STATX_MODE`.
        const MODE = 0x2;
        /// `STATX_NLINK`.
        const NLINK = 0x4;
        /// `STATX_UID`.
        const UID = 0x8;
        /// `STATX_GID`.
        const GID = 0x10;
        /// `STATX_ATIME`.
        const ATIME = 0x20;
        /// `STATX_MTIME`.
        const MTIME = 0x40;
        /// `STATX_CTIME`.
        const CTIME = 0x80;
        /// `STATX_INO`.
        const INO = 0x100;
        /// `STATX_SIZE`.
        const SIZE = 0x200;
        /// `STATX_BLOCKS`.
        const BLOCKS = 0x400;
        /// `STATX_BASIC_STATS`.
        const BASIC_STATS = 0x7ff;
        /// `STATX_BTIME`.
        const BTIME = 0x800;
        /// `STATX_MNT_ID`.
        const MNT_ID = 0x1000;
        /// `STATX_DIOALIGN`.
        const DIOALIGN = 0x2000;
        /// `STATX_MNT_ID_UNIQUE`.
        const MNT_ID_UNIQUE = 0x4000;
    }
}

bitflags::bitflags! {
    /// Properties of a file beyond its mode.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StatxAttributes: u64 {
        /// `STATX_ATTR_COMPRESSED`.
        const COMPRESSED = 0x4;
        /// `STATX_ATTR_IMMUTABLE`.
        const IMMUTABLE = 0x10;
        /// `STATX_ATTR_APPEND`.
        const APPEND = 0x20;
        /// `STATX_ATTR_NODUMP`.
        const NODUMP = 0x40;
        /// `STATX_ATTR_ENCRYPTED`.
        const ENCRYPTED = 0x800;
        /// `STATX_ATTR_AUTOMOUNT`.
        const AUTOMOUNT = 0x1000;
        /// `STATX_ATTR_MOUNT_ROOT`.
        const MOUNT_ROOT = 0x2000;
        /// `STATX_ATTR_VERITY`.
        const VERITY = 0x10_0000;
        /// `STATX_ATTR_DAX`.
        const DAX = 0x20_0000;
    }
}

// What a file system calls itself in `Statfs::f_type`.
pub const TMPFS_MAGIC: i64 = 0x102_1994;
pub const RAMFS_MAGIC: i64 = 0x8584_58f6;
pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;
pub const SYSFS_MAGIC: i64 = 0x6265_6572;
pub const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
pub const EXT4_SUPER_MAGIC: i64 = 0xef53;
pub const PIPEFS_MAGIC: i64 = 0x5049_5045;
pub const SOCKFS_MAGIC: i64 = 0x534f_434b;
pub const ANON_INODE_FS_MAGIC: i64 = 0x904_1934;
pub const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
pub const CGROUP_SUPER_MAGIC: i64 = 0x27_e0eb;
pub const DEBUGFS_MAGIC: i64 = 0x6462_6720;
pub const TRACEFS_MAGIC: i64 = 0x7472_6163;
pub const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c_7630;
pub const NSFS_MAGIC: i64 = 0x6e73_6673;
pub const PID_FS_MAGIC: i64 = 0x5049_4446;
pub const BDEVFS_MAGIC: i64 = 0x6264_6576;
pub const ISOFS_SUPER_MAGIC: i64 = 0x9660;
pub const MSDOS_SUPER_MAGIC: i64 = 0x4d44;
pub const SQUASHFS_MAGIC: i64 = 0x7371_7368;
pub const V9FS_MAGIC: i64 = 0x102_1997;
pub const FUSE_SUPER_MAGIC: i64 = 0x6573_5546;

bitflags::bitflags! {
    /// What a file system says of itself in `Statfs::f_flags` (`ST_*`, statfs(2)).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StatfsFlags: u64 {
        /// `ST_RDONLY`.
        const RDONLY = 0x1;
        /// `ST_NOSUID`.
        const NOSUID = 0x2;
        /// `ST_NODEV`.
        const NODEV = 0x4;
        /// `ST_NOEXEC`.
        const NOEXEC = 0x8;
        /// `ST_SYNCHRONOUS`.
        const SYNCHRONOUS = 0x10;
        /// `ST_MANDLOCK`.
        const MANDLOCK = 0x40;
        /// `ST_NOATIME`.
        const NOATIME = 0x400;
        /// `ST_NODIRATIME`.
        const NODIRATIME = 0x800;
        /// `ST_RELATIME`.
        const RELATIME = 0x1000;
    }
}

plain! {
    /// The answer of stat(2), fstat(2), lstat(2) and newfstatat(2) (`struct stat`).
    pub struct Stat {
        pub st_dev: u64,
        pub st_ino: u64,
        pub st_nlink: u64,
        pub st_mode: u32,
        pub st_uid: u32,
        pub st_gid: u32,
        pub pad: u32,
        pub st_rdev: u64,
        pub st_size: i64,
        pub st_blksize: i64,
        /// In units of 512 bytes, whatever `st_blksize` says.
        pub st_blocks: i64,
        pub st_atime: i64,
        pub st_atime_nsec: i64,
        pub st_mtime: i64,
        pub st_mtime_nsec: i64,
        pub st_ctime: i64,
        pub st_ctime_nsec: i64,
        pub unused: [i64; 3],
    }

    /// A time in a [`Statx`].
    pub struct StatxTimestamp {
        pub tv_sec: i64,
        pub tv_nsec: u32,
        pub reserved: i32,
    }

    /// The answer of statx(2) (`struct statx`).
    pub struct Statx {
        pub stx_mask: u32,
        pub stx_blksize: u32,
        pub stx_attributes: u64,
        pub stx_nlink: u32,
        pub stx_uid: u32,
        pub stx_gid: u32,
        pub stx_mode: u16,
        pub spare0: u16,
        pub stx_ino: u64,
        pub stx_size: u64,
        /// In units of 512 bytes.
        pub stx_blocks: u64,
        pub stx_attributes_mask: u64,
        pub stx_atime: StatxTimestamp,
        pub stx_btime: StatxTimestamp,
        pub stx_ctime: StatxTimestamp,
        pub stx_mtime: StatxTimestamp,
        pub stx_rdev_major: u32,
        pub stx_rdev_minor: u32,
        pub stx_dev_major: u32,
        pub stx_dev_minor: u32,
        pub stx_mnt_id: u64,
        pub stx_dio_mem_align: u32,
        pub stx_dio_offset_align: u32,
        pub spare3: [u64; 12],
    }

    /// The answer of statfs(2) (`struct statfs`); sizes are in blocks of `f_bsize`.
    pub struct Statfs {
        pub f_type: i64,
        pub f_bsize: i64,
        pub f_blocks: i64,
        pub f_bfree: i64,
        pub f_bavail: i64,
        pub f_files: i64,
        pub f_ffree: i64,
        pub f_fsid: [i32; 2],
        pub f_namelen: i64,
        pub f_frsize: i64,
        pub f_flags: i64,
        pub f_spare: [i64; 4],
    }
}

/// A device number as programs see it: 12 bits of major and 20 of minor, spread as in makedev(3).
pub const fn device_number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

/// The major part of a device number.
pub const fn device_major(device: u64) -> u32 {
    ((device >> 8 & 0xfff) | (device >> 32 & !0xfff)) as u32
}

/// The minor part of a device number.
pub const fn device_minor(device: u64) -> u32 {
    ((device & 0xff) | (device >> 12 & 0xffff_ff00)) as u32
}
