//! Descriptors for events: eventfd(2), timerfd_create(2), signalfd(2), epoll_create1(2), memfd_create(2).

use abi::Errno;
use abi::fcntl::MemfdFlags;
use abi::notify::{EventfdFlags, SignalfdFlags, TimerfdFlags, TimerfdSetFlags};
use abi::poll::EPOLL_CLOEXEC;
use abi::signal::SigSet;
use abi::time::Itimerspec;
use alloc::sync::Arc;
use files::OpenFile;
use memory::user;

use super::Arguments;
use super::arguments::write_optional;
use crate::process::Caller;
use crate::signal::descriptor;

type Outcome = Result<usize, Errno>;

/// The longest name of a memory file, its NUL not counted.
const MEMFD_NAME_MAX: usize = 249;

fn install(caller: &Caller, file: Arc<OpenFile>, closes_on_exec: bool) -> Outcome {
    let limit = caller.process.limits.descriptors();
    Ok(caller.descriptors.insert(file, closes_on_exec, 0, limit)? as usize)
}

/// eventfd(2) without flags.
pub fn eventfd(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    install(caller, files::eventfd::create(arguments.unsigned(0), EventfdFlags::empty())?, false)
}

/// eventfd2(2).
pub fn eventfd2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = EventfdFlags::from_bits(arguments.unsigned(1)).ok_or(Errno::EINVAL)?;
    let file = files::eventfd::create(arguments.unsigned(0), flags)?;
    install(caller, file, flags.contains(EventfdFlags::CLOEXEC))
}

/// timerfd_create(2).
pub fn timerfd_create(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = TimerfdFlags::from_bits(arguments.unsigned(1)).ok_or(Errno::EINVAL)?;
    let file = files::timerfd::create(arguments.int(0), flags)?;
    install(caller, file, flags.contains(TimerfdFlags::CLOEXEC))
}

/// timerfd_settime(2).
pub fn timerfd_settime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let new: Itimerspec = user::read_value(arguments.address(2))?;
    let flags = TimerfdSetFlags::from_bits(arguments.unsigned(1)).ok_or(Errno::EINVAL)?;
    if new.it_value.to_nanoseconds().is_none() || new.it_interval.to_nanoseconds().is_none() {
        return Err(Errno::EINVAL);
    }
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let old = files::timerfd::set(&file, flags, &new)?;
    write_optional(arguments.optional(3), &old)?;
    Ok(0)
}

/// timerfd_gettime(2).
pub fn timerfd_gettime(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    user::write_value(arguments.address(1), &files::timerfd::get(&file)?)?;
    Ok(0)
}

fn signal_descriptor(caller: &Caller, arguments: &Arguments, flags: SignalfdFlags) -> Outcome {
    if arguments.size(2) != SigSet::SIZE {
        return Err(Errno::EINVAL);
    }
    let set = SigSet(user::read_value(arguments.address(1))?).difference(SigSet::UNBLOCKABLE);
    if arguments.int(0) == -1 {
        let file = descriptor::create(set, flags)?;
        return install(caller, file, flags.contains(SignalfdFlags::CLOEXEC));
    }
    descriptor::set(&*caller.descriptors.get_usable(arguments.int(0))?, set)?;
    Ok(arguments.unsigned(0) as usize)
}

/// signalfd(2) without flags.
pub fn signalfd(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    signal_descriptor(caller, arguments, SignalfdFlags::empty())
}

/// signalfd4(2).
pub fn signalfd4(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = SignalfdFlags::from_bits(arguments.unsigned(3)).ok_or(Errno::EINVAL)?;
    signal_descriptor(caller, arguments, flags)
}

/// epoll_create1(2).
pub fn epoll_create1(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = arguments.unsigned(0);
    if flags & !EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    install(caller, files::epoll::create()?, flags != 0)
}

/// epoll_create(2), whose size must only be positive.
pub fn epoll_create(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.int(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    install(caller, files::epoll::create()?, false)
}

/// memfd_create(2).
pub fn memfd_create(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = MemfdFlags::from_bits(arguments.unsigned(1)).ok_or(Errno::EINVAL)?;
    if flags.contains(MemfdFlags::HUGETLB) || flags.contains(MemfdFlags::EXEC | MemfdFlags::NOEXEC_SEAL) {
        return Err(Errno::EINVAL);
    }
    let name = user::read_string(arguments.address(0), MEMFD_NAME_MAX + 1)
        .map_err(|error| if error == Errno::ENAMETOOLONG { Errno::EINVAL } else { error })?;
    let file = files::memfd::create(&name, flags, &caller.credentials)?;
    install(caller, file, flags.contains(MemfdFlags::CLOEXEC))
}
