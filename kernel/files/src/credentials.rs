//! Who asks: user and group ids and capabilities (credentials(7), capabilities(7)), and what they may do to a file.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::capability::{
    CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_LAST_CAP,
};
use abi::stat::{S_IFDIR, S_IFMT, S_ISGID, S_ISVTX, S_IXGRP};

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Every capability that there is.
    pub const ALL: Self = Self((1 << (CAP_LAST_CAP + 1)) - 1);

    /// Whether `capability` (`CAP_*`) is in the set.
    pub const fn has(self, capability: u32) -> bool {
        capability < 64 && self.0 >> capability & 1 != 0
    }
}

/// The identity of a process. Never changed in place: a process that changes identity gets a new one.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Saved user.
    pub suid: u32,
    /// The user that file permissions are checked with; follows `euid` unless set with setfsuid(2).
    pub fsuid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Saved group.
    pub sgid: u32,
    /// The group that file permissions are checked with.
    pub fsgid: u32,
    /// Supplementary groups, ascending.
    pub groups: Arc<Vec<u32>>,
    /// What the process may do now.
    pub effective: Capabilities,
    /// What it may make effective.
    pub permitted: Capabilities,
    /// What an execve may keep.
    pub inheritable: Capabilities,
    /// The most that an execve can gain.
    pub bounding: Capabilities,
    /// What an execve of an ordinary program keeps.
    pub ambient: Capabilities,
    /// How root and user ids bear on capabilities (prctl(2), PR_SET_SECUREBITS).
    pub secure_bits: u32,
}

/// The wish to read, write or execute (search, for a directory): the three bits of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(pub u32);

impl Access {
    /// Only that the file is there.
    pub const NONE: Self = Self(0);
    /// Execute a file, search a directory.
    pub const EXECUTE: Self = Self(1);
    /// Write.
    pub const WRITE: Self = Self(2);
    /// Read.
    pub const READ: Self = Self(4);
    /// Change the entries of a directory.
    pub const CHANGE: Self = Self(3);

    /// Both wishes.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `other` is part of this wish.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The part of a file's metadata that decides who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Kind and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Ownership {
    /// Whether the file is a directory.
    pub const fn is_directory(self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}

impl Credentials {
    /// The identity of the first process: root, with every capability.
    pub fn root() -> Self {
        Self::user(0, 0)
    }

    /// The identity of a user whose ids are all `uid` and `gid`: every capability for user 0, none for others.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    pub fn user(uid: u32, gid: u32) -> Self {
        let capabilities = if uid == 0 { Capabilities::ALL } else { Capabilities::NONE };
        Self {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: Arc::new(Vec::new()),
            effective: capabilities,
            permitted: capabilities,
            inheritable: Capabilities::NONE,
            bounding: Capabilities::ALL,
            ambient: Capabilities::NONE,
            secure_bits: 0,
        }
    }

    /// This identity with the real ids in place of those for files: what access(2) checks with.
    pub fn with_real_ids(&self) -> Self {
        let mut real = self.clone();
        real.fsuid = self.uid;
        real.fsgid = self.gid;
        real.effective = if self.uid == 0 { self.permitted } else { Capabilities::NONE };
        real
    }

    /// Whether the capability is effective.
    #[inline]
    pub const fn has(&self, capability: u32) -> bool {
        self.effective.has(capability)
    }

    /// Whether `gid` is the group for files or one of the supplementary ones.
    #[inline]
    pub fn is_in_group(&self, gid: u32) -> bool {
        gid == self.fsgid || self.groups.binary_search(&gid).is_ok()
    }

    /// Whether all of `access` to the file is granted; EACCES otherwise. Root and the capabilities override as in
    /// Linux: nobody executes a file without an execute bit.
    #[inline]
    pub fn check(&self, file: Ownership, access: Access) -> Result<(), Errno> {
        let class = if self.fsuid == file.uid {
            file.mode >> 6
        } else if self.is_in_group(file.gid) {
            file.mode >> 3
        } else {
            file.mode
        };
        if access.0 & !class == 0 { Ok(()) } else { self.override_check(file, access) }
    }

    fn override_check(&self, file: Ownership, access: Access) -> Result<(), Errno> {
        let only_reads =
            if file.is_directory() { !access.has(Access::WRITE) } else { access == Access::READ };
        let could_execute = file.is_directory() || !access.has(Access::EXECUTE) || file.mode & 0o111 != 0;
        if only_reads && self.has(CAP_DAC_READ_SEARCH) || could_execute && self.has(CAP_DAC_OVERRIDE) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Whether the caller owns the file or may act as if it did (CAP_FOWNER).
    pub fn is_owner(&self, file: Ownership) -> bool {
        self.fsuid == file.uid || self.has(CAP_FOWNER)
    }

    /// Whether an entry for `victim` may be taken out of `directory`, as far as a sticky bit is concerned: EPERM.
    pub fn check_sticky(&self, directory: Ownership, victim: Ownership) -> Result<(), Errno> {
        let may = directory.mode & S_ISVTX == 0
            || victim.uid == self.fsuid
            || directory.uid == self.fsuid
            || self.has(CAP_FOWNER);
        if may { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// The mode that chmod(2) sets: a caller outside the file's group loses set-group-ID.
    pub fn settable_mode(&self, file: Ownership, mode: u32) -> u32 {
        if self.is_in_group(file.gid) || self.has(CAP_FSETID) { mode } else { mode & !S_ISGID }
    }

    /// Whether chown(2) to these ids is allowed: EPERM.
    pub fn check_chown(&self, file: Ownership, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let may_chown = self.has(CAP_CHOWN);
        let is_owner = self.fsuid == file.uid;
        let may_give = uid.is_none_or(|uid| is_owner && uid == file.uid);
        let may_group = gid.is_none_or(|gid| is_owner && (gid == file.gid || self.is_in_group(gid)));
        if may_chown || may_give && may_group { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Owner and mode of a file made in `directory`: a set-group-ID directory hands its group down, and to directories
    /// the bit as well (inode(7)).
    pub fn ownership_in(&self, directory: Ownership, mode: u32) -> Ownership {
        let mut new = Ownership { mode, uid: self.fsuid, gid: self.fsgid };
        if directory.mode & S_ISGID != 0 {
            new.gid = directory.gid;
            if new.is_directory() {
                new.mode |= S_ISGID;
            } else if mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP
                && !self.is_in_group(new.gid)
                && !self.has(CAP_FSETID)
            {
                new.mode &= !S_ISGID;
            }
        }
        new
    }
}
