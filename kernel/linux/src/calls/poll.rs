//! Waiting for descriptors: poll(2), select(2), epoll(7).

use abi::Errno;
use abi::poll::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EpollEvent, EpollFlags, Pollfd};
use abi::resource::RLIMIT_NOFILE;
use abi::time::{Timespec, Timeval};
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::OpenFile;
use machine::address::UserAddress;
use machine::clock;
use machine::heap::Grow;
use memory::user;
use threads::poll::{AddError, Events, Interest, Pollable, Waiter};
use threads::{Wait, WaitError};
use zerocopy::IntoBytes;

use super::arguments::read_optional;
use super::signals::{restore_mask, use_optional_mask};
use super::{Arguments, Restart};
use crate::process::Caller;

type Outcome = Result<usize, Errno>;

/// Looks at descriptors until one has something to tell, or the deadline has come: 0.
fn look<T>(
    caller: &Caller,
    entries: &mut [T],
    deadline_ns: Option<u64>,
    wanted: impl Fn(&T) -> Option<(i32, Events)>,
    mut found: impl FnMut(&mut T, Events),
) -> Outcome {
    // Kept open while they are watched, whoever closes them.
    let mut files: Vec<Option<Arc<OpenFile>>> = Vec::new();
    files.try_grow_exact(entries.len())?;
    for entry in entries.iter() {
        files.push(wanted(entry).and_then(|(descriptor, _)| caller.descriptors.get_usable(descriptor).ok()));
    }
    let is_patient = deadline_ns.is_none_or(|deadline_ns| deadline_ns > 0);
    let mut waiter = Waiter::new()?;
    let mut subscribes = is_patient;
    loop {
        let mut count = 0;
        for (entry, file) in entries.iter_mut().zip(&files) {
            let Some((_, interest)) = wanted(entry) else {
                found(entry, Events::empty());
                continue;
            };
            let events = match file {
                Some(file) => {
                    // Once something has been found nobody will wait, so nothing needs to be watched.
                    let table = (subscribes && count == 0).then_some(&mut waiter);
                    file.poll(interest, table) & (interest | Events::ALWAYS)
                }
                None => Events::NVAL,
            };
            if !events.is_empty() {
                count += 1;
            }
            found(entry, events);
        }
        if count > 0 || !is_patient {
            return Ok(count);
        }
        if waiter.has_failed() {
            return Err(Errno::ENOMEM);
        }
        subscribes = false;
        match waiter.wait(Wait { interruptible: true, deadline_ns }) {
            Ok(()) => {}
            Err(WaitError::TimedOut) => return Ok(0),
            Err(WaitError::Interrupted) => return Err(Errno::EINTR),
        }
    }
}

fn poll_descriptors(
    caller: &Caller,
    address: UserAddress,
    count: usize,
    deadline_ns: Option<u64>,
) -> Outcome {
    if count as u64 > caller.process.limits.soft(RLIMIT_NOFILE) {
        return Err(Errno::EINVAL);
    }
    let mut entries: Vec<Pollfd> = user::read_array(address, count)?;
    let ready = look(
        caller,
        &mut entries,
        deadline_ns,
        |entry| (entry.fd >= 0).then(|| (entry.fd, Events::from_bits_truncate(u32::from(entry.events)))),
        |entry, events| entry.revents = events.bits() as u16,
    )?;
    for (index, entry) in entries.iter().enumerate() {
        let offset = index * size_of::<Pollfd>() + core::mem::offset_of!(Pollfd, revents);
        user::write_value(UserAddress(address.0 + offset), &entry.revents)?;
    }
    // No entries have a place, too.
    if !address.is_user_range(count * size_of::<Pollfd>()) {
        return Err(Errno::EFAULT);
    }
    Ok(ready)
}

/// poll(2), from its start or after it was interrupted without a handler.
pub fn wait(caller: &mut Caller, address: usize, count: usize, deadline_ns: Option<u64>) -> Outcome {
    let outcome = poll_descriptors(caller, UserAddress(address), count, deadline_ns);
    if outcome == Err(Errno::EINTR) {
        caller.restart =
            Some(Restart::Poll { descriptors: address, count, deadline_ns: deadline_ns.unwrap_or(u64::MAX) });
    }
    outcome
}

/// poll(2).
pub fn poll(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let deadline_ns = match arguments.int(2) {
        timeout if timeout < 0 => None,
        0 => Some(0),
        timeout => Some(clock::now_ns().saturating_add(timeout as u64 * 1_000_000)),
    };
    wait(caller, arguments.size(0), arguments.unsigned(1) as usize, deadline_ns)
}

/// The deadline of a call that takes a timespec: none without one, 0 for a look without waiting.
fn deadline(timeout: Option<Timespec>) -> Result<Option<u64>, Errno> {
    match timeout {
        None => Ok(None),
        Some(timeout) => match timeout.to_nanoseconds().ok_or(Errno::EINVAL)? {
            0 => Ok(Some(0)),
            ns => Ok(Some(clock::now_ns().saturating_add(ns))),
        },
    }
}

