//! Changing who a process is: the rules of setuid(2) and its kin, as changes of [`Credentials`].

use abi::Errno;
use abi::capability::*;
use files::Credentials;
use files::credentials::Capabilities;
use machine::heap::{try_arc, try_to_vec};

/// The id that leaves one of several as it is.
pub const KEEP: u32 = u32::MAX;

/// Capabilities that go with the user that file permissions are checked with (capabilities(7), "Effect of user ID changes").
const FILE_SYSTEM: u64 = 1 << CAP_CHOWN
    | 1 << CAP_DAC_OVERRIDE
    | 1 << CAP_DAC_READ_SEARCH
    | 1 << CAP_FOWNER
    | 1 << CAP_FSETID
    | 1 << CAP_LINUX_IMMUTABLE
    | 1 << CAP_MKNOD
    | 1 << CAP_MAC_OVERRIDE;

/// Capabilities follow user ids: leaving root gives them up, becoming root effectively raises them (capabilities(7), "Effect of user ID changes").
fn adjust(old: &Credentials, new: &mut Credentials) {
    new.fsuid = new.euid;
    if old.secure_bits & SECBIT_NO_SETUID_FIXUP != 0 {
        return;
    }
    let had_root = [old.uid, old.euid, old.suid].contains(&0);
    let has_root = [new.uid, new.euid, new.suid].contains(&0);
    if had_root && !has_root {
        if old.secure_bits & SECBIT_KEEP_CAPS == 0 {
            new.permitted = Capabilities::NONE;
            new.effective = Capabilities::NONE;
        }
        // What is kept is not meant for the next program.
        new.ambient = Capabilities::NONE;
    }
    if old.euid == 0 && new.euid != 0 {
        new.effective = Capabilities::NONE;
    } else if old.euid != 0 && new.euid == 0 {
        new.effective = new.permitted;
    }
}

/// setfsuid(2), which the caller has allowed.
pub fn set_file_system_user(old: &Credentials, uid: u32) -> Credentials {
    let mut new = Credentials { fsuid: uid, ..old.clone() };
    if old.secure_bits & SECBIT_NO_SETUID_FIXUP == 0 {
        if old.fsuid == 0 && uid != 0 {
            new.effective.0 &= !FILE_SYSTEM;
        } else if old.fsuid != 0 && uid == 0 {
            new.effective.0 |= new.permitted.0 & FILE_SYSTEM;
        }
    }
    new
}

/// PR_SET_SECUREBITS: EPERM for a change of what is locked, an end of a lock, unknown bits, or without CAP_SETPCAP.
pub fn set_secure_bits(old: &Credentials, bits: u64) -> Result<Credentials, Errno> {
    let all = u64::from(SECURE_ALL_BITS | SECURE_ALL_LOCKS);
    let bits = u32::try_from(bits).ok().filter(|&bits| u64::from(bits) & !all == 0).ok_or(Errno::EPERM)?;
    let locked = (old.secure_bits & SECURE_ALL_LOCKS) >> 1;
    let changes_locked = locked & (old.secure_bits ^ bits) != 0;
    let unlocks = old.secure_bits & SECURE_ALL_LOCKS & !bits != 0;
    if changes_locked || unlocks || !old.has(CAP_SETPCAP) {
        return Err(Errno::EPERM);
    }
    Ok(Credentials { secure_bits: bits, ..old.clone() })
}

/// PR_SET_KEEPCAPS: EINVAL, EPERM where that is locked.
pub fn keep_capabilities(old: &Credentials, keeps: u64) -> Result<Credentials, Errno> {
    if keeps > 1 {
        return Err(Errno::EINVAL);
    }
    if old.secure_bits & SECBIT_KEEP_CAPS_LOCKED != 0 {
        return Err(Errno::EPERM);
    }
    let others = old.secure_bits & !SECBIT_KEEP_CAPS;
    Ok(Credentials { secure_bits: others | if keeps == 1 { SECBIT_KEEP_CAPS } else { 0 }, ..old.clone() })
}

