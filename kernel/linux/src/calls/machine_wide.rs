//! The machine as a whole: its names, its memory, its log, its end (uname(2), sysinfo(2), syslog(2), reboot(2), getrandom(2)).

use abi::Errno;
use abi::capability::{CAP_SYS_ADMIN, CAP_SYS_BOOT, CAP_SYSLOG};
use abi::system::*;
use alloc::vec::Vec;
use machine::address::UserAddress;
use machine::clock;
use machine::frame::{self, Owner};
use machine::heap::{Grow, try_format};
use machine::sync::atomic::{AtomicU64, Ordering};
use memory::{Sink, user};

use super::Arguments;
use crate::process::Caller;
use crate::release;

type Outcome = Result<usize, Errno>;

fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().take(N - 1).zip(text) {
        *to = *from;
    }
    field
}

/// uname(2).
pub fn uname(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let names = &caller.process.namespaces.names;
    let answer = Utsname {
        sysname: padded(release::SYSTEM.as_bytes()),
        nodename: padded(&names.host()),
        release: padded(release::RELEASE.as_bytes()),
        version: padded(release::VERSION.as_bytes()),
        machine: padded(release::MACHINE.as_bytes()),
        domainname: padded(&names.domain()),
    };
    user::write_value(arguments.address(0), &answer)?;
    Ok(0)
}

fn read_name(caller: &Caller, arguments: &Arguments) -> Result<Vec<u8>, Errno> {
    if !caller.credentials.has(CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len =
        usize::try_from(arguments.int(1)).ok().filter(|&len| len < UTSNAME_LENGTH).ok_or(Errno::EINVAL)?;
    user::read_array(arguments.address(0), len)
}

/// sethostname(2).
pub fn sethostname(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let name = read_name(caller, arguments)?;
    caller.process.namespaces.names.set_host(name);
    Ok(0)
}

/// setdomainname(2).
pub fn setdomainname(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let name = read_name(caller, arguments)?;
    caller.process.namespaces.names.set_domain(name);
    Ok(0)
}

/// sysinfo(2).
pub fn sysinfo(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let bytes = |frames: usize| (frames * machine::address::PAGE_SIZE) as u64;
    let loads = threads::load::averages().map(|load| load << (LOAD_SHIFT - threads::load::FIXED_SHIFT));
    let answer = Sysinfo {
        uptime: (clock::now_ns() / 1_000_000_000) as i64,
        loads,
        totalram: bytes(frame::total()),
        freeram: bytes(frame::count(Owner::Free)),
        sharedram: bytes(memory::object::memory_pages()),
        bufferram: 0,
        procs: caller.process.namespaces.pids.task_count().min(usize::from(u16::MAX)) as u16,
        mem_unit: 1,
        ..Sysinfo::default()
    };
    user::write_value(arguments.address(0), &answer)?;
    Ok(0)
}

/// Bytes of randomness that are handed out between two looks at signals.
const RANDOM_CHUNK: usize = 256;

/// getrandom(2).
pub fn getrandom(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let flags = GetrandomFlags::from_bits(arguments.unsigned(2)).ok_or(Errno::EINVAL)?;
    if flags.contains(GetrandomFlags::RANDOM | GetrandomFlags::INSECURE) {
        return Err(Errno::EINVAL);
    }
    let len = arguments.size(1).min(super::arguments::MAX_TRANSFER);
    if !arguments.address(0).is_user_range(len) {
        return Err(Errno::EFAULT);
    }
    if !flags.contains(GetrandomFlags::INSECURE) && !files::device::is_seeded() {
        if flags.contains(GetrandomFlags::NONBLOCK) {
            return Err(Errno::EAGAIN);
        }
        files::device::wait_until_seeded()?;
    }
    let mut chunk = [0; RANDOM_CHUNK];
    let mut done = 0;
    while done < len {
        let part = chunk.get_mut(..(len - done).min(RANDOM_CHUNK)).unwrap_or_default();
        crate::random::fill(part);
        let to = UserAddress(arguments.address(0).0.wrapping_add(done));
        let mut sink = user::UserSink::new(to, part.len())?;
        while sink.remaining() > 0 {
            let start = part.len() - sink.remaining();
            match sink.write(part.get(start..).unwrap_or_default()) {
                Ok(written) if written > 0 => done += written,
                Ok(_) => return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) },
                Err(error) => return if done > 0 { Ok(done) } else { Err(error) },
            }
        }
        if done >= RANDOM_CHUNK && caller.has_deliverable() {
            break;
        }
    }
    Ok(done)
}

