//! Timers that send signals: setitimer(2), alarm(2), timer_create(2).
//!
//! A timer on a clock that goes by itself is set for its moment. A timer on processor time is set for the earliest moment at which that much time can have been used, and looks again then:
//! nothing is counted at each tick for it.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

use abi::Errno;
use abi::resource::{RLIM_INFINITY, RLIMIT_CPU, Rlimit64};
use abi::signal::Signal;
use abi::signal::info::{SI_TIMER, SigInfo, TimerFields};
use machine::clock;
use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_insert};
use machine::sync::atomic::{AtomicI32, Ordering};
use machine::sync::{Once, Rank, SpinLock};
use threads::time::Timer;

use crate::process::account::Usage;
use crate::process::{Caller, Process, Task};
use crate::signal::send;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// The shortest time between two looks at processor time.
const LOOK_NS: u64 = 1_000_000;
/// The most POSIX timers of a process, whatever its RLIMIT_SIGPENDING.
const TIMERS_MAX: usize = 32_768;

/// Which clock a timer follows.
#[derive(Clone)]
pub enum Follows {
    /// The time since boot.
    Boot,
    /// The time of day.
    Wall,
    /// Processor time of a process; only that in the program, or all.
    Process {
        /// The process.
        process: Weak<Process>,
        /// Whether time in the kernel is left out.
        user_only: bool,
    },
    /// Processor time of a thread.
    Thread(Weak<Task>),
}

impl Follows {
    /// What the clock shows; none when what it counts has gone.
    pub fn now_ns(&self) -> Option<u64> {
        match self {
            Self::Boot => Some(clock::now_ns()),
            Self::Wall => Some(super::wall_ns()),
            Self::Process { process, user_only } => {
                let process = process.upgrade()?;
                let usage = process.account.times(&process);
                Some(usage.user_ns + if *user_only { 0 } else { usage.system_ns })
            }
            Self::Thread(task) => {
                let usage = Usage::of(&*task.upgrade()?);
                Some(usage.user_ns + usage.system_ns)
            }
        }
    }

    /// The earliest moment since boot at which the clock can show `expires_ns`.
    fn earliest_ns(&self, expires_ns: u64) -> Option<u64> {
        let left = expires_ns.saturating_sub(self.now_ns()?);
        let at_once = match self {
            Self::Boot | Self::Wall => left,
            Self::Thread(_) => left.max(LOOK_NS),
            Self::Process { process, .. } => {
                let threads = process.upgrade()?.state.lock().live_threads.max(1) as u64;
                (left / threads).max(LOOK_NS)
            }
        };
        Some(clock::now_ns().saturating_add(at_once))
    }
}

/// What is done at expiry.
enum Notice {
    /// Nothing: the program looks at the timer itself.
    None,
    /// A signal for the process, from the kernel.
    Signal(Weak<Process>, Signal),
    /// RLIMIT_CPU: SIGXCPU for the process, or at its hard limit SIGKILL.
    ProcessorLimit(Weak<Process>),
    /// A signal with the timer's number and value, for the process or one thread.
    Timer { process: Weak<Process>, task: Option<Weak<Task>>, signal: Signal, id: i32, value: u64 },
}

#[derive(Clone, Copy, Default)]
struct Setting {
    /// When it expires next, on its clock; none when it is not set.
    expires_ns: Option<u64>,
    /// Its period; 0 for once.
    interval_ns: u64,
}

/// One timer.
pub struct Alarm {
    follows: Follows,
    notice: Notice,
    setting: SpinLock<Setting>,
    timer: Once<Timer>,
    /// Expiries that the signal delivered last had missed.
    last_overrun: AtomicI32,
}

impl Alarm {
    fn new(follows: Follows, notice: Notice) -> Result<Arc<Self>, OutOfMemory> {
        let alarm = try_arc(Self {
            follows,
            notice,
            setting: SpinLock::new(Rank::Table, Setting::default()),
            timer: Once::new(),
            last_overrun: AtomicI32::new(0),
        })?;
        let weak = Arc::downgrade(&alarm);
        let timer = Timer::new(move || {
            if let Some(alarm) = weak.upgrade() {
                alarm.look();
            }
        })?;
        // The cell is empty: the alarm has just been made.
        let _ = alarm.timer.set(timer);
        Ok(alarm)
    }

    /// Time left and period, in nanoseconds; both 0 when it is not set.
    pub fn get(&self) -> (u64, u64) {
        let setting = *self.setting.lock();
        let Some(expires_ns) = setting.expires_ns else { return (0, setting.interval_ns) };
        let now = self.follows.now_ns().unwrap_or(expires_ns);
        // One that is just due has not run out yet for who asks.
        (expires_ns.saturating_sub(now).max(1), setting.interval_ns)
    }

