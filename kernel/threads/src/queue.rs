//! The run queue of a processor: earliest eligible virtual deadline first (Stoica and Abdel-Wahab 1995), below the real-time priorities.
//!
//! Each fair thread has a virtual run time that grows, while it runs, at a rate inverse to its weight. The weighted average over all that
//! want the processor is the virtual time: whoever is not ahead of it is owed something and is *eligible*. Of those, the one whose next turn is due
//! first runs. A thread that leaves keeps its lag (what it was owed, or had too much), so sleeping neither earns nor loses anything.

use alloc::sync::Arc;
use core::cmp::Ordering as Order;
use core::ops::ControlFlow;
use core::sync::atomic::Ordering::Relaxed;

use machine::task::Schedulable;
use machine::tree::{Node, Rooted, Tree};

use crate::policy::{Policy, SLICE_NS, UNIT_WEIGHT};
use crate::thread::Thread;

/// Tag of the node by which a thread is in a run queue.
pub(crate) struct Run;

/// A moment of virtual time: nanoseconds at weight 1024, on a circle, so that only differences count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Virtual(pub u64);

impl Virtual {
    /// How far `self` is after `other`; negative if it is before.
    #[inline]
    pub fn since(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }

    #[inline]
    pub fn plus(self, span: i64) -> Self {
        Self(self.0.wrapping_add(span as u64))
    }
}

impl Ord for Virtual {
    #[inline]
    fn cmp(&self, other: &Self) -> Order {
        self.since(*other).cmp(&0)
    }
}

impl PartialOrd for Virtual {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Rooted<Run> for Thread {
    type Key = Virtual;
    type Value = Virtual;
    #[inline]
    fn node(&self) -> &Node<Self, Run> {
        &self.run
    }
}

/// What the queue knows of the thread that runs.
struct Running {
    id: u64,
    policy: Policy,
    /// 0: the idle thread, which weighs nothing.
    weight: u32,
    run_time: Virtual,
    deadline: Virtual,
    /// Until when its run time has been counted.
    counted_ns: u64,
}

pub(crate) struct RunQueue {
    /// By virtual deadline, limited by virtual run time.
    fair: Tree<Thread, Run>,
    /// By priority, the highest first; in turn among equals.
    real_time: Tree<Thread, Run>,
    running: Running,
    /// Sum of the weights of all fair threads that want the processor, the running one included.
    weight: i64,
    /// Sum of `weight * (run time - base)` over the same.
    moment: i64,
    base: Virtual,
}

/// Why a thread goes into the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It begins, was woken, or came from another processor.
    Joins,
    /// It ran until now and has to let others go first.
    Preempted,
    /// It ran until now and its turn is over, or it yields.
    TurnOver,
}

/// Nanoseconds of a thread of this weight, in virtual time.
#[inline]
fn to_virtual(ns: u64, weight: u32) -> i64 {
    if u64::from(weight) == UNIT_WEIGHT {
        ns as i64
    } else {
        (ns.saturating_mul(UNIT_WEIGHT) / u64::from(weight.max(1))) as i64
    }
}

impl RunQueue {
    pub const fn new() -> Self {
        Self {
            fair: Tree::new(),
            real_time: Tree::new(),
            running: Running {
                id: 0,
                policy: Policy::Idle,
                weight: 0,
                run_time: Virtual(0),
                deadline: Virtual(0),
                counted_ns: 0,
            },
            weight: 0,
            moment: 0,
            base: Virtual(0),
        }
    }

