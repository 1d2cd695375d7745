//! Making threads.

use alloc::sync::Arc;

use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_box};
use machine::paging::Space;
use machine::task::Task;

use crate::mask::CpuMask;
use crate::policy::Policy;
use crate::schedule;
use crate::thread::{Name, Thread, current};

/// What a new thread will be. The defaults: a kernel thread (no address space) of normal policy and nice 0,
/// on any processor.
pub struct Builder {
    name: Name,
    space: Option<Arc<Space>>,
    nice: i8,
    policy: Policy,
    affinity: CpuMask,
}

impl Builder {
    /// A thread of this name, of which the first [`NAME_LEN`](crate::thread::NAME_LEN) bytes count.
    #[expect(clippy::disallowed_methods, reason = "into an array of its own size")]
    pub fn new(name: &[u8]) -> Self {
        Self {
            name: name.iter().copied().take(crate::thread::NAME_LEN).collect(),
            space: None,
            nice: 0,
            policy: Policy::Normal,
            affinity: CpuMask::ALL,
        }
    }

    /// The address space of the program that the thread belongs to.
    #[must_use]
    pub fn space(mut self, space: Arc<Space>) -> Self {
        self.space = Some(space);
        self
    }

    /// The nice value, -20 to 19.
    #[must_use]
    pub fn nice(mut self, nice: i8) -> Self {
        self.nice = nice;
        self
    }

    /// The scheduling policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The processors on which the thread may run.
    #[must_use]
    pub fn affinity(mut self, affinity: CpuMask) -> Self {
        self.affinity = affinity;
        self
    }

    /// Policy, nice value and affinity of another thread (fork: the child inherits them).
    #[must_use]
    pub fn inherit(self, from: &Thread) -> Self {
        self.nice(from.nice()).policy(from.policy()).affinity(from.affinity())
    }

    /// Makes the thread and lets it run `body`; it ends when that returns. Does not wait.
    pub fn spawn(self, body: impl FnOnce() + Send + 'static) -> Result<Arc<Thread>, OutOfMemory> {
        let thread = self.build(body)?;
        schedule::begin(thread.clone());
        Ok(thread)
    }

    /// Makes the thread without letting it run, so that it can be entered in tables first;
    /// [`schedule`](Self::spawn) does both. Dropping the thread that has not begun drops `body`.
    pub fn build(self, body: impl FnOnce() + Send + 'static) -> Result<Arc<Thread>, OutOfMemory> {
        let has_space = self.space.is_some();
        let task = Task::new(enter, self.space)?;
        let body = try_box(body)?;
        let thread = Thread::new(task, &self.name, self.nice, self.policy, self.affinity, Some(body));
        thread.account.set_program(has_space);
        // A program's threads fail as the program's that made them; the kernel's own as all of them.
        let maker_fails =
            || crate::try_current().is_some_and(|maker| maker.account.is_program() && maker.fails());
        thread.set_fails(!has_space || maker_fails());
        try_arc(thread)
    }
}

impl Thread {
    /// Lets a thread that was made with [`Builder::build`] run. Called once.
    pub fn begin(self: &Arc<Self>) {
        schedule::begin(self.clone());
    }
}

/// Where every thread begins.
fn enter() {
    schedule::finish_switch();
    if let Some(body) = current().take_body() {
        body();
    }
    schedule::exit()
}
