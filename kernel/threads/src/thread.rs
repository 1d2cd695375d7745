//! The thread: what is known of a flow of control.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI8, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use arrayvec::ArrayVec;
use machine::cpu;
use machine::sync::{Irq, Once, Rank, SpinLock};
use machine::task::{Current, Schedulable, Task};
use machine::tree::Node;
use machine::{list::Link, task};

use crate::account::Account;
use crate::futex::FutexWaiter;
use crate::mask::{AtomicMask, CpuMask};
use crate::policy::{Code, Policy};
use crate::queue::Run;
use crate::state::{State, StateWord};
use crate::time::Sleep;
use crate::virtual_time::Virtual;
use crate::wait::{WaitQueue, Waiting};
use crate::{schedule, work};

/// Bytes of a thread's name, as in Linux (`TASK_COMM_LEN` less its end).
pub const NAME_LEN: usize = 15;

/// A thread's name.
pub type Name = ArrayVec<u8, NAME_LEN>;

/// A flow of control. Always in an `Arc`: run queues, wait queues and the processor that runs it hold
/// references.
pub struct Thread {
    task: Task,
    id: u64,
    /// Whether it is the one that runs when nothing else can.
    pub(crate) is_idle: bool,
    work: AtomicU32,
    pub(crate) state: StateWord,
    /// The processor that it runs on, or is queued on, or ran on last. Written under the lock of that
    /// processor's run queue.
    pub(crate) cpu: AtomicU32,
    pub(crate) fair: Fair,
    pub(crate) run: Node<Thread, Run>,
    pub(crate) waiting: Link<Thread, Waiting>,
    pub(crate) sleep: Node<Thread, Sleep>,
    /// The processor in whose timers `sleep` is.
    pub(crate) sleep_cpu: AtomicU32,
    pub(crate) futex: FutexWaiter,
    pub(crate) account: Account,
    policy: AtomicU32,
    nice: AtomicI8,
    pub(crate) affinity: AtomicMask,
    name: SpinLock<Name, Irq>,
    body: SpinLock<Option<Body>>,
    owner: Once<Weak<dyn Any + Send + Sync>>,
    /// Its requests for memory may be refused on purpose.
    fails: AtomicBool,
    ended: WaitQueue,
}

pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// Where a thread stands among those that share a processor fairly. Written under the lock of the run queue
/// that it is in, or by whoever puts it in one.
pub(crate) struct Fair {
    /// Virtual time that it has run.
    pub run_time: AtomicU64,
    /// Virtual time by which it should have had its next turn.
    pub deadline: AtomicU64,
    /// Virtual time that it was owed (or had too much, if negative) when it last left a run queue.
    pub lag: AtomicI64,
    pub weight: AtomicU32,
    /// The weight with which the run queue counts it.
    pub queued_weight: AtomicU32,
}

impl Fair {
    pub fn run_time(&self) -> Virtual {
        Virtual(self.run_time.load(Ordering::Relaxed))
    }

    pub fn deadline(&self) -> Virtual {
        Virtual(self.deadline.load(Ordering::Relaxed))
    }
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// How many threads there are, idle and ended ones that are still referred to included.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// The thread that runs here.
///
/// # Panics
/// Before the scheduler has been lit on this processor.
#[inline]
#[track_caller]
pub fn current() -> Current<Thread> {
    task::current()
}

/// The thread that runs here; `None` before the scheduler has been lit on this processor.
#[inline]
pub fn try_current() -> Option<Current<Thread>> {
    task::try_current()
}

impl Schedulable for Thread {
    #[inline]
    fn task(&self) -> &Task {
        &self.task
    }
}

impl Thread {
    pub(crate) fn new(
        task: Task,
        name: &[u8],
        nice: i8,
        policy: Policy,
        affinity: CpuMask,
        body: Option<Body>,
    ) -> Self {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            task,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            is_idle: false,
            work: AtomicU32::new(0),
            state: StateWord::new(),
            cpu: AtomicU32::new(0),
            fair: Fair {
                run_time: AtomicU64::new(0),
                deadline: AtomicU64::new(0),
                lag: AtomicI64::new(0),
                weight: AtomicU32::new(policy.weight(nice)),
                queued_weight: AtomicU32::new(0),
            },
            run: Node::new(),
            waiting: Link::new(),
            sleep: Node::new(),
            sleep_cpu: AtomicU32::new(0),
            futex: FutexWaiter::new(),
            account: Account::new(),
            policy: AtomicU32::new(policy.encode().0),
            nice: AtomicI8::new(nice),
            affinity: AtomicMask::new(affinity),
            name: SpinLock::new(Rank::Log, short(name)),
            body: SpinLock::new(Rank::Table, body),
            owner: Once::new(),
            fails: AtomicBool::new(false),
            ended: WaitQueue::new(),
        }
    }

    /// A number that no other thread has or had. (Programs see their own crate's numbers.)
    #[inline]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name: any bytes, at most [`NAME_LEN`].
    pub fn name(&self) -> Name {
        self.name.lock().clone()
    }

    /// Changes the name; what is longer than [`NAME_LEN`] is cut.
    pub fn set_name(&self, name: &[u8]) {
        *self.name.lock() = short(name);
    }

