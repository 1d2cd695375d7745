//! Memory: mmap(2), brk(2), mprotect(2) and their kin.

use abi::Errno;
use abi::fcntl::{OpenFlags, Seals};
use abi::mman::{MAP_TYPE, MLOCK_ONFAULT, MapFlags, MlockallFlags, MremapFlags, MsyncFlags, ProtFlags};
use abi::system::Personality;
use alloc::sync::Arc;
use machine::address::{PAGE_SIZE, USER_END, UserAddress, page_ceil};
use machine::heap::Allowance;
use machine::sync::atomic::Ordering;
use memory::{Backing, MapKind, MappedFile, Protection, user};

use super::Arguments;
use crate::exec::load::MappedPath;
use crate::process::Caller;
use crate::process::clone::Completion;

type Outcome = Result<usize, Errno>;

/// What a program may do with pages of these PROT_ flags.
fn protection(caller: &Caller, flags: ProtFlags) -> Protection {
    let personality = Personality::from_bits_retain(caller.process.personality.load(Ordering::Relaxed));
    let implied = personality.contains(Personality::READ_IMPLIES_EXEC) && flags.contains(ProtFlags::READ);
    let mut protection = Protection::empty();
    protection.set(Protection::READ, flags.contains(ProtFlags::READ));
    protection.set(Protection::WRITE, flags.contains(ProtFlags::WRITE));
    protection.set(Protection::EXECUTE, flags.contains(ProtFlags::EXEC) || implied);
    protection
}

/// Where the pages of a file mapping come from, and whether the file's access mode (mmap(2), EACCES) and its seals (EPERM) allow it.
fn file_backing(
    caller: &Caller,
    descriptor: i32,
    offset: u64,
    kind: MapKind,
    protection: Protection,
) -> Result<Backing, Errno> {
    let file = caller.descriptors.get_usable(descriptor)?;
    let flags: OpenFlags = file.flags();
    let may_write = flags.can_write();
    if !flags.can_read() || kind == MapKind::Shared && protection.contains(Protection::WRITE) && !may_write {
        return Err(Errno::EACCES);
    }
    let seals = if kind == MapKind::Shared {
        files::memfd::seals(&file).unwrap_or(Seals::empty())
    } else {
        Seals::empty()
    };
    let is_sealed = seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE);
    if is_sealed && protection.contains(Protection::WRITE) {
        return Err(Errno::EPERM);
    }
    let may_write = may_write && !is_sealed;
    let is_no_exec = file.path().mount.forbids_execution();
    if is_no_exec && protection.contains(Protection::EXECUTE) {
        return Err(Errno::EPERM);
    }
    let root = caller.place.directories().root.clone();
    let mapped: Arc<dyn MappedFile> = MappedPath::new(file.path().clone(), root)?;
    Ok(Backing::Object { object: file.object()?, offset_bytes: offset, file: Some(mapped), may_write })
}

/// What is asked of a mapping's place before the file is: EINVAL for no length, or a fixed place that is none; ENOMEM for more than there
/// is room for; EOVERFLOW for pages that no file has.
fn check_place(at: UserAddress, len: usize, offset: u64, flags: MapFlags) -> Result<(), Errno> {
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = page_ceil(len).ok_or(Errno::ENOMEM)?;
    let is_fixed = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
    if len > USER_END || is_fixed && at.0 > USER_END - len {
        return Err(Errno::ENOMEM);
    }
    if is_fixed && !at.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    if offset.checked_add(len as u64).is_none() { Err(Errno::EOVERFLOW) } else { Ok(()) }
}

/// mmap(2).
pub fn mmap(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    const SHARED: u32 = 1;
    const PRIVATE: u32 = 2;
    const SHARED_VALIDATE: u32 = 3;
    let offset = arguments.word(5);
    if !offset.is_multiple_of(PAGE_SIZE as u64) {
        return Err(Errno::EINVAL);
    }
    let raw = arguments.unsigned(3);
    let flags = MapFlags::from_bits_retain(raw);
    if !flags.contains(MapFlags::ANONYMOUS) {
        caller.descriptors.get_usable(arguments.int(4))?;
        check_place(arguments.address(0), arguments.size(1), offset, flags)?;
    }
    let kind = match raw & MAP_TYPE {
        PRIVATE => MapKind::Private,
        SHARED => MapKind::Shared,
        // There is nothing of a file to validate.
        SHARED_VALIDATE if flags.contains(MapFlags::ANONYMOUS) => return Err(Errno::EINVAL),
        SHARED_VALIDATE if MapFlags::from_bits(raw).is_some() && !flags.contains(MapFlags::SYNC) => {
            MapKind::Shared
        }
        SHARED_VALIDATE => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    };
    if flags.contains(MapFlags::HUGETLB) {
        // No huge pages are set aside: what Linux says then.
        return Err(Errno::ENOMEM);
    }
    let protection = protection(caller, ProtFlags::from_bits_retain(arguments.unsigned(2)));
    let backing = if flags.contains(MapFlags::ANONYMOUS) {
        Backing::Anonymous
    } else {
        file_backing(caller, arguments.int(4), offset, kind, protection)?
    };
    caller.space.map(arguments.address(0), arguments.size(1), protection, kind, backing, flags).map(|at| at.0)
}

