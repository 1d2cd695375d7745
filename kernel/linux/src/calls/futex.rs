//! futex(2), and the calls about robust lists and restartable sequences.

use abi::Errno;
use abi::futex::*;
use abi::time::Timespec;
use machine::address::UserAddress;
use machine::sync::atomic::Ordering;
use memory::user;
use threads::Wait;
use threads::futex::{self, Ended};

use super::arguments::read_optional;
use super::{Arguments, Restart};
use crate::futex::key;
use crate::process::Caller;
use crate::time::Kind;

type Outcome = Result<usize, Errno>;

/// futex(2). Priority-inheriting locks are not there: ENOSYS, which the C libraries take as an answer.
pub fn futex(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let operation = arguments.unsigned(1);
    let is_private = operation & FUTEX_PRIVATE_FLAG != 0;
    let command = operation & FUTEX_CMD_MASK;
    let word = arguments.address(0);
    let value = arguments.unsigned(2);
    let uses_wall_clock = operation & FUTEX_CLOCK_REALTIME != 0;
    if command == FUTEX_WAIT {
        // The timeout is looked at before what may go with it.
        let timeout: Option<Timespec> = read_optional(arguments.optional(3))?;
        timeout.map(|timeout| timeout.to_nanoseconds().ok_or(Errno::EINVAL)).transpose()?;
    }
    if uses_wall_clock && command != FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    match command {
        FUTEX_WAIT => {
            let timeout: Option<Timespec> = read_optional(arguments.optional(3))?;
            let deadline_ns = match timeout {
                Some(timeout) => Some(crate::time::deadline_after(&timeout)?),
                None => None,
            };
            wait(caller, word.0, value, FUTEX_BITSET_MATCH_ANY, is_private, deadline_ns)
        }
        FUTEX_WAIT_BITSET => {
            let timeout: Option<Timespec> = read_optional(arguments.optional(3))?;
            let kind = if uses_wall_clock { Kind::Wall } else { Kind::Boot };
            let deadline_ns = match timeout {
                Some(timeout) => Some(kind.to_boot_ns(timeout.to_nanoseconds().ok_or(Errno::EINVAL)?)),
                None => None,
            };
            wait(caller, word.0, value, arguments.unsigned(5), is_private, deadline_ns)
        }
        FUTEX_WAKE => wake(caller, word, value, FUTEX_BITSET_MATCH_ANY, is_private),
        FUTEX_WAKE_BITSET => wake(caller, word, value, arguments.unsigned(5), is_private),
        FUTEX_REQUEUE => requeue(caller, arguments, None, is_private),
        FUTEX_CMP_REQUEUE => requeue(caller, arguments, Some(arguments.unsigned(5)), is_private),
        FUTEX_WAKE_OP => wake_op(caller, arguments, is_private),
        _ => Err(Errno::ENOSYS),
    }
}

/// Waits while the word has this value.
pub fn wait(
    caller: &mut Caller,
    word: usize,
    value: u32,
    set: u32,
    is_private: bool,
    deadline_ns: Option<u64>,
) -> Outcome {
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    let address = UserAddress(word);
    let key = key(&caller.space, address, is_private)?;
    let how = Wait { interruptible: true, deadline_ns };
    loop {
        // The word is looked at with nothing but spin locks held, so a page that is not there is brought in first.
        let ended = futex::wait(key, set, how, || machine::user::load_u32(address).map(|now| now == value));
        return match ended {
            Ok(Ended::Woken) => Ok(0),
            Ok(Ended::Changed) => Err(Errno::EAGAIN),
            Ok(Ended::TimedOut) => Err(Errno::ETIMEDOUT),
            Ok(Ended::Interrupted) => {
                caller.restart = deadline_ns.map(|deadline_ns| Restart::Futex {
                    word,
                    value,
                    set,
                    is_private,
                    deadline_ns,
                });
                Err(Errno::EINTR)
            }
            Err(fault) => {
                user::fault_in(fault.address, fault.access)?;
                continue;
            }
        };
    }
}

fn wake(caller: &Caller, word: UserAddress, most: u32, set: u32, is_private: bool) -> Outcome {
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(&caller.space, word, is_private)?;
    // Linux wakes one where none is asked for.
    let most = usize::try_from(most as i32).unwrap_or(0).max(1);
    Ok(futex::wake(key, most, set))
}

fn requeue(caller: &Caller, arguments: &Arguments, expected: Option<u32>, is_private: bool) -> Outcome {
    let count = |index| usize::try_from(arguments.int(index)).map_err(|_| Errno::EINVAL);
    let (most_woken, most_moved) = (count(2)?, count(3)?);
    let word = arguments.address(0);
    let from = key(&caller.space, word, is_private)?;
    let to = key(&caller.space, arguments.address(4), is_private)?;
    loop {
        let outcome = futex::requeue(from, to, most_woken, most_moved, || match expected {
            Some(expected) => machine::user::load_u32(word).map(|now| now == expected),
            None => Ok(true),
        });
        return match outcome {
            // FUTEX_REQUEUE tells who was woken, FUTEX_CMP_REQUEUE all.
            Ok(Some((woken, moved))) => Ok(if expected.is_some() { woken + moved } else { woken }),
            Ok(None) => Err(Errno::EAGAIN),
            Err(fault) => {
                user::fault_in(fault.address, fault.access)?;
                continue;
            }
        };
    }
}

