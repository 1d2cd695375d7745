//! Out of memory: somebody has to go. Who, the process layer above decides.

use core::sync::atomic::{AtomicUsize, Ordering};

use machine::clock;
use machine::sync::Once;
use threads::{Mutex, Wait, WaitError, WaitQueue};

/// What a victim chooser has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has killed a program (perhaps the caller's own); its memory comes back soon.
    Killed,
    /// A program is on its way out already, and so is its memory.
    Pending,
    /// There is nobody to kill.
    Nobody,
}

/// What the process layer decides.
#[derive(Clone, Copy)]
pub struct Policy {
    /// Chooses a program, logs its name and kills it, unless one is on its way out: that is waited for, and if the first word says that it takes long, its memory is
    /// taken from it. `pages` is how many are wanted.
    /// One caller at a time, without spin locks.
    pub choose: fn(is_patient: bool, pages: usize) -> Verdict,
    /// Whether the current thread's own program is to end: then it gets no more memory and does not wait.
    pub is_ending: fn() -> bool,
}

/// How many victims one allocation may cost.
const VICTIMS: usize = 8;
/// How long a victim has to give its memory back before it is taken.
const PATIENCE_NS: u64 = 2_000_000_000;

static POLICY: Once<Policy> = Once::new();
static KILLS: AtomicUsize = AtomicUsize::new(0);
/// How often a program has given its memory back.
static RETURNS: AtomicUsize = AtomicUsize::new(0);
/// Woken each time.
static FREED: WaitQueue = WaitQueue::new();
/// Held by whoever chooses: what several want at once one victim may satisfy.
static CHOOSING: Mutex<()> = Mutex::new(());

/// Says who chooses victims. Called once, at boot; later calls are ignored. Without a policy allocations simply fail.
pub fn set_policy(policy: Policy) {
    // The first stays: there is one process layer.
    let _ = POLICY.set(policy);
}

/// How many programs have been killed for want of memory (`oom_kill` of /proc/vmstat).
pub fn kills() -> usize {
    KILLS.load(Ordering::Relaxed)
}

/// One allocation's wait for memory.
pub(crate) struct Relief {
    is_patient: bool,
    victims: usize,
}

impl Relief {
    pub fn new() -> Self {
        Self { is_patient: true, victims: 0 }
    }

    /// Has a program killed, unless one is ending already, and waits until `has_room` or until it is worth looking again. `false` when there is nothing to wait for.
    pub fn wait(&mut self, pages: usize, has_room: impl Fn() -> bool) -> bool {
        let Some(policy) = POLICY.get() else { return false };
        if (policy.is_ending)() {
            return false;
        }
        let seen = RETURNS.load(Ordering::SeqCst);
        let verdict = {
            let _alone = CHOOSING.lock();
            if has_room() {
                return true;
            }
            (policy.choose)(self.is_patient, pages)
        };
        match verdict {
            Verdict::Nobody => return false,
            Verdict::Pending => {}
            Verdict::Killed => {
                KILLS.fetch_add(1, Ordering::Relaxed);
                self.victims += 1;
                if self.victims > VICTIMS {
                    return false;
                }
            }
        }
        // What a victim gave back may have been taken by others: then there is no use in waiting for it.
        let ready = || (has_room() || RETURNS.load(Ordering::SeqCst) != seen).then_some(());
        let deadline_ns = clock::now_ns().saturating_add(PATIENCE_NS);
        let mut outcome = FREED.wait_until(Wait::INTERRUPTIBLE.with_deadline(deadline_ns), ready);
        if outcome == Err(WaitError::Interrupted) {
            if (policy.is_ending)() {
                return false;
            }
            // A signal that does not end the program has to wait until there is memory.
            outcome = FREED.wait_until(Wait::UNINTERRUPTIBLE.with_deadline(deadline_ns), ready);
        }
        self.is_patient = outcome.is_ok();
        true
    }
}

/// Called when an address space has given its memory back, and when a process that was on its way out has gone.
pub fn memory_was_freed() {
    RETURNS.fetch_add(1, Ordering::SeqCst);
    FREED.wake_all();
}
