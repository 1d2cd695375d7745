//! Who a process is: users, groups, capabilities (credentials(7)).

use abi::Errno;
use abi::capability::{
    _LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3, CAP_SETGID,
    CAP_SETPCAP, CAP_SETUID, CapData, CapHeader,
};
use alloc::sync::Arc;
use files::Credentials;
use files::credentials::Capabilities;
use machine::heap::try_arc;
use memory::user;
use zerocopy::IntoBytes;

use super::Arguments;
use crate::process::identity;
use crate::process::{Caller, clone};

type Outcome = Result<usize, Errno>;

/// The most supplementary groups.
pub const GROUPS_MAX: usize = 65_536;

/// Declares calls that tell one id.
macro_rules! tell {
    ($($name:ident: $field:ident;)*) => {$(
        #[doc = concat!(stringify!($name), "(2).")]
        pub fn $name(caller: &mut Caller, _: &Arguments) -> Outcome {
            Ok(caller.credentials.$field as usize)
        }
    )*};
}

tell! {
    getuid: uid;
    geteuid: euid;
    getgid: gid;
    getegid: egid;
}

fn take_on(caller: &mut Caller, new: Result<Credentials, Errno>) -> Outcome {
    let new = new?;
    let ids = |who: &Credentials| [who.euid, who.egid, who.fsuid, who.fsgid];
    if ids(&new) != ids(&caller.credentials) {
        // A program whose privileges have changed is not to be looked into (prctl(2), PR_SET_DUMPABLE).
        caller.process.dumpable.store(0, machine::sync::atomic::Ordering::Relaxed);
        caller.process.parent_death_signal.store(0, machine::sync::atomic::Ordering::Relaxed);
    }
    if new.uid != caller.credentials.uid {
        // Without this thread, as Linux counts here.
        caller.has_too_many_threads = clone::is_over_limit(caller, new.uid);
    }
    caller.set_credentials(try_arc(new)?)?;
    Ok(0)
}

/// setuid(2).
pub fn setuid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new = identity::set_user(&caller.credentials, arguments.unsigned(0));
    take_on(caller, new)
}

/// setgid(2).
pub fn setgid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new = identity::set_group(&caller.credentials, arguments.unsigned(0));
    take_on(caller, new)
}

/// setreuid(2).
pub fn setreuid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (real, effective) = (arguments.unsigned(0), arguments.unsigned(1));
    let new = identity::set_real_and_effective_user(&caller.credentials, real, effective);
    take_on(caller, new)
}

/// setregid(2).
pub fn setregid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (real, effective) = (arguments.unsigned(0), arguments.unsigned(1));
    let new = identity::set_real_and_effective_group(&caller.credentials, real, effective);
    take_on(caller, new)
}

fn three(arguments: &Arguments) -> [u32; 3] {
    [0, 1, 2].map(|index| arguments.unsigned(index))
}

/// setresuid(2).
pub fn setresuid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new = identity::set_users(&caller.credentials, three(arguments));
    take_on(caller, new)
}

/// setresgid(2).
pub fn setresgid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new = identity::set_groups_ids(&caller.credentials, three(arguments));
    take_on(caller, new)
}

fn tell_three(arguments: &Arguments, ids: [u32; 3]) -> Outcome {
    for (index, id) in ids.iter().enumerate() {
        user::write_value(arguments.address(index), id)?;
    }
    Ok(0)
}

/// getresuid(2).
pub fn getresuid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let who = &caller.credentials;
    tell_three(arguments, [who.uid, who.euid, who.suid])
}

/// getresgid(2).
pub fn getresgid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let who = &caller.credentials;
    tell_three(arguments, [who.gid, who.egid, who.sgid])
}

/// setfsuid(2): returns the old id, changed or not.
pub fn setfsuid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (old, id) = (caller.credentials.clone(), arguments.unsigned(0));
    let may = old.has(CAP_SETUID) || [old.uid, old.euid, old.suid, old.fsuid].contains(&id);
    if may && id != identity::KEEP {
        caller.set_credentials(try_arc(identity::set_file_system_user(&old, id))?)?;
    }
    Ok(old.fsuid as usize)
}

/// setfsgid(2): returns the old id, changed or not.
pub fn setfsgid(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (old, id) = (caller.credentials.clone(), arguments.unsigned(0));
    let may = old.has(CAP_SETGID) || [old.gid, old.egid, old.sgid, old.fsgid].contains(&id);
    if may && id != identity::KEEP {
        caller.set_credentials(try_arc(Credentials { fsgid: id, ..(*old).clone() })?)?;
    }
    Ok(old.fsgid as usize)
}

