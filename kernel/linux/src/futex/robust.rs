//! Robust locks: a thread that ends while it holds some marks them and wakes a waiter (set_robust_list(2)). The list is the program's, so
//! nothing in it is believed: it may be a circle, and any address in it may be wild.

use abi::Errno;
use abi::futex::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_LIST_LIMIT, RobustListHead};
use machine::address::UserAddress;
use machine::sync::atomic::Ordering;
use memory::user;

use super::wake_word;
use crate::process::Caller;

/// Bit 0 of an entry says that the lock inherits priority.
const INHERITS: u64 = 1;

/// Gives up all locks that the thread holds, and forgets the list.
pub fn release_all(caller: &Caller) {
    let list = caller.task.robust_list.swap(0, Ordering::Relaxed);
    if list != 0 {
        // A list that cannot be read to its end is left where it breaks off, as in Linux.
        let _ = walk(caller, list);
    }
}

fn walk(caller: &Caller, list: u64) -> Result<(), Errno> {
    let head: RobustListHead = user::read_value(UserAddress(list as usize))?;
    let pending = head.list_op_pending & !INHERITS;
    let mut entry = head.list;
    for _ in 0..ROBUST_LIST_LIMIT {
        let address = entry & !INHERITS;
        if address == list {
            break;
        }
        // The next one is read first: the lock is somebody else's once it has been given up.
        let next: Result<u64, Errno> = user::read_value(UserAddress(address as usize));
        if address != pending {
            release(caller, address, head.futex_offset, false)?;
        }
        entry = next?;
    }
    if pending != 0 {
        release(caller, pending, head.futex_offset, true)?;
    }
    Ok(())
}

/// Marks one lock, if it is this thread's, and wakes a waiter.
fn release(caller: &Caller, entry: u64, offset: i64, is_pending: bool) -> Result<(), Errno> {
    let word = UserAddress(entry.wrapping_add_signed(offset) as usize);
    let tid = caller.task.tid() as u32;
    let old = user::update_u32(word, |value| {
        (value & FUTEX_TID_MASK == tid).then_some(value & FUTEX_WAITERS | FUTEX_OWNER_DIED)
    })?;
    // A lock that was being given up when the thread ended may have no owner any more, and its waiters nobody to wake them.
    let was_half_released = is_pending && old == 0;
    if old & FUTEX_TID_MASK == tid && old & FUTEX_WAITERS != 0 || was_half_released {
        wake_word(&caller.space, word, 1);
    }
    Ok(())
}
