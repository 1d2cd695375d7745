//! What a process is and does, as stat, statm and status tell (proc(5)).

use alloc::sync::Arc;

use abi::sched::WaitStatus;
use files::pseudo::Text;
use machine::address::PAGE_SIZE;
use machine::sync::atomic::Ordering;
use memory::Statistics;
use threads::{Name, Policy, State};

use super::put;
use crate::process::account::ticks;
use crate::process::{Process, Task};

/// Which thread of which process a file is about. A process without threads is a zombie.
#[derive(Clone)]
pub struct Subject {
    /// The process.
    pub process: Arc<Process>,
    /// The thread: the process's first, unless the file is in a task directory.
    pub task: Option<Arc<Task>>,
    /// Whether the file is about this thread alone.
    pub is_thread: bool,
}

impl Subject {
    /// The number that it is listed under.
    pub fn id(&self) -> i32 {
        match &self.task {
            Some(task) if self.is_thread => task.tid(),
            _ => self.process.pid(),
        }
    }

    /// The name, at most 15 bytes.
    pub fn name(&self) -> Name {
        match &self.task {
            Some(task) => task.name(),
            None => self.process.last_name.get().cloned().unwrap_or_default(),
        }
    }

    /// The letter and the word for what it does.
    pub fn state(&self) -> (char, &'static str) {
        if self.process.is_zombie() {
            return ('Z', "zombie");
        }
        if self.process.is_stopped() {
            return ('T', "stopped");
        }
        match self.task.as_ref().and_then(|task| task.thread()).map(|thread| thread.state()) {
            Some(State::Running) => ('R', "running"),
            Some(State::Interruptible) => ('S', "sleeping"),
            Some(State::Uninterruptible) => ('D', "disk sleep"),
            Some(State::Dead) | None => ('X', "dead"),
        }
    }

    fn statistics(&self) -> Statistics {
        self.process.program().map_or_else(Statistics::default, |program| program.space().statistics())
    }
}

/// The signals of a process as words: waiting, blocked, ignored, caught.
struct SignalWords {
    private: u64,
    shared: u64,
    blocked: u64,
    ignored: u64,
    caught: u64,
}

fn signals(subject: &Subject) -> SignalWords {
    let (ignored, caught) = subject.process.with_actions(|actions| actions.summary());
    SignalWords {
        private: subject.task.as_ref().map_or(0, |task| task.pending.lock().set().0),
        shared: subject.process.pending_set().0,
        blocked: subject.task.as_ref().map_or(0, |task| task.blocked().0),
        ignored: ignored.0,
        caught: caught.0,
    }
}

/// Policy number, real-time priority, and the priority that stat shows.
fn priority(policy: Policy, nice: i8) -> (u32, u32, i64) {
    match policy {
        Policy::Normal => (0, 0, 20 + i64::from(nice)),
        Policy::Batch => (3, 0, 20 + i64::from(nice)),
        Policy::Idle => (5, 0, 39),
        Policy::Fifo(level) => (1, u32::from(level), -1 - i64::from(level)),
        Policy::RoundRobin(level) => (2, u32::from(level), -1 - i64::from(level)),
    }
}

/// /proc/PID/stat: 52 fields.
pub fn stat(subject: &Subject, text: &mut Text) {
    let process = &subject.process;
    let group = process.group();
    let terminal = group.session().terminal();
    let (tty, foreground) =
        terminal.map_or((0, -1), |terminal| (terminal.device(), terminal.foreground() as i64));
    let usage = match &subject.task {
        Some(task) if subject.is_thread => crate::process::account::Usage::of(task),
        _ => process.account.times(process),
    };
    let children = process.account.children();
    let thread = subject.task.as_ref().and_then(|task| task.thread());
    let nice = thread.as_ref().map_or(0, |thread| thread.nice());
    let (policy, real_time, shown) =
        priority(thread.as_ref().map_or(Policy::Normal, |thread| thread.policy()), nice);
    let cpu = thread.as_ref().map_or(0, |thread| thread.cpu());
    let (live_threads, exit_code) = {
        let state = process.state.lock();
        (state.live_threads, state.zombie.map_or(0, WaitStatus::encode))
    };
    let start_ns = match &subject.task {
        Some(task) if subject.is_thread => task.start_ns,
        _ => process.start_ns,
    };
    let statistics = subject.statistics();
    let layout = process.program().map(|program| program.layout.clone()).unwrap_or_default();
    let limit = process.limits.soft(abi::resource::RLIMIT_RSS);
    let words = signals(subject);
    let exit_signal = process.exit_signal().map_or(0, |signal| signal.number());
    put!(text, "{} (", subject.id());
    text.push(&subject.name());
    put!(text, ") {} {} {} {}", subject.state().0, process.parent_pid(), group.id(), group.session().id());
    put!(text, " {tty} {foreground} {}", 0x40_0000);
    put!(text, " {} {}", usage.minor_faults, children.minor_faults);
    put!(text, " {} {}", usage.major_faults, children.major_faults);
    put!(text, " {} {}", usage.user_ticks(), usage.system_ticks());
    put!(text, " {} {}", children.user_ticks(), children.system_ticks());
    put!(text, " {shown} {nice} {} 0 {}", live_threads.max(1), ticks(start_ns));
    put!(text, " {} {} {limit}", statistics.virtual_pages * PAGE_SIZE, statistics.resident_pages());
    put!(text, " {} {} {} 0 0", layout.code.0, layout.code.1, layout.stack_start);
    put!(
        text,
        " {} {} {} {} 0 0 0",
        words.private & 0x7fff_ffff,
        words.blocked & 0x7fff_ffff,
        words.ignored & 0x7fff_ffff,
        words.caught & 0x7fff_ffff
    );
    put!(text, " {exit_signal} {cpu} {real_time} {policy} 0 0 0");
    put!(text, " {} {} {}", layout.data.0, layout.data.1, layout.break_start);
    put!(text, " {} {}", layout.arguments.0, layout.arguments.1);
    put!(text, " {} {} {exit_code}\n", layout.environment.0, layout.environment.1);
}