/// munmap(2).
pub fn munmap(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.space.unmap(arguments.address(0), arguments.size(1))?;
    Ok(0)
}

/// mprotect(2).
pub fn mprotect(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = ProtFlags::from_bits(arguments.unsigned(2)).ok_or(Errno::EINVAL)?;
    let (mut start, mut len) = (arguments.address(0), arguments.size(1));
    let growing = ProtFlags::GROWSDOWN | ProtFlags::GROWSUP;
    if flags.contains(growing) || !start.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    len = page_ceil(len).ok_or(Errno::ENOMEM)?;
    if flags.contains(ProtFlags::GROWSDOWN) {
        let bottom = caller.space.stack_start(start)?;
        len += start.0 - bottom.0;
        start = bottom;
    } else if flags.contains(ProtFlags::GROWSUP) {
        // No area grows upwards.
        return Err(Errno::EINVAL);
    }
    caller.space.protect(start, len, protection(caller, flags))?;
    Ok(0)
}

/// mremap(2).
pub fn mremap(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = MremapFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    let (old, old_len, new_len) = (arguments.address(0), arguments.size(1), arguments.size(2));
    caller.space.remap(old, old_len, new_len, flags, arguments.address(4)).map(|at| at.0)
}

/// brk(2).
pub fn brk(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    Ok(caller.space.brk(arguments.address(0)).0)
}

/// madvise(2).
pub fn madvise(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.space.advise(arguments.address(0), arguments.size(1), arguments.int(2))?;
    Ok(0)
}

/// msync(2).
pub fn msync(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = MsyncFlags::from_bits(arguments.unsigned(2)).ok_or(Errno::EINVAL)?;
    caller.space.sync(arguments.address(0), arguments.size(1), flags)?;
    Ok(0)
}

/// mlock(2).
pub fn mlock(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.space.lock_range(arguments.address(0), arguments.size(1), false)?;
    Ok(0)
}

/// mlock2(2).
pub fn mlock2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = arguments.unsigned(2);
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    caller.space.lock_range(arguments.address(0), arguments.size(1), flags != 0)?;
    Ok(0)
}

/// munlock(2).
pub fn munlock(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.space.unlock_range(arguments.address(0), arguments.size(1))?;
    Ok(0)
}

/// mlockall(2).
pub fn mlockall(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = MlockallFlags::from_bits(arguments.unsigned(0)).ok_or(Errno::EINVAL)?;
    caller.space.lock_all(flags)?;
    Ok(0)
}

/// munlockall(2).
pub fn munlockall(caller: &mut Caller, _: &Arguments) -> Outcome {
    caller.space.unlock_all()?;
    Ok(0)
}

/// mincore(2).
pub fn mincore(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let space = caller.space.clone();
    let mut to = arguments.address(2);
    let (start, len) = (arguments.address(0), arguments.size(1));
    if !start.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    if !start.is_user_range(len) {
        return Err(Errno::ENOMEM);
    }
    if !to.is_user_range(len.div_ceil(PAGE_SIZE)) {
        return Err(Errno::EFAULT);
    }
    space.residency(arguments.address(0), arguments.size(1), |bytes| {
        user::write_bytes(to, bytes)?;
        to = UserAddress(to.0.wrapping_add(bytes.len()));
        Ok(())
    })?;
    Ok(0)
}

/// Waits until every processor has been in a switch, idle or at the entry to a program: each of these orders what came before with what comes after.
fn pass_all_processors() -> Result<(), Errno> {
    let passed = Completion::new()?;
    let told = passed.clone();
    let _allowance = Allowance::of(1)?;
    machine::sync::rcu_defer(move || told.complete());
    passed.wait_patiently();
    Ok(())
}

/// membarrier(2): every processor that runs a thread of the process executes a full barrier before the call returns.
pub fn membarrier(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    use abi::mman::*;
    const REGISTRATIONS: u32 =
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    const BARRIERS: u32 =
        MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED;
    if arguments.unsigned(1) != 0 {
        return Err(Errno::EINVAL);
    }
    let registered = &caller.process.membarriers;
    match arguments.unsigned(0) {
        MEMBARRIER_CMD_QUERY => Ok((REGISTRATIONS | BARRIERS) as usize),
        command @ (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) => {
            registered.fetch_or(u64::from(command), Ordering::Relaxed);
            Ok(0)
        }
        MEMBARRIER_CMD_PRIVATE_EXPEDITED
            if registered.load(Ordering::Relaxed) & u64::from(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
                == 0 =>
        {
            Err(Errno::EPERM)
        }
        MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED => {
            pass_all_processors()?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