/// reboot(2).
pub fn reboot(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if !caller.credentials.has(CAP_SYS_BOOT) {
        return Err(Errno::EPERM);
    }
    let second = [LINUX_REBOOT_MAGIC2, LINUX_REBOOT_MAGIC2A, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_MAGIC2C];
    if arguments.unsigned(0) != LINUX_REBOOT_MAGIC1 || !second.contains(&arguments.unsigned(1)) {
        return Err(Errno::EINVAL);
    }
    let machinery = crate::machinery().ok_or(Errno::EINVAL)?;
    match arguments.unsigned(2) {
        LINUX_REBOOT_CMD_RESTART | LINUX_REBOOT_CMD_RESTART2 => machinery.restart(),
        LINUX_REBOOT_CMD_POWER_OFF => machinery.power_off(),
        LINUX_REBOOT_CMD_HALT => machinery.halt(),
        // There is no Ctrl-Alt-Del to catch.
        LINUX_REBOOT_CMD_CAD_ON | LINUX_REBOOT_CMD_CAD_OFF => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// Lines of the log from `first` on as dmesg(1) expects them: priority, time, text. Of more than `most` bytes the newest lines count.
fn log_text(mut first: u64, most: usize) -> Result<Vec<u8>, Errno> {
    let mut lines: alloc::collections::VecDeque<Vec<u8>> = alloc::collections::VecDeque::new();
    let mut total = 0;
    let copy = |entry: &kernel_log::Entry<'_>| {
        let seconds = entry.time_ns / 1_000_000_000;
        let microseconds = entry.time_ns / 1000 % 1_000_000;
        let head = try_format(format_args!("<{}>[{seconds:5}.{microseconds:06}] ", entry.priority));
        let line = head.and_then(|head| {
            let mut line = head.into_bytes();
            line.try_extend(entry.text)?;
            line.try_push(b'\n')?;
            Ok(line)
        });
        (entry.sequence, line)
    };
    while let Some((sequence, line)) = kernel_log::with(first, copy) {
        first = sequence + 1;
        let line = line?;
        total += line.len();
        lines.try_grow(1)?;
        lines.push_back(line);
        while total > most {
            let Some(oldest) = lines.pop_front() else { break };
            total -= oldest.len();
        }
    }
    let mut text = Vec::new();
    text.try_grow_exact(total)?;
    lines.iter().for_each(|line| text.extend_from_slice(line));
    Ok(text)
}

/// The first line that SYSLOG_ACTION_CLEAR has not hidden from SYSLOG_ACTION_READ_ALL.
static CLEARED: AtomicU64 = AtomicU64::new(0);

/// syslog(2): the kernel's log, as dmesg(1) reads it. SYSLOG_ACTION_READ, which waits for what is new, is for a log daemon, and those read /dev/kmsg: EINVAL.
pub fn syslog(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let action = arguments.int(0);
    if !matches!(action, SYSLOG_ACTION_READ_ALL | SYSLOG_ACTION_SIZE_BUFFER)
        && !caller.credentials.has(CAP_SYSLOG)
    {
        return Err(Errno::EPERM);
    }
    let set_level = |level| {
        if let Some(machinery) = crate::machinery() {
            machinery.set_console_level(level);
        }
        Ok(0)
    };
    match action {
        SYSLOG_ACTION_CLOSE | SYSLOG_ACTION_OPEN => Ok(0),
        SYSLOG_ACTION_READ_ALL | SYSLOG_ACTION_READ_CLEAR => {
            let len = usize::try_from(arguments.int(2)).map_err(|_| Errno::EINVAL)?;
            if arguments.optional(1).is_none() {
                return Err(Errno::EINVAL);
            }
            let text = log_text(CLEARED.load(Ordering::Relaxed), len)?;
            user::write_bytes(arguments.address(1), &text)?;
            if action == SYSLOG_ACTION_READ_CLEAR {
                CLEARED.store(kernel_log::end(), Ordering::Relaxed);
            }
            Ok(text.len())
        }
        SYSLOG_ACTION_CLEAR => {
            CLEARED.store(kernel_log::end(), Ordering::Relaxed);
            Ok(0)
        }
        SYSLOG_ACTION_CONSOLE_OFF => set_level(1),
        SYSLOG_ACTION_CONSOLE_ON => set_level(8),
        SYSLOG_ACTION_CONSOLE_LEVEL if (1..=8).contains(&arguments.int(2)) => {
            set_level(arguments.int(2) as u8)
        }
        SYSLOG_ACTION_SIZE_BUFFER => Ok(kernel_log::capacity()),
        _ => Err(Errno::EINVAL),
    }
}
