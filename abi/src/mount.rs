//! Mounting (mount(2), umount2(2)).

bitflags::bitflags! {
    /// Flags of mount(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MountFlags: u64 {
        /// `MS_RDONLY`.
        const RDONLY = 0x1;
        /// `MS_NOSUID`.
        const NOSUID = 0x2;
        /// `MS_NODEV`.
        const NODEV = 0x4;
        /// `MS_NOEXEC`.
        const NOEXEC = 0x8;
        /// `MS_SYNCHRONOUS`.
        const SYNCHRONOUS = 0x10;
        /// `MS_REMOUNT`.
        const REMOUNT = 0x20;
        /// `MS_MANDLOCK`.
        const MANDLOCK = 0x40;
        /// `MS_DIRSYNC`.
        const DIRSYNC = 0x80;
        /// `MS_NOSYMFOLLOW`.
        const NOSYMFOLLOW = 0x100;
        /// `MS_NOATIME`.
        const NOATIME = 0x400;
        /// `MS_NODIRATIME`.
        const NODIRATIME = 0x800;
        /// `MS_BIND`.
        const BIND = 0x1000;
        /// `MS_MOVE`.
        const MOVE = 0x2000;
        /// `MS_REC`.
        const REC = 0x4000;
        /// `MS_SILENT`.
        const SILENT = 0x8000;
        /// `MS_POSIXACL`.
        const POSIXACL = 0x1_0000;
        /// `MS_UNBINDABLE`.
        const UNBINDABLE = 0x2_0000;
        /// `MS_PRIVATE`.
        const PRIVATE = 0x4_0000;
        /// `MS_SLAVE`.
        const SLAVE = 0x8_0000;
        /// `MS_SHARED`.
        const SHARED = 0x10_0000;
        /// `MS_RELATIME`.
        const RELATIME = 0x20_0000;
        /// `MS_KERNMOUNT`.
        const KERNMOUNT = 0x40_0000;
        /// `MS_I_VERSION`.
        const I_VERSION = 0x80_0000;
        /// `MS_STRICTATIME`.
        const STRICTATIME = 0x100_0000;
        /// `MS_LAZYTIME`.
        const LAZYTIME = 0x200_0000;
    }
}

/// In the upper half of old programs' flags, which Linux takes off.
pub const MS_MGC_VAL: u64 = 0xc0ed_0000;
pub const MS_MGC_MSK: u64 = 0xffff_0000;

bitflags::bitflags! {
    /// Flags of umount2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct UmountFlags: u32 {
        /// `MNT_FORCE`.
        const MNT_FORCE = 0x1;
        /// `MNT_DETACH`.
        const MNT_DETACH = 0x2;
        /// `MNT_EXPIRE`.
        const MNT_EXPIRE = 0x4;
        /// `UMOUNT_NOFOLLOW`.
        const UMOUNT_NOFOLLOW = 0x8;
    }
}