/// PR_CAP_AMBIENT with PR_CAP_AMBIENT_RAISE and _LOWER: EPERM for what is not permitted and inheritable.
pub fn change_ambient(old: &Credentials, capability: u32, raises: bool) -> Result<Credentials, Errno> {
    let mut new = old.clone();
    if !raises {
        new.ambient.0 &= !(1 << capability);
        return Ok(new);
    }
    let is_forbidden = old.secure_bits & SECBIT_NO_CAP_AMBIENT_RAISE != 0;
    if is_forbidden || !old.permitted.has(capability) || !old.inheritable.has(capability) {
        return Err(Errno::EPERM);
    }
    new.ambient.0 |= 1 << capability;
    Ok(new)
}

/// setuid(2).
pub fn set_user(old: &Credentials, uid: u32) -> Result<Credentials, Errno> {
    if uid == KEEP {
        return Err(Errno::EINVAL);
    }
    let mut new = old.clone();
    if old.has(CAP_SETUID) {
        new.uid = uid;
        new.suid = uid;
    } else if uid != old.uid && uid != old.suid {
        return Err(Errno::EPERM);
    }
    new.euid = uid;
    adjust(old, &mut new);
    Ok(new)
}

/// setreuid(2).
pub fn set_real_and_effective_user(
    old: &Credentials,
    real: u32,
    effective: u32,
) -> Result<Credentials, Errno> {
    let mut new = old.clone();
    let may = old.has(CAP_SETUID);
    if real != KEEP {
        if !may && real != old.uid && real != old.euid {
            return Err(Errno::EPERM);
        }
        new.uid = real;
    }
    if effective != KEEP {
        if !may && ![old.uid, old.euid, old.suid].contains(&effective) {
            return Err(Errno::EPERM);
        }
        new.euid = effective;
    }
    if real != KEEP || effective != KEEP && effective != old.uid {
        new.suid = new.euid;
    }
    adjust(old, &mut new);
    Ok(new)
}

/// setresuid(2).
pub fn set_users(old: &Credentials, ids: [u32; 3]) -> Result<Credentials, Errno> {
    let allowed = [old.uid, old.euid, old.suid];
    if !old.has(CAP_SETUID) && ids.iter().any(|id| *id != KEEP && !allowed.contains(id)) {
        return Err(Errno::EPERM);
    }
    let mut new = old.clone();
    for (to, id) in [&mut new.uid, &mut new.euid, &mut new.suid].into_iter().zip(ids) {
        if id != KEEP {
            *to = id;
        }
    }
    adjust(old, &mut new);
    Ok(new)
}

/// setgid(2).
pub fn set_group(old: &Credentials, gid: u32) -> Result<Credentials, Errno> {
    if gid == KEEP {
        return Err(Errno::EINVAL);
    }
    let mut new = old.clone();
    if old.has(CAP_SETGID) {
        new.gid = gid;
        new.sgid = gid;
    } else if gid != old.gid && gid != old.sgid {
        return Err(Errno::EPERM);
    }
    new.egid = gid;
    new.fsgid = gid;
    Ok(new)
}

/// setregid(2).
pub fn set_real_and_effective_group(
    old: &Credentials,
    real: u32,
    effective: u32,
) -> Result<Credentials, Errno> {
    let mut new = old.clone();
    let may = old.has(CAP_SETGID);
    if real != KEEP {
        if !may && real != old.gid && real != old.egid {
            return Err(Errno::EPERM);
        }
        new.gid = real;
    }
    if effective != KEEP {
        if !may && ![old.gid, old.egid, old.sgid].contains(&effective) {
            return Err(Errno::EPERM);
        }
        new.egid = effective;
    }
    if real != KEEP || effective != KEEP && effective != old.gid {
        new.sgid = new.egid;
    }
    new.fsgid = new.egid;
    Ok(new)
}

/// setresgid(2).
pub fn set_groups_ids(old: &Credentials, ids: [u32; 3]) -> Result<Credentials, Errno> {
    let allowed = [old.gid, old.egid, old.sgid];
    if !old.has(CAP_SETGID) && ids.iter().any(|id| *id != KEEP && !allowed.contains(id)) {
        return Err(Errno::EPERM);
    }
    let mut new = old.clone();
    for (to, id) in [&mut new.gid, &mut new.egid, &mut new.sgid].into_iter().zip(ids) {
        if id != KEEP {
            *to = id;
        }
    }
    new.fsgid = new.egid;
    Ok(new)
}

