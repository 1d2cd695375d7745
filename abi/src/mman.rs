//! Mapping memory (mmap(2), mprotect(2), mremap(2), madvise(2), msync(2), mlock(2)).

bitflags::bitflags! {
    /// What a mapping may be used for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ProtFlags: u32 {
        /// `PROT_READ`.
        const READ = 0x1;
        /// `PROT_WRITE`.
        const WRITE = 0x2;
        /// `PROT_EXEC`.
        const EXEC = 0x4;
        /// `PROT_SEM`.
        const SEM = 0x8;
        /// `PROT_GROWSDOWN`.
        const GROWSDOWN = 0x100_0000;
        /// `PROT_GROWSUP`.
        const GROWSUP = 0x200_0000;
    }
}

bitflags::bitflags! {
    /// How a mapping is made. Exactly one of SHARED, PRIVATE, or both (SHARED_VALIDATE) is given.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MapFlags: u32 {
        /// `MAP_SHARED`.
        const SHARED = 0x1;
        /// `MAP_PRIVATE`.
        const PRIVATE = 0x2;
        /// `MAP_SHARED_VALIDATE`.
        const SHARED_VALIDATE = 0x3;
        /// `MAP_FIXED`.
        const FIXED = 0x10;
        /// `MAP_ANONYMOUS`.
        const ANONYMOUS = 0x20;
        /// `MAP_32BIT`.
        const _32BIT = 0x40;
        /// `MAP_GROWSDOWN`.
        const GROWSDOWN = 0x100;
        /// `MAP_DENYWRITE`.
        const DENYWRITE = 0x800;
        /// `MAP_EXECUTABLE`.
        const EXECUTABLE = 0x1000;
        /// `MAP_LOCKED`.
        const LOCKED = 0x2000;
        /// `MAP_NORESERVE`.
        const NORESERVE = 0x4000;
        /// `MAP_POPULATE`.
        const POPULATE = 0x8000;
        /// `MAP_NONBLOCK`.
        const NONBLOCK = 0x1_0000;
        /// `MAP_STACK`.
        const STACK = 0x2_0000;
        /// `MAP_HUGETLB`.
        const HUGETLB = 0x4_0000;
        /// `MAP_SYNC`.
        const SYNC = 0x8_0000;
        /// `MAP_FIXED_NOREPLACE`.
        const FIXED_NOREPLACE = 0x10_0000;
    }
}

/// The bits of [`MapFlags`] that tell the kind of sharing.
pub const MAP_TYPE: u32 = 0xf;

bitflags::bitflags! {
    /// Flags of mremap(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MremapFlags: u32 {
        /// `MREMAP_MAYMOVE`.
        const MAYMOVE = 0x1;
        /// `MREMAP_FIXED`.
        const FIXED = 0x2;
        /// `MREMAP_DONTUNMAP`.
        const DONTUNMAP = 0x4;
    }
}

bitflags::bitflags! {
    /// Flags of msync(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MsyncFlags: u32 {
        /// `MS_ASYNC`.
        const ASYNC = 0x1;
        /// `MS_INVALIDATE`.
        const INVALIDATE = 0x2;
        /// `MS_SYNC`.
        const SYNC = 0x4;
    }
}

bitflags::bitflags! {
    /// Flags of mlockall(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MlockallFlags: u32 {
        /// `MCL_CURRENT`.
        const CURRENT = 0x1;
        /// `MCL_FUTURE`.
        const FUTURE = 0x2;
        /// `MCL_ONFAULT`.
        const ONFAULT = 0x4;
    }
}

/// The flag of mlock2(2): lock pages as they are touched.
pub const MLOCK_ONFAULT: u32 = 1;

// Advice of madvise(2).
pub const MADV_NORMAL: i32 = 0;
pub const MADV_RANDOM: i32 = 1;
pub const MADV_SEQUENTIAL: i32 = 2;
pub const MADV_WILLNEED: i32 = 3;
pub const MADV_DONTNEED: i32 = 4;
pub const MADV_FREE: i32 = 8;
pub const MADV_REMOVE: i32 = 9;
pub const MADV_DONTFORK: i32 = 10;
pub const MADV_DOFORK: i32 = 11;
pub const MADV_HWPOISON: i32 = 100;
pub const MADV_SOFT_OFFLINE: i32 = 101;
pub const MADV_MERGEABLE: i32 = 12;
pub const MADV_UNMERGEABLE: i32 = 13;
pub const MADV_HUGEPAGE: i32 = 14;
pub const MADV_NOHUGEPAGE: i32 = 15;
pub const MADV_DONTDUMP: i32 = 16;
pub const MADV_DODUMP: i32 = 17;
pub const MADV_WIPEONFORK: i32 = 18;
pub const MADV_KEEPONFORK: i32 = 19;
pub const MADV_COLD: i32 = 20;
pub const MADV_PAGEOUT: i32 = 21;
pub const MADV_POPULATE_READ: i32 = 22;
pub const MADV_POPULATE_WRITE: i32 = 23;
pub const MADV_DONTNEED_LOCKED: i32 = 24;
pub const MADV_COLLAPSE: i32 = 25;
pub const MADV_GUARD_INSTALL: i32 = 102;
pub const MADV_GUARD_REMOVE: i32 = 103;

// Commands of membarrier(2).
pub const MEMBARRIER_CMD_QUERY: u32 = 0;
pub const MEMBARRIER_CMD_GLOBAL: u32 = 1;
pub const MEMBARRIER_CMD_GLOBAL_EXPEDITED: u32 = 2;
pub const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: u32 = 4;
pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED: u32 = 8;
pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: u32 = 16;
pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 32;
pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 64;
pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ: u32 = 128;
pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ: u32 = 256;