    /// Threads that wait for their turn.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.fair.len() + self.real_time.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.fair.is_empty() && self.real_time.is_empty()
    }

    #[inline]
    pub fn is_idle(&self) -> bool {
        self.running.weight == 0
    }

    /// Whether the thread of this number runs here.
    pub fn is_running(&self, id: u64) -> bool {
        self.running.id == id && !self.is_idle()
    }

    /// Whether `thread` waits here.
    pub fn is_waiting(&self, thread: &Thread) -> bool {
        self.fair.contains(thread) || self.real_time.contains(thread)
    }

    /// The virtual time; moves the base there, so that the sums stay small.
    fn now(&mut self) -> Virtual {
        if self.moment != 0 && self.weight != 0 {
            let ahead = self.moment.div_euclid(self.weight);
            self.base = self.base.plus(ahead);
            self.moment = self.moment.wrapping_sub(ahead.wrapping_mul(self.weight));
        }
        self.base
    }

    #[inline]
    fn add(&mut self, weight: u32, run_time: Virtual) {
        let weight = i64::from(weight);
        self.moment = self.moment.wrapping_add(run_time.since(self.base).wrapping_mul(weight));
        self.weight += weight;
    }

    #[inline]
    fn subtract(&mut self, weight: u32, run_time: Virtual) {
        let weight = i64::from(weight);
        self.moment = self.moment.wrapping_sub(run_time.since(self.base).wrapping_mul(weight));
        self.weight -= weight;
        if self.weight == 0 {
            self.moment = 0;
        }
    }

    /// Counts the time that the running thread has had.
    #[inline]
    pub fn count(&mut self, now_ns: u64) {
        let running = &mut self.running;
        let ns = now_ns.saturating_sub(running.counted_ns);
        running.counted_ns = now_ns;
        if running.weight == 0 || running.policy.priority() > 0 {
            return;
        }
        let span = to_virtual(ns, running.weight);
        running.run_time = running.run_time.plus(span);
        self.moment = self.moment.wrapping_add(span.wrapping_mul(i64::from(running.weight)));
    }

    /// Puts a thread in. It is in no queue.
    pub fn enter(&mut self, thread: Arc<Thread>, entry: Entry) {
        let policy = thread.policy();
        let priority = policy.priority();
        if priority > 0 {
            // Even keys are the front of their priority.
            let key = Virtual(u64::from(99 - priority) * 2 + u64::from(entry != Entry::Preempted));
            let inserted = self.real_time.insert(thread, key, key);
            debug_assert!(inserted.is_ok(), "a thread was put in a second run queue");
            return;
        }
        let weight = thread.fair.weight.load(Relaxed);
        if entry == Entry::Joins {
            self.place(&thread, weight);
        }
        let (run_time, deadline) = (thread.fair.run_time(), thread.fair.deadline());
        // What is subtracted later, whatever the weight is changed to meanwhile.
        thread.fair.queued_weight.store(weight, Relaxed);
        self.add(weight, run_time);
        let inserted = self.fair.insert(thread, deadline, run_time);
        debug_assert!(inserted.is_ok(), "a thread was put in a second run queue");
    }

    /// Gives a fair thread that joins its place in this queue's virtual time.
    fn place(&mut self, thread: &Thread, weight: u32) {
        let now = self.now();
        let mut lag = thread.fair.lag.load(Relaxed);
        if lag != 0 && self.weight > 0 {
            // Its joining moves the average towards it; this much more lag leaves it with what it had.
            let others = self.weight;
            lag = lag.saturating_mul(others + i64::from(weight)) / others;
        }
        let run_time = now.plus(-lag);
        thread.fair.run_time.store(run_time.0, Relaxed);
        thread.fair.deadline.store(run_time.plus(to_virtual(SLICE_NS, weight)).0, Relaxed);
    }

    /// Notes how a fair thread that leaves stands to the average.
    fn keep_lag(&mut self, thread: &Thread, run_time: Virtual, weight: u32) {
        // Two turns are the most that can be owed either way.
        let limit = 2 * to_virtual(SLICE_NS, weight);
        let lag = -run_time.since(self.now());
        thread.fair.lag.store(lag.clamp(-limit, limit), Relaxed);
    }

    /// The running thread parks, ends or moves to another processor.
    pub fn leave(&mut self, thread: &Thread) {
        let (run_time, weight) = (self.running.run_time, self.running.weight);
        if self.running.policy.priority() == 0 {
            self.keep_lag(thread, run_time, weight);
            self.subtract(weight, run_time);
        }
        self.running.weight = 0;
    }

    /// The running thread goes back among those that wait.
    pub fn put_back(&mut self, thread: Arc<Thread>, is_yield: bool) {
        let Running { weight, run_time, policy, .. } = self.running;
        let entry = if self.is_turn_over(is_yield) { Entry::TurnOver } else { Entry::Preempted };
        if policy.priority() == 0 {
            self.subtract(weight, run_time);
            let fair = &thread.fair;
            // Who yields gives up what it is owed, so that others are eligible.
            let run_time = if is_yield { run_time.max(self.now()) } else { run_time };
            fair.run_time.store(run_time.0, Relaxed);
            let deadline = if entry == Entry::TurnOver {
                run_time.plus(to_virtual(SLICE_NS, weight))
            } else {
                self.running.deadline
            };
            fair.deadline.store(deadline.0, Relaxed);
        }
        self.running.weight = 0;
        self.enter(thread, entry);
    }

    fn is_turn_over(&self, is_yield: bool) -> bool {
        is_yield
            || match self.running.policy {
                Policy::Fifo(_) => false,
                // The caller comes here at the end of a turn, or because of somebody of higher priority, who will show.
                Policy::RoundRobin(priority) => {
                    let first = self.real_time.first().map(|(thread, _)| thread.policy().priority());
                    first.is_none_or(|first| first <= priority)
                }
                _ => self.running.run_time >= self.running.deadline,
            }
    }

    /// Takes out the thread that should run.
    pub fn choose(&mut self) -> Option<Arc<Thread>> {
        if let Some(thread) = self.real_time.pop_first() {
            return Some(thread);
        }
        let thread = if self.fair.len() > 1 {
            let now = self.now();
            // Rounding may leave nobody eligible; then the most urgent runs.
            self.fair.pop_first_within(now).or_else(|| self.fair.pop_first())
        } else {
            self.fair.pop_first()
        }?;
        self.subtract(thread.fair.queued_weight.load(Relaxed), thread.fair.run_time());
        Some(thread)
    }

    /// Makes `thread`, which is in no queue, the one that runs; `None`: the idle thread does. Returns how long its turn is, in nanoseconds.
    pub fn run(&mut self, thread: Option<&Thread>, now_ns: u64) -> Option<u64> {
        let Some(thread) = thread else {
            self.running.weight = 0;
            return None;
        };
        let policy = thread.policy();
        let weight = thread.fair.weight.load(Relaxed);
        let (run_time, deadline) = (thread.fair.run_time(), thread.fair.deadline());
        self.running = Running { id: thread.id(), policy, weight, run_time, deadline, counted_ns: now_ns };
        if policy.priority() == 0 {
            self.add(weight, run_time);
        }
        self.turn_ns()
    }

    /// How long the running thread may go on while others wait.
    pub fn turn_ns(&mut self) -> Option<u64> {
        let running = &mut self.running;
        if running.weight == 0 || running.policy.priority() > 0 {
            return running.policy.slice_ns();
        }
        if running.run_time >= running.deadline {
            running.deadline = running.run_time.plus(to_virtual(SLICE_NS, running.weight));
        }
        let left = running.deadline.since(running.run_time).max(0) as u64;
        Some((left.saturating_mul(u64::from(running.weight)) / UNIT_WEIGHT).clamp(SLICE_NS / 30, SLICE_NS))
    }

    /// When the running thread's turn began, or was counted last.
    pub fn counted_ns(&self) -> u64 {
        self.running.counted_ns
    }

    /// Whether `thread`, which has just come in, should run at once.
    pub fn should_preempt(&mut self, thread: &Thread) -> bool {
        if self.is_idle() {
            return true;
        }
        let policy = thread.policy();
        let (own, other) = (policy.priority(), self.running.policy.priority());
        if own > 0 || other > 0 {
            return own > other;
        }
        match (policy, self.running.policy) {
            (Policy::Idle | Policy::Batch, _) => false,
            (_, Policy::Idle) => true,
            _ => {
                let is_eligible = thread.fair.run_time() <= self.now();
                is_eligible && thread.fair.deadline() < self.running.deadline
            }
        }
    }

    /// Takes a waiting thread out to go elsewhere, or to be changed; `None` if it does not wait here.
    pub fn remove(&mut self, thread: &Thread) -> Option<Arc<Thread>> {
        if let Some(found) = self.real_time.remove(thread) {
            return Some(found);
        }
        let found = self.fair.remove(thread)?;
        self.forget(&found);
        Some(found)
    }

    /// Changes policy and weight of the running thread by `change`.
    pub fn change_running(&mut self, thread: &Thread, change: impl FnOnce()) {
        let Running { weight, run_time, policy, .. } = self.running;
        if policy.priority() == 0 {
            self.keep_lag(thread, run_time, weight);
            self.subtract(weight, run_time);
        }
        change();
        self.running.policy = thread.policy();
        self.running.weight = thread.fair.weight.load(Relaxed);
        if self.running.policy.priority() == 0 {
            self.place(thread, self.running.weight);
            self.running.run_time = thread.fair.run_time();
            self.running.deadline = thread.fair.deadline();
            self.add(self.running.weight, self.running.run_time);
        }
    }

    /// Takes out a waiting thread that could run on processor `cpu`, the most urgent first. Only the first few are looked at, for the time that it takes.
    pub fn remove_movable(&mut self, cpu: usize) -> Option<Arc<Thread>> {
        let mut looks = 8;
        let mut can_move = |thread: &Thread, _| {
            looks -= 1;
            if thread.affinity.contains(cpu) && !thread.task().is_on_processor() {
                ControlFlow::Break(true)
            } else if looks == 0 {
                ControlFlow::Break(false)
            } else {
                ControlFlow::Continue(())
            }
        };
        if let Some(found) = self.real_time.pop_where(None, &mut can_move) {
            return Some(found);
        }
        let found = self.fair.pop_where(None, &mut can_move)?;
        self.forget(&found);
        Some(found)
    }

    /// A fair thread has been taken out to go elsewhere.
    fn forget(&mut self, thread: &Thread) {
        let (weight, run_time) = (thread.fair.queued_weight.load(Relaxed), thread.fair.run_time());
        self.keep_lag(thread, run_time, weight);
        self.subtract(weight, run_time);
    }
}