/// /proc/PID/statm, in pages.
pub fn statm(subject: &Subject, text: &mut Text) {
    let statistics = subject.statistics();
    put!(
        text,
        "{} {} {} {} 0 {} 0\n",
        statistics.virtual_pages,
        statistics.resident_pages(),
        statistics.file_pages + statistics.shared_pages,
        statistics.text_pages,
        statistics.data_pages + statistics.stack_pages
    );
}

/// /proc/PID/status.
pub fn status(subject: &Subject, text: &mut Text) {
    let process = &subject.process;
    put!(text, "Name:\t");
    text.push(&subject.name());
    let umask = subject.task.as_ref().and_then(|task| task.place()).map_or(0o22, |place| place.umask());
    put!(text, "\nUmask:\t{umask:04o}\n");
    let (letter, word) = subject.state();
    put!(text, "State:\t{letter} ({word})\n");
    put!(text, "Tgid:\t{}\nNgid:\t0\nPid:\t{}\n", process.pid(), subject.id());
    put!(text, "PPid:\t{}\nTracerPid:\t0\n", process.parent_pid());
    if let Some(task) = &subject.task {
        let who = task.credentials();
        put!(text, "Uid:\t{}\t{}\t{}\t{}\n", who.uid, who.euid, who.suid, who.fsuid);
        put!(text, "Gid:\t{}\t{}\t{}\t{}\n", who.gid, who.egid, who.sgid, who.fsgid);
        let size =
            task.descriptors().and_then(|table| table.numbers().ok()).map_or(0, |numbers| numbers.len());
        put!(text, "FDSize:\t{}\nGroups:\t", size.next_multiple_of(64));
        for group in who.groups.iter() {
            put!(text, "{group} ");
        }
    } else {
        let uid = *process.last_uid.get().unwrap_or(&0);
        put!(text, "Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t0\nFDSize:\t0\nGroups:\t");
    }
    put!(text, "\nNStgid:\t{}\nNSpid:\t{}\n", process.pid(), subject.id());
    put!(text, "NSpgid:\t{}\nNSsid:\t{}\nKthread:\t0\n", process.group().id(), process.session().id());
    if process.program().is_some() {
        memory(&subject.statistics(), text);
    }
    let live_threads = process.state.lock().live_threads.max(1);
    let words = signals(subject);
    let queued = process.state.lock().pending.len();
    put!(text, "Threads:\t{live_threads}\nSigQ:\t{queued}/{}\n", process.limits.pending_signals());
    put!(text, "SigPnd:\t{:016x}\nShdPnd:\t{:016x}\n", words.private, words.shared);
    put!(
        text,
        "SigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
        words.blocked,
        words.ignored,
        words.caught
    );
    if let Some(task) = &subject.task {
        let who = task.credentials();
        put!(text, "CapInh:\t{:016x}\nCapPrm:\t{:016x}\n", who.inheritable.0, who.permitted.0);
        put!(text, "CapEff:\t{:016x}\nCapBnd:\t{:016x}\n", who.effective.0, who.bounding.0);
        put!(text, "CapAmb:\t{:016x}\nSeccomp:\t0\n", who.ambient.0);
        affinity(task, text);
    }
    let usage = process.account.times(process);
    put!(text, "voluntary_ctxt_switches:\t{}\n", usage.voluntary_switches);
    put!(text, "nonvoluntary_ctxt_switches:\t{}\n", usage.involuntary_switches);
}

