//! Failure on purpose: one place decides whether a request for memory is refused, so that tests can have any of them fail.
//!
//! Requests are those whose callers can be told: every [`Frame`](crate::frame::Frame), and the kernel heap's through
//! [`heap::Grow`](crate::heap::Grow) and its neighbours. The orders come from tests alone; without one the question costs a load.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::sync::Once;

/// Which requests are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None.
    Never,
    /// One: the first after so many others.
    After(u32),
    /// One in so many, by chance; the number behind it is where the chance begins, so that a run can be repeated.
    OneIn(u32, u64),
}

const NEVER: u32 = 0;
const AFTER: u32 = 1;
const ONE_IN: u32 = 2;

/// Which of the plans is in force.
static KIND: AtomicU32 = AtomicU32::new(NEVER);
/// Requests until the one that is refused, or how many there are to each that is.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// State of the chance.
static CHANCE: AtomicU64 = AtomicU64::new(0);
/// Requests refused since the last plan was made.
static REFUSED: AtomicUsize = AtomicUsize::new(0);
static SUBJECT: Once<fn() -> bool> = Once::new();

/// Puts a plan in force, in place of the last one.
pub fn plan(plan: Plan) {
    KIND.store(NEVER, Ordering::SeqCst);
    let (kind, count, chance) = match plan {
        Plan::Never => return,
        Plan::After(count) => (AFTER, count, 0),
        Plan::OneIn(count, chance) => (ONE_IN, count.max(1), chance),
    };
    COUNT.store(count, Ordering::SeqCst);
    CHANCE.store(chance, Ordering::SeqCst);
    REFUSED.store(0, Ordering::SeqCst);
    KIND.store(kind, Ordering::SeqCst);
}

/// How many requests have been refused since a plan other than [`Plan::Never`] was last made.
pub fn refused() -> usize {
    REFUSED.load(Ordering::SeqCst)
}

/// Says whose requests are counted: `subject` is asked on behalf of the current thread, with any lock held. Without it, everybody's.
/// Called once; later calls are ignored.
pub fn set_subject(subject: fn() -> bool) {
    // The first stays: there is one layer that knows threads.
    let _ = SUBJECT.set(subject);
}

/// Whether the request that is about to be made is to be refused.
#[inline]
pub(crate) fn refuses() -> bool {
    KIND.load(Ordering::Relaxed) != NEVER && refuses_by_plan()
}

#[cold]
fn refuses_by_plan() -> bool {
    if SUBJECT.get().is_some_and(|is_subject| !is_subject()) {
        return false;
    }
    let is_refused = match KIND.load(Ordering::SeqCst) {
        AFTER => {
            let is_last = COUNT.fetch_sub(1, Ordering::SeqCst) == 0;
            if is_last {
                KIND.store(NEVER, Ordering::SeqCst);
            }
            is_last
        }
        ONE_IN => {
            // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators): a counter and a mix of its bits.
            let mut bits = CHANCE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (bits ^ bits >> 31).is_multiple_of(COUNT.load(Ordering::Relaxed).into())
        }
        _ => false,
    };
    if is_refused {
        REFUSED.fetch_add(1, Ordering::SeqCst);
    }
    is_refused
}