/// setgroups(2).
pub fn set_supplementary(old: &Credentials, groups: &[u32]) -> Result<Credentials, Errno> {
    if !old.has(CAP_SETGID) {
        return Err(Errno::EPERM);
    }
    let mut new = old.clone();
    let mut sorted = try_to_vec(groups)?;
    sorted.sort_unstable();
    new.groups = try_arc(sorted)?;
    Ok(new)
}

/// What execve(2) of a file gives: set-user-ID and set-group-ID, and capabilities by the rule of capabilities(7) for files without their own. Returns whether privileges were
/// gained, which AT_SECURE tells the program.
pub fn execute(
    old: &Credentials,
    file: files::credentials::Ownership,
    may_gain: bool,
) -> (Credentials, bool) {
    use abi::stat::{S_ISGID, S_ISUID, S_IXGRP};
    let mut new = old.clone();
    if may_gain && file.mode & S_ISUID != 0 {
        new.euid = file.uid;
    }
    if may_gain && file.mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP {
        new.egid = file.gid;
    }
    let gained = new.euid != old.euid || new.egid != old.egid;
    new.suid = new.euid;
    new.sgid = new.egid;
    new.fsuid = new.euid;
    new.fsgid = new.egid;
    let is_root = old.secure_bits & SECBIT_NOROOT == 0 && (new.euid == 0 || new.uid == 0);
    let is_effective = is_root && new.euid == 0;
    let own = if is_root { old.inheritable.0 | old.bounding.0 } else { 0 };
    if new.euid != old.uid || new.egid != old.gid {
        new.ambient = Capabilities::NONE;
    }
    new.permitted = Capabilities(own | new.ambient.0);
    new.effective = if is_effective { new.permitted } else { new.ambient };
    new.secure_bits &= !SECBIT_KEEP_CAPS;
    let grows = new.uid != 0 && (is_effective || own & !new.ambient.0 != 0);
    let is_secure = gained || grows || new.uid != new.euid || new.gid != new.egid;
    (new, is_secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_that_becomes_a_user_cannot_come_back() {
        let user = set_user(&Credentials::root(), 1000).unwrap();
        assert_eq!((user.uid, user.euid, user.suid, user.fsuid), (1000, 1000, 1000, 1000));
        assert_eq!(user.permitted, Capabilities::NONE);
        assert_eq!(set_user(&user, 0).unwrap_err(), Errno::EPERM);
    }

    #[test]
    fn an_effective_change_by_root_can_be_taken_back() {
        let away = set_users(&Credentials::root(), [KEEP, 1000, KEEP]).unwrap();
        assert_eq!((away.uid, away.euid, away.suid), (0, 1000, 0));
        assert_eq!(away.effective, Capabilities::NONE);
        let back = set_users(&away, [KEEP, 0, KEEP]).unwrap();
        assert_eq!(back.effective, Capabilities::ALL);
    }

    #[test]
    fn a_user_may_choose_only_among_his_own_ids() {
        let user = Credentials::user(1000, 100);
        assert_eq!(set_users(&user, [KEEP, 1001, KEEP]).unwrap_err(), Errno::EPERM);
        assert_eq!(set_groups_ids(&user, [0, KEEP, KEEP]).unwrap_err(), Errno::EPERM);
        assert_eq!(set_supplementary(&user, &[0]).unwrap_err(), Errno::EPERM);
        assert!(set_users(&user, [1000, 1000, 1000]).is_ok());
    }

    #[test]
    fn set_user_id_of_root_gains_everything_unless_it_is_forbidden() {
        let user = Credentials::user(1000, 100);
        let file = files::credentials::Ownership { mode: 0o104_755, uid: 0, gid: 0 };
        let (new, is_secure) = execute(&user, file, true);
        assert_eq!((new.uid, new.euid, new.suid, is_secure), (1000, 0, 0, true));
        assert_eq!(new.effective, Capabilities::ALL);
        let (new, is_secure) = execute(&user, file, false);
        assert_eq!((new.euid, is_secure), (1000, false));
    }
}
