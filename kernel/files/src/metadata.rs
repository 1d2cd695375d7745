//! What stat(2) tells of a file, and how it is changed.

use abi::stat::*;
use abi::time::Timespec;

use crate::credentials::Ownership;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    Regular,
    /// Names.
    Directory,
    /// Another path.
    Symlink,
    /// A device that is read and written.
    CharacterDevice,
    /// A device of blocks.
    BlockDevice,
    /// A pipe with a name.
    Fifo,
    /// A socket with a name.
    Socket,
}

impl Kind {
    /// The kind in a mode's bits. Bits that no kind has count as a regular file, as mknod(2) takes zero.
    pub const fn of_mode(mode: u32) -> Self {
        match mode & S_IFMT {
            S_IFDIR => Self::Directory,
            S_IFLNK => Self::Symlink,
            S_IFCHR => Self::CharacterDevice,
            S_IFBLK => Self::BlockDevice,
            S_IFIFO => Self::Fifo,
            S_IFSOCK => Self::Socket,
            _ => Self::Regular,
        }
    }

    /// The bits of a mode that say this kind.
    pub const fn mode_bits(self) -> u32 {
        match self {
            Self::Regular => S_IFREG,
            Self::Directory => S_IFDIR,
            Self::Symlink => S_IFLNK,
            Self::CharacterDevice => S_IFCHR,
            Self::BlockDevice => S_IFBLK,
            Self::Fifo => S_IFIFO,
            Self::Socket => S_IFSOCK,
        }
    }

    /// As a directory entry tells it (`DT_*`).
    pub const fn entry_type(self) -> u8 {
        directory_entry_type(self.mode_bits())
    }
}

/// Everything that stat(2) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The file system's device number.
    pub device: u64,
    /// The number of the file in its file system.
    pub inode: u64,
    /// Kind and permission bits.
    pub mode: u32,
    /// Names that the file has.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that a device file stands for.
    pub special: u64,
    /// Bytes, as far as that means something for the kind.
    pub size: u64,
    /// The size in bytes that reads and writes are best done in.
    pub block_size: u32,
    /// Room taken, in units of 512 bytes.
    pub blocks: u64,
    /// When it was read last.
    pub accessed: Timespec,
    /// When its contents changed last.
    pub modified: Timespec,
    /// When its metadata changed last.
    pub changed: Timespec,
    /// When it was made.
    pub created: Timespec,
}

impl Metadata {
    /// What the file is.
    pub const fn kind(&self) -> Kind {
        Kind::of_mode(self.mode)
    }

    /// Whether it is a regular file: what has no name, an eventfd for example, has no kind either.
    pub const fn is_regular(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    /// The part that decides who may do what.
    pub const fn ownership(&self) -> Ownership {
        Ownership { mode: self.mode, uid: self.uid, gid: self.gid }
    }

    /// As stat(2) returns it.
    pub fn to_stat(&self) -> Stat {
        Stat {
            st_dev: self.device,
            st_ino: self.inode,
            st_nlink: self.links,
            st_mode: self.mode,
            st_uid: self.uid,
            st_gid: self.gid,
            st_rdev: self.special,
            st_size: self.size as i64,
            st_blksize: i64::from(self.block_size),
            st_blocks: self.blocks as i64,
            st_atime: self.accessed.tv_sec,
            st_atime_nsec: self.accessed.tv_nsec,
            st_mtime: self.modified.tv_sec,
            st_mtime_nsec: self.modified.tv_nsec,
            st_ctime: self.changed.tv_sec,
            st_ctime_nsec: self.changed.tv_nsec,
            ..Stat::default()
        }
    }

    /// As statx(2) returns it, for a file on mount `mount_id`, which is a mount's root or not. Everything that is
    /// known is filled in, whatever was asked for, as the call allows.
    pub fn to_statx(&self, mount_id: u64, is_mount_root: bool) -> Statx {
        let time = |time: Timespec| StatxTimestamp {
            tv_sec: time.tv_sec,
            tv_nsec: time.tv_nsec as u32,
            reserved: 0,
        };
        let known = StatxMask::BASIC_STATS | StatxMask::BTIME | StatxMask::MNT_ID;
        Statx {
            stx_mask: known.bits(),
            stx_blksize: self.block_size,
            stx_attributes: if is_mount_root { StatxAttributes::MOUNT_ROOT.bits() } else { 0 },
            stx_nlink: self.links as u32,
            stx_uid: self.uid,
            stx_gid: self.gid,
            stx_mode: self.mode as u16,
            stx_ino: self.inode,
            stx_size: self.size,
            stx_blocks: self.blocks,
            stx_attributes_mask: StatxAttributes::MOUNT_ROOT.bits(),
            stx_atime: time(self.accessed),
            stx_btime: time(self.created),
            stx_ctime: time(self.changed),
            stx_mtime: time(self.modified),
            stx_rdev_major: device_major(self.special),
            stx_rdev_minor: device_minor(self.special),
            stx_dev_major: device_major(self.device),
            stx_dev_minor: device_minor(self.device),
            stx_mnt_id: mount_id,
            ..Statx::default()
        }
    }
}

/// What is to become different; what is none stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataChange {
    /// New permission bits (12 bits; the kind never changes).
    pub permissions: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New time of the last reading.
    pub accessed: Option<Timespec>,
    /// New time of the last change of contents.
    pub modified: Option<Timespec>,
    /// The time that this change is noted with.
    pub changed: Timespec,
}
