//! Where things lie in a new address space: Linux's layout for 64-bit programs, and its randomness (arch/x86: `mmap_base`, `ELF_ET_DYN_BASE`).

use machine::address::{PAGE_SIZE, USER_END};

use crate::area::STACK_GUARD_BYTES;

/// The least and the most room kept for the stack.
const STACK_ROOM_MIN: usize = 128 << 20;
const STACK_ROOM_MAX: usize = USER_END / 6 * 5;
/// Pages by which the places vary: 28 bits for mappings and programs, 22 for the stack (`STACK_RND_MASK`).
const MAPPING_RANDOM_PAGES: u64 = 1 << 28;
const STACK_RANDOM_PAGES: u64 = 1 << 22;
/// Pages by which the heap moves away from the program (`arch_randomize_brk`: 32 MiB).
const HEAP_RANDOM_PAGES: u64 = 1 << 13;

/// Places in an address space, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the stack begins; it grows down from here.
    pub stack_top: usize,
    /// Bytes reserved for the stack.
    pub stack_room: usize,
    /// New mappings are placed below this.
    pub mapping_top: usize,
    /// Where a position-independent program goes.
    pub program_base: usize,
    /// How far the heap begins above the end of the program.
    pub heap_gap: usize,
}

impl Layout {
    /// The layout without randomness (`ADDR_NO_RANDOMIZE` of personality(2)) for a stack limit of `stack_limit_bytes`.
    pub fn fixed(stack_limit_bytes: u64) -> Self {
        Self::with_offsets(stack_limit_bytes, 0, 0, 0, 0)
    }

    /// A layout with random places; `random` gives words of entropy.
    pub fn random(stack_limit_bytes: u64, mut random: impl FnMut() -> u64) -> Self {
        let mut pages = |limit: u64| (random() % limit) as usize * PAGE_SIZE;
        Self::with_offsets(
            stack_limit_bytes,
            pages(STACK_RANDOM_PAGES),
            pages(MAPPING_RANDOM_PAGES),
            pages(MAPPING_RANDOM_PAGES),
            pages(HEAP_RANDOM_PAGES),
        )
    }

    fn with_offsets(
        stack_limit_bytes: u64,
        stack: usize,
        mapping: usize,
        program: usize,
        heap_gap: usize,
    ) -> Self {
        let stack_top = USER_END - stack;
        let limit = usize::try_from(stack_limit_bytes).unwrap_or(usize::MAX);
        let stack_room = limit.clamp(STACK_ROOM_MIN, STACK_ROOM_MAX) & !(PAGE_SIZE - 1);
        // The room is kept below the lowest place the stack can have, so that mappings do not tell where it is.
        let lowest_stack = USER_END - STACK_RANDOM_PAGES as usize * PAGE_SIZE;
        let mapping_top = lowest_stack - stack_room - STACK_GUARD_BYTES;
        Self {
            stack_top,
            stack_room,
            mapping_top: mapping_top.saturating_sub(mapping),
            program_base: ((USER_END / 3 * 2) & !(PAGE_SIZE - 1)) + program,
            heap_gap,
        }
    }
}