    /// Sets it to expire at `expires_ns` on its clock, and then each `interval_ns`; none takes it back. Returns what [`get`](Self::get) gave before.
    pub fn set(&self, expires_ns: Option<u64>, interval_ns: u64) -> (u64, u64) {
        let old = self.get();
        *self.setting.lock() = Setting { expires_ns, interval_ns };
        self.arm(expires_ns);
        old
    }

    /// The clock it follows.
    pub fn follows(&self) -> &Follows {
        &self.follows
    }

    fn arm(&self, expires_ns: Option<u64>) {
        let Some(timer) = self.timer.get() else { return };
        match expires_ns.and_then(|expires_ns| self.follows.earliest_ns(expires_ns)) {
            Some(moment) => timer.set(moment),
            None => {
                timer.cancel();
            }
        }
    }

    /// The moment may have come.
    fn look(&self) {
        let Some(now) = self.follows.now_ns() else { return };
        let (next, overruns) = {
            let mut setting = self.setting.lock();
            let Some(expires_ns) = setting.expires_ns else { return };
            if now < expires_ns {
                (Some(expires_ns), None)
            } else {
                let missed = (now - expires_ns).checked_div(setting.interval_ns);
                setting.expires_ns = missed.map(|missed| expires_ns + (missed + 1) * setting.interval_ns);
                (setting.expires_ns, Some(missed.unwrap_or(0)))
            }
        };
        self.arm(next);
        if let Some(overruns) = overruns {
            self.tell(i32::try_from(overruns).unwrap_or(i32::MAX));
        }
    }

    fn tell(&self, overruns: i32) {
        match &self.notice {
            Notice::None => {}
            Notice::Signal(process, signal) => {
                if let Some(process) = process.upgrade() {
                    send::kernel_to_process(&process, *signal);
                }
            }
            Notice::ProcessorLimit(process) => {
                if let Some(process) = process.upgrade() {
                    enforce_processor_limit(&process);
                }
            }
            Notice::Timer { process, task, signal, id, value } => {
                let Some(process) = process.upgrade() else { return };
                let info = SigInfo::timer(*signal, *id, overruns, *value);
                match task {
                    Some(task) => {
                        let Some(task) = task.upgrade() else { return };
                        let is_waiting = task.pending.lock().add_overrun(*id);
                        if !is_waiting {
                            // A full queue loses the expiry, as in Linux the timer's own entry would be refused at its making.
                            let _ = send::to_task(&task, *signal, info);
                        }
                    }
                    None => {
                        let is_waiting = process.state.lock().pending.add_overrun(*id);
                        if !is_waiting {
                            let _ = send::to_process(&process, *signal, info);
                        }
                    }
                }
            }
        }
    }
}

/// The three interval timers of setitimer(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// ITIMER_REAL: SIGALRM.
    Real,
    /// ITIMER_VIRTUAL: SIGVTALRM.
    Virtual,
    /// ITIMER_PROF: SIGPROF.
    Profiling,
}

/// A process has used as much processor time as its soft limit says: SIGXCPU, and again after each further second, until at the hard limit it is killed (getrlimit(2)). As on Linux
/// the soft limit itself goes up by that second.
fn enforce_processor_limit(process: &Arc<Process>) {
    let Some(limit) = process.limits.get(RLIMIT_CPU) else { return };
    let used_s = Follows::Process { process: Arc::downgrade(process), user_only: false }
        .now_ns()
        .map_or(0, |used_ns| used_ns / NANOSECONDS_PER_SECOND);
    if limit.rlim_max != RLIM_INFINITY && used_s >= limit.rlim_max {
        send::kernel_to_process(process, Signal::SIGKILL);
        return;
    }
    if limit.rlim_cur != RLIM_INFINITY && used_s >= limit.rlim_cur {
        process.limits.set(RLIMIT_CPU, Rlimit64 { rlim_cur: limit.rlim_cur + 1, ..limit });
        send::kernel_to_process(process, Signal::SIGXCPU);
    }
    // It needs no memory: the alarm that has just expired is there.
    let _ = process.timers.watch_processor_limit(process);
}

/// All timers of a process.
pub struct Timers {
    processor_limit: Once<Arc<Alarm>>,
    intervals: [Once<Arc<Alarm>>; 3],
    numbered: SpinLock<BTreeMap<i32, Arc<Alarm>>>,
    next: AtomicI32,
}

impl Timers {
    /// None.
    pub const fn new() -> Self {
        Self {
            processor_limit: Once::new(),
            intervals: [const { Once::new() }; 3],
            numbered: SpinLock::new(Rank::Table, BTreeMap::new()),
            next: AtomicI32::new(0),
        }
    }