fn memory(statistics: &Statistics, text: &mut Text) {
    let resident = statistics.resident_pages();
    for (name, pages) in [
        ("VmPeak", statistics.peak_virtual_pages),
        ("VmSize", statistics.virtual_pages),
        ("VmLck", statistics.locked_pages),
        ("VmPin", 0),
        ("VmHWM", statistics.peak_resident_pages.max(resident)),
        ("VmRSS", resident),
        ("RssAnon", statistics.anonymous_pages),
        ("RssFile", statistics.file_pages),
        ("RssShmem", statistics.shared_pages),
        ("VmData", statistics.data_pages),
        ("VmStk", statistics.stack_pages),
        ("VmExe", statistics.text_pages),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
    ] {
        put!(text, "{name}:\t{:8} kB\n", pages * PAGE_SIZE / 1024);
    }
}

fn affinity(task: &Task, text: &mut Text) {
    let Some(thread) = task.thread() else { return };
    let mask = thread.affinity();
    let words = machine::cpu::count().div_ceil(32);
    put!(text, "Cpus_allowed:\t");
    for index in (0..words).rev() {
        let word =
            (0..32).filter(|bit| mask.contains(index * 32 + bit) && index * 32 + bit < machine::cpu::count());
        let word = word.fold(0u32, |sum, bit| sum | 1 << bit);
        put!(text, "{word:x}{}", if index > 0 { "," } else { "\n" });
    }
    put!(text, "Cpus_allowed_list:\t");
    let mut allowed = (0..machine::cpu::count()).filter(|&cpu| mask.contains(cpu)).peekable();
    while let Some(first) = allowed.next() {
        let mut last = first;
        while allowed.peek() == Some(&(last + 1)) {
            last += 1;
            allowed.next();
        }
        if last > first {
            put!(text, "{first}-{last}");
        } else {
            put!(text, "{first}");
        }
        if allowed.peek().is_some() {
            put!(text, ",");
        }
    }
    put!(text, "\n");
}

/// /proc/PID/io.
pub fn io(subject: &Subject, text: &mut Text) {
    let [read, written, reads, writes] = subject.process.account.transfers();
    put!(text, "rchar: {read}\nwchar: {written}\nsyscr: {reads}\nsyscw: {writes}\n");
    put!(text, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
}

/// The names, units and numbers of resources, in the order of /proc/PID/limits.
const LIMITS: [(&str, u32, &str); 16] = [
    ("Max cpu time", 0, "seconds"),
    ("Max file size", 1, "bytes"),
    ("Max data size", 2, "bytes"),
    ("Max stack size", 3, "bytes"),
    ("Max core file size", 4, "bytes"),
    ("Max resident set", 5, "bytes"),
    ("Max processes", 6, "processes"),
    ("Max open files", 7, "files"),
    ("Max locked memory", 8, "bytes"),
    ("Max address space", 9, "bytes"),
    ("Max file locks", 10, "locks"),
    ("Max pending signals", 11, "signals"),
    ("Max msgqueue size", 12, "bytes"),
    ("Max nice priority", 13, ""),
    ("Max realtime priority", 14, ""),
    ("Max realtime timeout", 15, "us"),
];

/// /proc/PID/limits.
pub fn limits(subject: &Subject, text: &mut Text) {
    put!(text, "{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (name, resource, unit) in LIMITS {
        let Some(limit) = subject.process.limits.get(resource) else { continue };
        put!(text, "{name:<25} ");
        for value in [limit.rlim_cur, limit.rlim_max] {
            if value == abi::resource::RLIM_INFINITY {
                put!(text, "{:<20} ", "unlimited");
            } else {
                put!(text, "{value:<20} ");
            }
        }
        put!(text, "{unit:<10}\n");
    }
}

/// /proc/PID/oom_score: 0 to 2000, the share of memory in thousandths with its adjustment.
pub fn oom_score(subject: &Subject, text: &mut Text) {
    let total = machine::frame::total().max(1) as i64;
    let badness = crate::oom::badness(&subject.process).unwrap_or(0);
    put!(text, "{}\n", (666 + badness * 666 / total).clamp(0, 2000));
}

/// /proc/PID/oom_score_adj.
pub fn oom_adjustment(subject: &Subject, text: &mut Text) {
    put!(text, "{}\n", subject.process.oom_adjustment.load(Ordering::Relaxed) as i32);
}
