//! Waiting on memory words (futex(2), set_robust_list(2)).

use crate::plain::plain;

// Commands, after the two flags are taken off.
pub const FUTEX_WAIT: u32 = 0;
pub const FUTEX_WAKE: u32 = 1;
pub const FUTEX_FD: u32 = 2;
pub const FUTEX_REQUEUE: u32 = 3;
pub const FUTEX_CMP_REQUEUE: u32 = 4;
pub const FUTEX_WAKE_OP: u32 = 5;
pub const FUTEX_LOCK_PI: u32 = 6;
pub const FUTEX_UNLOCK_PI: u32 = 7;
pub const FUTEX_TRYLOCK_PI: u32 = 8;
pub const FUTEX_WAIT_BITSET: u32 = 9;
pub const FUTEX_WAKE_BITSET: u32 = 10;
pub const FUTEX_WAIT_REQUEUE_PI: u32 = 11;
pub const FUTEX_CMP_REQUEUE_PI: u32 = 12;
pub const FUTEX_LOCK_PI2: u32 = 13;

// Flags of a command: the word is in no other process; the timeout is in CLOCK_REALTIME.
pub const FUTEX_PRIVATE_FLAG: u32 = 0x80;
pub const FUTEX_CLOCK_REALTIME: u32 = 0x100;

/// What leaves the command of an operation word.
pub const FUTEX_CMD_MASK: u32 = !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

/// The set that every waiter's set meets.
pub const FUTEX_BITSET_MATCH_ANY: u32 = 0xffff_ffff;

// The word of a robust or priority-inheriting lock.
pub const FUTEX_WAITERS: u32 = 0x8000_0000;
pub const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
pub const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

// Operations and comparisons of FUTEX_WAKE_OP.
pub const FUTEX_OP_SET: u32 = 0;
pub const FUTEX_OP_ADD: u32 = 1;
pub const FUTEX_OP_OR: u32 = 2;
pub const FUTEX_OP_ANDN: u32 = 3;
pub const FUTEX_OP_XOR: u32 = 4;
pub const FUTEX_OP_OPARG_SHIFT: u32 = 8;
pub const FUTEX_OP_CMP_EQ: u32 = 0;
pub const FUTEX_OP_CMP_NE: u32 = 1;
pub const FUTEX_OP_CMP_LT: u32 = 2;
pub const FUTEX_OP_CMP_LE: u32 = 3;
pub const FUTEX_OP_CMP_GT: u32 = 4;
pub const FUTEX_OP_CMP_GE: u32 = 5;

/// The most locks of a robust list that are released at exit: the list may be a circle.
pub const ROBUST_LIST_LIMIT: usize = 2048;

// Flags of one word of futex_waitv(2), and the most words of one call.
pub const FUTEX2_SIZE_U8: u32 = 0x0;
pub const FUTEX2_SIZE_U16: u32 = 0x1;
pub const FUTEX2_SIZE_U32: u32 = 0x2;
pub const FUTEX2_SIZE_U64: u32 = 0x3;
pub const FUTEX2_SIZE_MASK: u32 = 0x3;
pub const FUTEX2_NUMA: u32 = 0x4;
pub const FUTEX2_PRIVATE: u32 = 0x80;
pub const FUTEX_WAITV_MAX: usize = 128;

plain! {
    /// A thread's list of held robust locks (`struct robust_list_head`). Addresses are the program's.
    pub struct RobustListHead {
        /// The first entry, or this head itself where the list is empty. Bit 0 of an entry's address
        /// says that the lock inherits priority.
        pub list: u64,
        /// From an entry to its lock word, in bytes.
        pub futex_offset: i64,
        /// The entry that is being locked or unlocked just now.
        pub list_op_pending: u64,
    }

    /// One word of futex_waitv(2) (`struct futex_waitv`).
    pub struct FutexWaitv {
        pub val: u64,
        pub uaddr: u64,
        pub flags: u32,
        pub reserved: u32,
    }
}
