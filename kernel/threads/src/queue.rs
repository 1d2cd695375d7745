//! The run queue of a processor: earliest eligible virtual deadline first (Stoica and Abdel-Wahab 1995),
//! below the real-time priorities.
//!
//! Each fair thread has a virtual run time that grows, while it runs, at a rate inverse to its weight. The
//! weighted average over all that want the processor is the virtual time: whoever is not ahead of it is
//! owed something and is *eligible*. Of those, the one whose next turn is due first runs. A thread that
//! leaves keeps its lag (what it was owed, or had too much), so sleeping neither earns nor loses anything.

use alloc::sync::Arc;
use core::ops::ControlFlow;
use core::sync::atomic::Ordering::Relaxed;

use machine::task::{Current, Schedulable};
use machine::tree::{Node, Rooted, Tree};

use crate::policy::{Code, ROUND_ROBIN_NS, SLICE_NS, UNIT_WEIGHT};
use crate::thread::Thread;
use crate::virtual_time::{Virtual, to_virtual};

/// Tag of the node by which a thread is in a run queue.
pub(crate) struct Run;

impl Rooted<Run> for Thread {
    type Key = Virtual;
    type Value = Virtual;
    #[inline]
    fn node(&self) -> &Node<Self, Run> {
        &self.run
    }
}

/// The most that is counted at once of the time that a thread has run, in nanoseconds.
const LONGEST_COUNT_NS: u64 = 60_000_000_000;