    /// An interval timer of `process`, whose timers these are.
    pub fn interval(&self, process: &Arc<Process>, which: Interval) -> Result<&Arc<Alarm>, OutOfMemory> {
        let (place, signal) = match which {
            Interval::Real => (&self.intervals[0], Signal::SIGALRM),
            Interval::Virtual => (&self.intervals[1], Signal::SIGVTALRM),
            Interval::Profiling => (&self.intervals[2], Signal::SIGPROF),
        };
        loop {
            if let Some(alarm) = place.get() {
                return Ok(alarm);
            }
            let weak = Arc::downgrade(process);
            let follows = match which {
                Interval::Real => Follows::Boot,
                Interval::Virtual => Follows::Process { process: weak.clone(), user_only: true },
                Interval::Profiling => Follows::Process { process: weak.clone(), user_only: false },
            };
            // Of two threads that come at the same time, one's alarm stays.
            let _ = place.set(Alarm::new(follows, Notice::Signal(weak, signal))?);
        }
    }

    /// Sees to RLIMIT_CPU of `process`, whose timers these are: to be called whenever it may have got one, or another. Costs nothing where there is none.
    pub fn watch_processor_limit(&self, process: &Arc<Process>) -> Result<(), OutOfMemory> {
        let soft_s = process.limits.soft(RLIMIT_CPU);
        let expires_ns = (soft_s != RLIM_INFINITY).then(|| soft_s.saturating_mul(NANOSECONDS_PER_SECOND));
        if expires_ns.is_some() && self.processor_limit.get().is_none() {
            let weak = Arc::downgrade(process);
            let follows = Follows::Process { process: weak.clone(), user_only: false };
            // Of two threads that come at the same time, one's alarm stays.
            let _ = self.processor_limit.set(Alarm::new(follows, Notice::ProcessorLimit(weak))?);
        }
        if let Some(alarm) = self.processor_limit.get() {
            alarm.set(expires_ns, 0);
        }
        Ok(())
    }

    /// Makes a numbered timer (timer_create(2)): EAGAIN. Without a signal it only counts.
    pub fn create(
        &self,
        process: &Arc<Process>,
        id: i32,
        follows: Follows,
        signal: Option<Signal>,
        task: Option<&Arc<Task>>,
        value: Option<u64>,
    ) -> Result<(), Errno> {
        let notice = match signal {
            Some(signal) => Notice::Timer {
                process: Arc::downgrade(process),
                task: task.map(Arc::downgrade),
                signal,
                id,
                value: value.unwrap_or(id as u64),
            },
            None => Notice::None,
        };
        let alarm = Alarm::new(follows, notice)?;
        let mut numbered = self.numbered.lock();
        if numbered.len() >= TIMERS_MAX.min(process.limits.pending_signals()) || numbered.contains_key(&id) {
            return Err(Errno::EAGAIN);
        }
        try_insert(&mut numbered, id, alarm)?;
        Ok(())
    }

    /// The number of the next timer.
    pub fn next_id(&self) -> i32 {
        self.next.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    /// The timer with this number: EINVAL.
    pub fn numbered(&self, id: i32) -> Result<Arc<Alarm>, Errno> {
        self.numbered.lock().get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// Takes a timer away: EINVAL.
    pub fn delete(&self, id: i32) -> Result<(), Errno> {
        let alarm = self.numbered.lock().remove(&id).ok_or(Errno::EINVAL)?;
        alarm.set(None, 0);
        Ok(())
    }

    /// Expiries that the signal delivered last for this timer had missed: EINVAL.
    pub fn overrun(&self, id: i32) -> Result<i32, Errno> {
        Ok(self.numbered(id)?.last_overrun.load(Ordering::Relaxed))
    }

    /// The program was replaced: numbered timers go, interval timers stay (execve(2)).
    pub fn program_replaced(&self) {
        let gone = core::mem::take(&mut *self.numbered.lock());
        for alarm in gone.values() {
            alarm.set(None, 0);
        }
    }

    /// The process ends.
    pub fn clear(&self) {
        self.program_replaced();
        for place in self.intervals.iter().chain([&self.processor_limit]) {
            if let Some(alarm) = place.get() {
                alarm.set(None, 0);
            }
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

/// A signal is being delivered: if a timer sent it, what it missed is what timer_getoverrun(2) tells from now on.
pub fn note_delivered(caller: &Caller, info: &SigInfo) {
    if info.si_code != SI_TIMER {
        return;
    }
    if let Some(fields) = info.fields_as::<TimerFields>()
        && let Ok(alarm) = caller.process.timers.numbered(fields.si_tid)
    {
        alarm.last_overrun.store(fields.si_overrun, Ordering::Relaxed);
    }
}