/// The operation and comparison that FUTEX_WAKE_OP packs into a word.
struct Operation {
    operation: u32,
    comparison: u32,
    argument: i32,
    compared: i32,
}

impl Operation {
    fn new(packed: u32) -> Self {
        let signed = |value: u32| (value << 20) as i32 >> 20;
        let operation = packed >> 28 & 0xf;
        let mut argument = signed(packed >> 12 & 0xfff);
        if operation & FUTEX_OP_OPARG_SHIFT != 0 {
            argument = 1i32.wrapping_shl(argument as u32 & 31);
        }
        Self {
            operation: operation & !FUTEX_OP_OPARG_SHIFT,
            comparison: packed >> 24 & 0xf,
            argument,
            compared: signed(packed & 0xfff),
        }
    }

    fn apply(&self, old: u32) -> Option<u32> {
        let argument = self.argument as u32;
        match self.operation {
            FUTEX_OP_SET => Some(argument),
            FUTEX_OP_ADD => Some(old.wrapping_add(argument)),
            FUTEX_OP_OR => Some(old | argument),
            FUTEX_OP_ANDN => Some(old & !argument),
            FUTEX_OP_XOR => Some(old ^ argument),
            _ => None,
        }
    }

    fn holds(&self, old: u32) -> Option<bool> {
        let old = old as i32;
        match self.comparison {
            FUTEX_OP_CMP_EQ => Some(old == self.compared),
            FUTEX_OP_CMP_NE => Some(old != self.compared),
            FUTEX_OP_CMP_LT => Some(old < self.compared),
            FUTEX_OP_CMP_LE => Some(old <= self.compared),
            FUTEX_OP_CMP_GT => Some(old > self.compared),
            FUTEX_OP_CMP_GE => Some(old >= self.compared),
            _ => None,
        }
    }
}

fn wake_op(caller: &Caller, arguments: &Arguments, is_private: bool) -> Outcome {
    let operation = Operation::new(arguments.unsigned(5));
    let (first, second) = (arguments.address(0), arguments.address(4));
    let first_key = key(&caller.space, first, is_private)?;
    let second_key = key(&caller.space, second, is_private)?;
    if operation.apply(0).is_none() {
        return Err(Errno::ENOSYS);
    }
    let old = user::update_u32(second, |old| operation.apply(old))?;
    operation.holds(old).ok_or(Errno::ENOSYS)?;
    let most = |index| usize::try_from(arguments.int(index)).unwrap_or(0).max(1);
    let mut woken = futex::wake(first_key, most(2), FUTEX_BITSET_MATCH_ANY);
    if operation.holds(old) == Some(true) {
        woken += futex::wake(second_key, most(3), FUTEX_BITSET_MATCH_ANY);
    }
    Ok(woken)
}

/// set_robust_list(2).
pub fn set_robust_list(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    if arguments.size(1) != size_of::<RobustListHead>() {
        return Err(Errno::EINVAL);
    }
    caller.task.robust_list.store(arguments.word(0), Ordering::Relaxed);
    Ok(0)
}

/// get_robust_list(2).
pub fn get_robust_list(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let task = match arguments.int(0) {
        0 => caller.task.clone(),
        tid => caller.process.namespaces.pids.task(tid).ok_or(Errno::ESRCH)?,
    };
    let is_own = alloc::sync::Arc::ptr_eq(task.process(), &caller.process);
    if !is_own && !caller.credentials.has(abi::capability::CAP_SYS_PTRACE) {
        return Err(Errno::EPERM);
    }
    user::write_value(arguments.address(2), &(size_of::<RobustListHead>() as u64))?;
    user::write_value(arguments.address(1), &task.robust_list.load(Ordering::Relaxed))?;
    Ok(0)
}

/// rseq(2).
pub fn rseq(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (length, flags, signature) = (arguments.unsigned(1), arguments.unsigned(2), arguments.unsigned(3));
    crate::sequence::register(caller, arguments.address(0), length, flags, signature)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_operation_is_taken_apart_as_futex_2_describes() {
        // FUTEX_OP(FUTEX_OP_ADD, -1, FUTEX_OP_CMP_GT, 5)
        let operation = Operation::new(FUTEX_OP_ADD << 28 | FUTEX_OP_CMP_GT << 24 | 0xfff << 12 | 5);
        assert_eq!(operation.apply(7), Some(6));
        assert_eq!(operation.holds(7), Some(true));
        assert_eq!(operation.holds(5), Some(false));
        // FUTEX_OP_OR with a shifted argument.
        let operation = Operation::new((FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT) << 28 | 4 << 12);
        assert_eq!(operation.apply(1), Some(17));
    }
}