/// What the queue knows of the thread that runs.
struct Running {
    id: u64,
    policy: Code,
    /// 0: the idle thread, which weighs nothing.
    weight: u32,
    /// Whether it is among those that the sums count.
    is_fair: bool,
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

impl RunQueue {
    pub const fn new() -> Self {
        Self {
            fair: Tree::new(),
            real_time: Tree::new(),
            running: Running {
                id: 0,
                policy: Code(0),
                weight: 0,
                is_fair: false,
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
        // A thread that was alone for longer is compared with nobody who was there; the sums stay small.
        let ns = now_ns.saturating_sub(running.counted_ns).min(LONGEST_COUNT_NS);
        running.counted_ns = now_ns;
        if running.weight == 0 || !running.is_fair {
            return;
        }
        let span = to_virtual(ns, running.weight);
        running.run_time = running.run_time.plus(span);
        self.moment = self.moment.wrapping_add(span.wrapping_mul(i64::from(running.weight)));
    }

    /// Puts in a thread that begins, was woken, or came from another processor; it is in no queue. Returns
    /// whether it should run at once.
    pub fn join(&mut self, thread: Arc<Thread>) -> bool {
        let policy = thread.policy_code();
        let (own, other) = (policy.priority(), self.running.policy.priority());
        if own > 0 {
            self.insert_real_time(thread, own, false);
            return self.is_idle() || own > other;
        }
        let weight = thread.fair.weight.load(Relaxed);
        self.place(&thread, weight);
        let (run_time, deadline) = (thread.fair.run_time(), thread.fair.deadline());
        // Eligible (it is owed something, or nothing), and due before the running one.
        let is_urgent = run_time <= self.base && deadline < self.running.deadline;
        self.add(weight, run_time);
        self.insert_fair(thread, weight, run_time, deadline);
        self.is_idle() || other == 0 && policy.may_preempt() && (is_urgent || self.running.policy.is_idle())
    }

    fn insert_real_time(&mut self, thread: Arc<Thread>, priority: u8, is_first: bool) {
        // Even keys are the front of their priority.
        let key = Virtual(u64::from(99 - priority) * 2 + u64::from(!is_first));
        let inserted = self.real_time.insert(thread, key, key);
        debug_assert!(inserted.is_ok(), "a thread was put in a second run queue");
    }

    /// The sums count the thread already.
    fn insert_fair(&mut self, thread: Arc<Thread>, weight: u32, run_time: Virtual, deadline: Virtual) {
        // What is subtracted later, whatever the weight is changed to meanwhile.
        thread.fair.queued_weight.store(weight, Relaxed);
        thread.fair.run_time.store(run_time.0, Relaxed);
        thread.fair.deadline.store(deadline.0, Relaxed);
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
        let Running { run_time, weight, is_fair, .. } = self.running;
        if is_fair {
            self.keep_lag(thread, run_time, weight);
            self.subtract(weight, run_time);
        }
        self.running.weight = 0;
    }

    /// The running thread wants to go on, and others wait. Gives the one that should run, with this one put
    /// among those that wait; `None`: this one goes on.
    pub fn exchange(&mut self, thread: &Current<Thread>, is_yield: bool) -> Option<Arc<Thread>> {
        let policy = thread.policy_code();
        let priority = policy.priority();
        if !self.running.is_fair || priority > 0 || !self.real_time.is_empty() {
            self.put_back(thread.to_arc(), is_yield);
            return self.choose();
        }
        self.end_turn(is_yield);
        let Running { weight, run_time, deadline, .. } = self.running;
        let now = self.now();
        let is_eligible = run_time <= now;
        match self.fair.find_first_within(now) {
            // Among equals it is the turn of those that wait.
            Some((_, first)) if !is_eligible || first <= deadline => {}
            None if !is_eligible => {}
            _ => return None,
        }
        let next = self.fair.pop_first_within(now).or_else(|| self.fair.pop_first());
        self.insert_fair(thread.to_arc(), weight, run_time, deadline);
        next
    }

    /// Gives the running fair thread its next deadline if its turn is over.
    fn end_turn(&mut self, is_yield: bool) {
        if is_yield {
            // Who yields gives up what it is owed, so that others are eligible.
            let now = self.now();
            let given_up = now.since(self.running.run_time).max(0);
            self.running.run_time = self.running.run_time.plus(given_up);
            self.moment = self.moment.wrapping_add(given_up.wrapping_mul(i64::from(self.running.weight)));
        }
        let Running { weight, run_time, deadline, .. } = self.running;
        if is_yield || run_time >= deadline {
            self.running.deadline = run_time.plus(to_virtual(SLICE_NS, weight));
        }
    }

    /// The running thread goes back among those that wait: where real-time threads are concerned.
    fn put_back(&mut self, thread: Arc<Thread>, is_yield: bool) {
        let policy = thread.policy_code();
        let priority = policy.priority();
        if priority > 0 {
            if self.running.is_fair {
                self.subtract(self.running.weight, self.running.run_time);
            }
            // The caller comes here at the end of a turn, or because of somebody of higher priority, who
            // will show.
            let first = self.real_time.first().map(|(thread, _)| thread.policy_code().priority());
            let is_turn_over =
                is_yield || policy.is_round_robin() && first.is_none_or(|first| first <= priority);
            self.insert_real_time(thread, priority, !is_turn_over);
        } else if self.running.is_fair {
            self.end_turn(is_yield);
            let Running { weight, run_time, deadline, .. } = self.running;
            self.insert_fair(thread, weight, run_time, deadline);
        } else {
            self.running.weight = 0;
            self.join(thread);
        }
        self.running.weight = 0;
    }

    /// Takes out the thread that should run; [`run`](Self::run) has to be told of it.
    pub fn choose(&mut self) -> Option<Arc<Thread>> {
        if let Some(thread) = self.real_time.pop_first() {
            self.running.is_fair = false;
            return Some(thread);
        }
        self.running.is_fair = true;
        if self.fair.len() > 1 {
            let now = self.now();
            // Rounding may leave nobody eligible; then the most urgent runs.
            self.fair.pop_first_within(now).or_else(|| self.fair.pop_first())
        } else {
            self.fair.pop_first()
        }
    }

    /// Makes `thread`, which [`choose`](Self::choose) or [`exchange`](Self::exchange) gave, the one that
    /// runs; `None`: the idle thread does. Returns how long its turn is, in nanoseconds.
    pub fn run(&mut self, thread: Option<&Thread>, now_ns: u64) -> Option<u64> {
        let Some(thread) = thread else {
            self.running.weight = 0;
            return None;
        };
        let is_fair = self.running.is_fair;
        self.running = Running {
            id: thread.id(),
            policy: thread.policy_code(),
            weight: if is_fair { thread.fair.queued_weight.load(Relaxed) } else { UNIT_WEIGHT as u32 },
            is_fair,
            run_time: thread.fair.run_time(),
            deadline: thread.fair.deadline(),
            counted_ns: now_ns,
        };
        self.turn_ns()
    }

    /// How long the running thread may go on while others wait.
    pub fn turn_ns(&mut self) -> Option<u64> {
        let running = &mut self.running;
        if running.weight == 0 || !running.is_fair {
            return running.policy.is_round_robin().then_some(ROUND_ROBIN_NS);
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
        let Running { weight, run_time, is_fair, .. } = self.running;
        if is_fair {
            self.keep_lag(thread, run_time, weight);
            self.subtract(weight, run_time);
        }
        change();
        self.running.policy = thread.policy_code();
        self.running.is_fair = self.running.policy.priority() == 0;
        if self.running.is_fair {
            self.running.weight = thread.fair.weight.load(Relaxed);
            self.place(thread, self.running.weight);
            self.running.run_time = thread.fair.run_time();
            self.running.deadline = thread.fair.deadline();
            self.add(self.running.weight, self.running.run_time);
        }
    }

    /// Takes out a waiting thread that could run on processor `cpu`, the most urgent first. Only the first
    /// few are looked at, for the time that it takes.
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
