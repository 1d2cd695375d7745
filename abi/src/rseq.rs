//! Restartable sequences (rseq(2), linux/rseq.h): the kernel tells a thread its processor and aborts
//! a marked section that was interrupted.

use crate::plain::plain;

/// The flag of rseq(2) that ends a registration.
pub const RSEQ_FLAG_UNREGISTER: u32 = 1;

/// The size of the first version's area, and the least that rseq(2) accepts.
pub const RSEQ_SIZE_MIN: u32 = 32;
/// The alignment of an area, in bytes, and of a critical section's description.
pub const RSEQ_ALIGN: u64 = 32;
/// The bytes of an area that carry meaning: what AT_RSEQ_FEATURE_SIZE tells.
pub const RSEQ_FEATURE_SIZE: u64 = 28;
/// `Rseq::cpu_id` before registration.
pub const RSEQ_CPU_ID_UNINITIALIZED: u32 = -1i32 as u32;
/// `Rseq::cpu_id` after a registration that failed.
pub const RSEQ_CPU_ID_REGISTRATION_FAILED: u32 = -2i32 as u32;

plain! {
    /// What a thread shares with the kernel (`struct rseq`).
    #[repr(align(32))]
    pub struct Rseq {
        pub cpu_id_start: u32,
        pub cpu_id: u32,
        /// The address of the [`RseqCriticalSection`] that the thread is in, or zero.
        pub rseq_cs: u64,
        pub flags: u32,
        pub node_id: u32,
        pub mm_cid: u32,
        pub pad: u32,
    }

    /// Where a section lies and where to go if it is interrupted (`struct rseq_cs`). The four bytes
    /// before `abort_ip` must be the signature given at registration.
    #[repr(align(32))]
    pub struct RseqCriticalSection {
        pub version: u32,
        pub flags: u32,
        pub start_ip: u64,
        pub post_commit_offset: u64,
        pub abort_ip: u64,
    }
}