/// Writes the time that is left where the program gave its timeout; a place that cannot be written is passed over, as in Linux.
fn write_left(address: Option<UserAddress>, deadline_ns: Option<u64>) {
    if let (Some(address), Some(deadline_ns)) = (address, deadline_ns) {
        let left = Timespec::from_nanoseconds(deadline_ns.saturating_sub(clock::now_ns()));
        let _ = user::write_value(address, &left);
    }
}

/// ppoll(2).
pub fn ppoll(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let deadline_ns = deadline(read_optional(arguments.optional(2))?)?;
    use_optional_mask(caller, arguments.optional(3), arguments.size(4))?;
    let outcome = poll_descriptors(caller, arguments.address(0), arguments.unsigned(1) as usize, deadline_ns);
    restore_mask(caller, &outcome);
    write_left(arguments.optional(2), deadline_ns);
    outcome
}

/// The events that each of select's three sets stands for (Linux: POLLIN_SET, POLLOUT_SET, POLLEX_SET).
const SETS: [Events; 3] = [
    Events::IN
        .union(Events::RDNORM)
        .union(Events::RDBAND)
        .union(Events::HUP)
        .union(Events::ERR)
        .union(Events::NVAL),
    Events::OUT.union(Events::WRNORM).union(Events::WRBAND).union(Events::ERR).union(Events::NVAL),
    Events::PRI.union(Events::NVAL),
];

/// A descriptor that is in one of the sets.
struct Selected {
    descriptor: usize,
    wanted: [bool; 3],
    found: Events,
}

fn select_descriptors(
    caller: &Caller,
    count: i32,
    sets: [Option<UserAddress>; 3],
    deadline_ns: Option<u64>,
) -> Outcome {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let count = count.min(caller.process.limits.descriptors().max(1024));
    let words = count.div_ceil(64);
    let mut given: [Vec<u64>; 3] = [const { Vec::new() }; 3];
    for (bits, address) in given.iter_mut().zip(sets) {
        if let Some(address) = address {
            *bits = user::read_array(address, words)?;
        }
    }
    let has = |set: &Vec<u64>, at: usize| set.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 != 0);
    let mut entries = Vec::new();
    for descriptor in 0..count {
        let wanted = [has(&given[0], descriptor), has(&given[1], descriptor), has(&given[2], descriptor)];
        if wanted != [false; 3] {
            // One that is only a place is no error, but always ready.
            caller.descriptors.get(descriptor as i32)?;
            entries.try_grow(1)?;
            entries.push(Selected { descriptor, wanted, found: Events::empty() });
        }
    }
    look(
        caller,
        &mut entries,
        deadline_ns,
        |entry| {
            let interest = SETS.iter().zip(entry.wanted).filter(|(_, wanted)| *wanted);
            let interest = interest.fold(Events::empty(), |sum, (events, _)| sum | *events);
            Some((entry.descriptor as i32, interest))
        },
        |entry, events| entry.found = events,
    )?;
    let mut total = 0;
    for (index, bits) in given.iter_mut().enumerate() {
        bits.fill(0);
        for entry in &entries {
            if entry.wanted[index] && entry.found.intersects(SETS[index]) {
                total += 1;
                if let Some(word) = bits.get_mut(entry.descriptor / 64) {
                    *word |= 1 << (entry.descriptor % 64);
                }
            }
        }
        if let Some(address) = sets[index] {
            user::write_bytes(address, bits.as_bytes())?;
        }
    }
    Ok(total)
}

fn three_sets(arguments: &Arguments) -> [Option<UserAddress>; 3] {
    [1, 2, 3].map(|index| arguments.optional(index))
}

/// select(2).
pub fn select(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let timeout: Option<Timeval> = read_optional(arguments.optional(4))?;
    let deadline_ns = match timeout {
        None => None,
        Some(timeout) => {
            // Whole seconds among the microseconds count, as in Linux.
            let negative = timeout.tv_sec < 0 || timeout.tv_usec < 0;
            let seconds = timeout.tv_sec.checked_add(timeout.tv_usec / 1_000_000).filter(|_| !negative);
            let tv_sec = seconds.ok_or(Errno::EINVAL)?;
            deadline(Some(Timespec { tv_sec, tv_nsec: timeout.tv_usec % 1_000_000 * 1000 }))?
        }
    };
    let outcome = select_descriptors(caller, arguments.int(0), three_sets(arguments), deadline_ns);
    if let (Some(address), Some(deadline_ns)) = (arguments.optional(4), deadline_ns) {
        let left = Timeval::from_nanoseconds(deadline_ns.saturating_sub(clock::now_ns()));
        let _ = user::write_value(address, &left);
    }
    outcome
}

/// pselect6(2).
pub fn pselect6(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let deadline_ns = deadline(read_optional(arguments.optional(4))?)?;
    let mask: Option<abi::poll::SelectSigmask> = read_optional(arguments.optional(5))?;
    if let Some(mask) = mask {
        let address = (mask.ss != 0).then_some(UserAddress(mask.ss as usize));
        use_optional_mask(caller, address, mask.ss_len as usize)?;
    }
    let outcome = select_descriptors(caller, arguments.int(0), three_sets(arguments), deadline_ns);
    restore_mask(caller, &outcome);
    write_left(arguments.optional(4), deadline_ns);
    outcome
}