    /// Whether its requests for memory are among those that a test has fail.
    pub fn fails(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }

    /// Says whether they are.
    pub fn set_fails(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// Ties the thread to what it runs for in the crate above (a task of a program). Once; a second owner
    /// is ignored.
    pub fn set_owner(&self, owner: Weak<dyn Any + Send + Sync>) {
        // The first owner stays.
        let _ = self.owner.set(owner);
    }

    /// What the thread was tied to with [`set_owner`](Self::set_owner), if that is a `T` and still there.
    pub fn owner<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.owner.get()?.upgrade()?.downcast().ok()
    }

    /// The exit-work word: nothing but zero lets the thread enter user mode. See [`work`] for its bits.
    #[inline]
    pub fn work(&self) -> &AtomicU32 {
        &self.work
    }

    /// Whether there is exit work: what is given to `UserContext::run`.
    #[inline]
    pub fn has_work(&self) -> bool {
        self.work.load(Ordering::Relaxed) != 0
    }

    /// Whether interruptible waits end now.
    #[inline]
    pub fn is_interrupted(&self) -> bool {
        self.work.load(Ordering::SeqCst) & work::INTERRUPT != 0
    }

    /// Sets [`work::INTERRUPT`]: the thread's interruptible wait ends, or it leaves user mode. From any
    /// context.
    pub fn interrupt(self: &Arc<Self>) {
        self.work.fetch_or(work::INTERRUPT, Ordering::SeqCst);
        if self.state.is_interruptible() && schedule::wake(self.clone(), false) {
            return;
        }
        self.kick();
    }

    /// Makes the thread look at its exit-work word soon if it is in user mode; it does not end waits. From
    /// any context.
    pub fn kick(&self) {
        if self.task.is_on_processor() {
            let cpu = self.cpu();
            if cpu != cpu::current() || !try_current().is_some_and(|current| core::ptr::eq(&*current, self)) {
                cpu::send_reschedule(cpu);
            }
        }
    }

    /// Ends the thread's wait, whatever it waits for; waits that are not over begin again. From any
    /// context. Returns whether it was waiting.
    pub fn wake(self: &Arc<Self>) -> bool {
        schedule::wake(self.clone(), false)
    }

    /// The processor that it runs on, is queued on, or ran on last.
    #[inline]
    pub fn cpu(&self) -> usize {
        self.cpu.load(Ordering::Relaxed) as usize
    }

    /// What the thread does.
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// The scheduling policy.
    pub fn policy(&self) -> Policy {
        self.policy_code().decode()
    }

    #[inline]
    pub(crate) fn policy_code(&self) -> Code {
        Code(self.policy.load(Ordering::Relaxed))
    }

    /// Changes the scheduling policy, also of a thread that runs or waits to run.
    pub fn set_policy(&self, policy: Policy) {
        schedule::reweigh(self, || self.store_policy(policy, self.nice()));
    }

    /// The nice value, -20 to 19.
    pub fn nice(&self) -> i8 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Changes the nice value; what is outside -20 to 19 is brought inside.
    pub fn set_nice(&self, nice: i8) {
        let nice = nice.clamp(*crate::policy::NICE.start(), *crate::policy::NICE.end());
        schedule::reweigh(self, || self.store_policy(self.policy(), nice));
    }

    fn store_policy(&self, policy: Policy, nice: i8) {
        self.policy.store(policy.encode().0, Ordering::Relaxed);
        self.nice.store(nice, Ordering::Relaxed);
        self.fair.weight.store(policy.weight(nice), Ordering::Relaxed);
    }

    /// The processors on which the thread may run.
    pub fn affinity(&self) -> CpuMask {
        self.affinity.load()
    }

    /// Sets the processors on which the thread may run, and moves it if need be (a running thread moves a
    /// moment later). `false`, and no change, when none of them is there.
    pub fn set_affinity(self: &Arc<Self>, mask: CpuMask) -> bool {
        let is_possible = (0..cpu::count()).any(|cpu| mask.contains(cpu));
        if is_possible {
            self.affinity.store(mask);
            schedule::leave_forbidden_processor(self);
        }
        is_possible
    }

    /// Time that the thread has run, in nanoseconds: in user mode and in the kernel. Their sum is exact as
    /// of its last switch or tick; the split is sampled.
    pub fn cpu_time_ns(&self) -> (u64, u64) {
        self.account.times()
    }

    /// How often it gave up its processor by itself, and how often it was made to.
    pub fn switches(&self) -> (u64, u64) {
        self.account.switches()
    }

    /// Waits until the thread has ended.
    pub fn join(&self) {
        let wait = crate::Wait::UNINTERRUPTIBLE;
        let outcome = self.ended.wait_until(wait, || (self.state() == State::Dead).then_some(()));
        debug_assert!(outcome.is_ok());
    }

    /// What the thread has to do, for the one time that it begins.
    pub(crate) fn take_body(&self) -> Option<Body> {
        self.body.lock().take()
    }

    pub(crate) fn end(&self) {
        self.state.die();
        self.ended.wake_all();
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "into an array of its own size")]
fn short(name: &[u8]) -> Name {
    name.iter().copied().take(NAME_LEN).collect()
}
