//! Memory: objects and their pages, the one page cache, address spaces, page faults, and the memory of the program that runs.
//!
//! ```text
//!   mmap, brk, fork, exec          read, write of files            a program touches a page
//!          │                               │                                 │
//!     AddressSpace  ──── areas ────►  Object ◄──────── fault ────────────────┘
//!          │                               │
//!   machine::paging                     Pager (file system, disk, archive)
//! ```
//!
//! Invariants:
//! - A page table entry owns a reference to its frame. Anonymous private pages exist in page tables alone; all others are pages of an [`Object`].
//! - A page is mapped only while its area is in the tree and (for pages of objects) the page is attached: both are looked at under the cursor of the leaf table, and whoever takes
//!   an area or a page away does that first and empties the page tables after.
//! - Faults take no sleeping lock; the lock of the areas is held for a look-up only.
//! - Counts (resident, virtual, promised, dirty) are kept as things happen; nothing is ever scanned to answer /proc/PID/status.
//! - Every allocation can fail; then the error is `ENOMEM` and nothing stays behind.
//!
//! Neighbours: `machine` below gives frames and page tables, `threads` sleeping; `files` has its pages in objects, `linux` makes the system calls of what is here.
//! Start reading in [`object`] and [`space`]; `docs/memory.md` has the figures.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_macros,
        reason = "a test may end for want of memory"
    )
)]

extern crate alloc;

mod account;
mod area;
mod index;
mod layout;
pub mod object;
pub mod oom;
pub mod overcommit;
mod pager;
mod pieces;
pub mod reclaim;
pub mod space;
mod transfer;
mod tree;
pub mod user;

pub use account::Statistics;
pub use area::{AreaFlags, Backing, MapKind, MappedFile, STACK_GUARD_BYTES};
pub use layout::Layout;
pub use object::Object;
pub use pager::Pager;
pub use pieces::Pieces;
pub use reclaim::reserve;
pub use space::{AddressSpace, FaultError, Limits};
pub use transfer::{KernelSink, KernelSource, Sink, Source};

pub use machine::address::UserAddress;
pub use machine::context::Access;
pub use machine::paging::Protection;