/// epoll_ctl(2).
pub fn epoll_ctl(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let operation = arguments.int(1);
    let descriptor = arguments.int(2);
    let event = if operation == EPOLL_CTL_DEL {
        EpollEvent { events: 0, data: 0 }
    } else {
        user::read_value(arguments.address(3))?
    };
    let set = caller.descriptors.get_usable(arguments.int(0))?;
    let target = caller.descriptors.get_usable(descriptor)?;
    if !target.file().can_be_watched() {
        return Err(Errno::EPERM);
    }
    let epoll = set.file().as_epoll().ok_or(Errno::EINVAL)?;
    if Arc::ptr_eq(&set, &target) {
        return Err(Errno::EINVAL);
    }
    let flags = EpollFlags::from_bits_retain(event.events);
    let is_exclusive = flags.contains(EpollFlags::EXCLUSIVE);
    let with_exclusive = EpollFlags::EXCLUSIVE | EpollFlags::ET | EpollFlags::WAKEUP;
    let waits_for = Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM | Events::ERR | Events::HUP;
    let has_more = event.events & !(with_exclusive.bits() | waits_for.bits()) != 0;
    if is_exclusive && (operation == EPOLL_CTL_MOD || has_more || target.file().as_epoll().is_some()) {
        return Err(Errno::EINVAL);
    }
    let interest = Interest {
        events: Events::from_bits_truncate(event.events),
        data: event.data,
        is_edge: flags.contains(EpollFlags::ET),
        is_one_shot: flags.contains(EpollFlags::ONESHOT),
        is_exclusive,
    };
    let watched = target as Arc<dyn Pollable>;
    let outcome = match operation {
        EPOLL_CTL_ADD => epoll.add(descriptor as u64, &watched, interest),
        EPOLL_CTL_MOD => epoll.modify(descriptor as u64, &watched, interest),
        EPOLL_CTL_DEL => epoll.remove(descriptor as u64, &watched),
        _ => return Err(Errno::EINVAL),
    };
    outcome.map(|()| 0).map_err(|error| match error {
        AddError::Exists => Errno::EEXIST,
        AddError::Missing => Errno::ENOENT,
        AddError::Invalid => Errno::EINVAL,
        AddError::Loop => Errno::ELOOP,
        AddError::OutOfMemory => Errno::ENOMEM,
    })
}

fn wait_epoll(caller: &Caller, arguments: &Arguments, deadline_ns: Option<u64>) -> Outcome {
    let file = caller.descriptors.get_usable(arguments.int(0))?;
    let most = usize::try_from(arguments.int(2)).map_err(|_| Errno::EINVAL)?;
    if most == 0 || most > i32::MAX as usize / size_of::<EpollEvent>() {
        return Err(Errno::EINVAL);
    }
    let to = arguments.address(1);
    if !to.is_user_range(most * size_of::<EpollEvent>()) {
        return Err(Errno::EFAULT);
    }
    let epoll = file.file().as_epoll().ok_or(Errno::EINVAL)?;
    let mut count = 0;
    let mut has_faulted = false;
    let mut report = |events: Events, data: u64| {
        let event = EpollEvent { events: events.bits(), data };
        let place = UserAddress(to.0 + count * size_of::<EpollEvent>());
        has_faulted = user::write_value(place, &event).is_err();
        count += usize::from(!has_faulted);
        !has_faulted
    };
    let outcome = if deadline_ns == Some(0) {
        Ok(epoll.collect(most, &mut report))
    } else {
        epoll.wait(most, Wait { interruptible: true, deadline_ns }, report)
    };
    match outcome {
        Ok(0) if has_faulted => Err(Errno::EFAULT),
        Ok(found) => Ok(found),
        Err(WaitError::TimedOut) => Ok(0),
        Err(WaitError::Interrupted) => Err(Errno::EINTR),
    }
}

fn deadline_ms(timeout: i32) -> Option<u64> {
    match timeout {
        timeout if timeout < 0 => None,
        0 => Some(0),
        timeout => Some(clock::now_ns().saturating_add(timeout as u64 * 1_000_000)),
    }
}

/// epoll_wait(2).
pub fn epoll_wait(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    wait_epoll(caller, arguments, deadline_ms(arguments.int(3)))
}

/// epoll_pwait(2).
pub fn epoll_pwait(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    use_optional_mask(caller, arguments.optional(4), arguments.size(5))?;
    let outcome = wait_epoll(caller, arguments, deadline_ms(arguments.int(3)));
    restore_mask(caller, &outcome);
    outcome
}

/// epoll_pwait2(2).
pub fn epoll_pwait2(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let deadline_ns = deadline(read_optional(arguments.optional(3))?)?;
    use_optional_mask(caller, arguments.optional(4), arguments.size(5))?;
    let outcome = wait_epoll(caller, arguments, deadline_ns);
    restore_mask(caller, &outcome);
    outcome
}