/// getgroups(2).
pub fn getgroups(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let groups = &caller.credentials.groups;
    let room = usize::try_from(arguments.int(0)).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Ok(groups.len());
    }
    if groups.len() > room {
        return Err(Errno::EINVAL);
    }
    if !groups.is_empty() {
        user::write_bytes(arguments.address(1), groups.as_bytes())?;
    }
    Ok(groups.len())
}

/// setgroups(2).
pub fn setgroups(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if !caller.credentials.has(CAP_SETGID) {
        return Err(Errno::EPERM);
    }
    let count =
        usize::try_from(arguments.int(0)).ok().filter(|&count| count <= GROUPS_MAX).ok_or(Errno::EINVAL)?;
    let groups: alloc::vec::Vec<u32> = user::read_array(arguments.address(1), count)?;
    if groups.contains(&identity::KEEP) {
        return Err(Errno::EINVAL);
    }
    let new = identity::set_supplementary(&caller.credentials, &groups);
    take_on(caller, new)
}

/// How many pairs of words the versions of capget and capset move; the version that we like best is written back for one that we do not know.
fn version(header: &CapHeader) -> Option<usize> {
    match header.version {
        _LINUX_CAPABILITY_VERSION_1 => Some(1),
        _LINUX_CAPABILITY_VERSION_2 | _LINUX_CAPABILITY_VERSION_3 => Some(2),
        _ => None,
    }
}

fn half(set: Capabilities, index: usize) -> u32 {
    (set.0 >> (32 * index)) as u32
}

/// capget(2).
pub fn capget(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let mut header: CapHeader = user::read_value(arguments.address(0))?;
    let Some(pairs) = version(&header) else {
        header.version = _LINUX_CAPABILITY_VERSION_3;
        user::write_value(arguments.address(0), &header)?;
        return if arguments.optional(1).is_none() { Ok(0) } else { Err(Errno::EINVAL) };
    };
    if header.pid < 0 {
        return Err(Errno::EINVAL);
    }
    let who = match header.pid {
        0 => caller.credentials.clone(),
        tid => caller.process.namespaces.pids.task(tid).ok_or(Errno::ESRCH)?.credentials(),
    };
    let Some(address) = arguments.optional(1) else { return Ok(0) };
    for index in 0..pairs {
        let data = CapData {
            effective: half(who.effective, index),
            permitted: half(who.permitted, index),
            inheritable: half(who.inheritable, index),
        };
        user::write_value(address.checked_add(index * size_of::<CapData>()).ok_or(Errno::EFAULT)?, &data)?;
    }
    Ok(0)
}

/// capset(2).
pub fn capset(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let mut header: CapHeader = user::read_value(arguments.address(0))?;
    let Some(pairs) = version(&header) else {
        header.version = _LINUX_CAPABILITY_VERSION_3;
        user::write_value(arguments.address(0), &header)?;
        return Err(Errno::EINVAL);
    };
    if header.pid != 0 && header.pid != caller.task.tid() {
        return Err(Errno::EPERM);
    }
    let data: alloc::vec::Vec<CapData> = user::read_array(arguments.address(1), pairs)?;
    let join = |part: fn(&CapData) -> u32| {
        let all = data.iter().rev().fold(0u64, |sum, data| sum << 32 | u64::from(part(data)));
        Capabilities(all & Capabilities::ALL.0)
    };
    let (effective, permitted) = (join(|data| data.effective), join(|data| data.permitted));
    let inheritable = join(|data| data.inheritable);
    let old: Arc<Credentials> = caller.credentials.clone();
    let gains = |new: Capabilities, allowed: u64| new.0 & !allowed != 0;
    let inherits_freely = old.has(CAP_SETPCAP);
    if gains(permitted, old.permitted.0)
        || gains(effective, permitted.0)
        || !inherits_freely && gains(inheritable, old.inheritable.0 | old.permitted.0)
        || gains(inheritable, old.inheritable.0 | old.bounding.0)
    {
        return Err(Errno::EPERM);
    }
    let ambient = Capabilities(old.ambient.0 & permitted.0 & inheritable.0);
    let new = Credentials { effective, permitted, inheritable, ambient, ..(*old).clone() };
    caller.set_credentials(try_arc(new)?)?;
    Ok(0)
}
