//! The numbers of signals, and sets of them.

use core::fmt;

/// A signal, 1 to 64; 32 and above are real-time signals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Signal {
            $(
                #[doc = $text]
                pub const $name: Signal = Signal($number);
            )*
        }

        const NAMES: &[(u8, &str)] = &[$(($number, stringify!($name)),)*];
    };
}

signals! {
    SIGHUP = 1, "The terminal has hung up.";
    SIGINT = 2, "Interrupt from the keyboard.";
    SIGQUIT = 3, "Quit from the keyboard.";
    SIGILL = 4, "Illegal instruction.";
    SIGTRAP = 5, "Breakpoint or single step.";
    SIGABRT = 6, "abort(3).";
    SIGBUS = 7, "An access that no memory answers.";
    SIGFPE = 8, "Arithmetic error.";
    SIGKILL = 9, "The end; cannot be caught.";
    SIGUSR1 = 10, "For programs.";
    SIGSEGV = 11, "An access that is not allowed.";
    SIGUSR2 = 12, "For programs.";
    SIGPIPE = 13, "A write that nobody reads.";
    SIGALRM = 14, "alarm(2).";
    SIGTERM = 15, "A request to end.";
    SIGSTKFLT = 16, "Unused.";
    SIGCHLD = 17, "A child has changed its state.";
    SIGCONT = 18, "Continue.";
    SIGSTOP = 19, "Stop; cannot be caught.";
    SIGTSTP = 20, "Stop from the keyboard.";
    SIGTTIN = 21, "A background process reads from the terminal.";
    SIGTTOU = 22, "A background process writes to the terminal.";
    SIGURG = 23, "Urgent data on a socket.";
    SIGXCPU = 24, "Processor time above its limit.";
    SIGXFSZ = 25, "A file above its limit.";
    SIGVTALRM = 26, "Virtual timer.";
    SIGPROF = 27, "Profiling timer.";
    SIGWINCH = 28, "The window's size has changed.";
    SIGIO = 29, "A descriptor is ready.";
    SIGPWR = 30, "Power failure.";
    SIGSYS = 31, "A call that is not allowed.";
}

/// What a signal does to a process that neither handles nor ignores it (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process with a core dump.
    Dump,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Continues a stopped process.
    Continue,
}

impl Signal {
    /// The highest number.
    pub const MAX: u8 = 64;
    /// The lowest real-time signal as the kernel counts; the C library keeps a few for itself.
    pub const SIGRTMIN: Signal = Signal(32);

    /// The signal with this number, if there is one. Zero is none: kill(2) takes it as a question.
    pub const fn new(number: i32) -> Option<Signal> {
        if number >= 1 && number <= Signal::MAX as i32 { Some(Signal(number as u8)) } else { None }
    }

    /// The number, 1 to 64.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// Its place in a table of 64.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// The name (`"SIGINT"`), or `"SIGRT"` for all real-time signals.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|entry| entry.0 == self.0).map_or("SIGRT", |entry| entry.1)
    }

    /// Whether it is queued, each sending with its own value.
    pub const fn is_real_time(self) -> bool {
        self.0 >= 32
    }

    /// What happens where a process has set nothing.
    pub const fn default_action(self) -> DefaultAction {
        match self {
            Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH => DefaultAction::Ignore,
            Signal::SIGCONT => DefaultAction::Continue,
            Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => DefaultAction::Stop,
            Signal::SIGQUIT
            | Signal::SIGILL
            | Signal::SIGTRAP
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGFPE
            | Signal::SIGSEGV
            | Signal::SIGXCPU
            | Signal::SIGXFSZ
            | Signal::SIGSYS => DefaultAction::Dump,
            _ => DefaultAction::Terminate,
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_real_time() { write!(out, "SIGRT{}", self.0) } else { out.write_str(self.name()) }
    }
}

/// A set of signals, as the kernel and programs pass it: bit n - 1 is signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// All signals.
    pub const FULL: SigSet = SigSet(u64::MAX);
    /// What no mask can block and no action can catch.
    pub const UNBLOCKABLE: SigSet = SigSet::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    /// What stops a process by default.
    pub const STOPPING: SigSet =
        SigSet::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);
    /// What an instruction of the thread itself causes: delivered before all others.
    pub const SYNCHRONOUS: SigSet = SigSet::of(&[
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ]);
    /// The size that calls must name for a set, in bytes.
    pub const SIZE: usize = 8;

    /// The set of these signals.
    pub const fn of(signals: &[Signal]) -> SigSet {
        let mut bits = 0;
        let mut at = 0;
        while at < signals.len() {
            bits |= 1 << signals[at].index();
            at += 1;
        }
        SigSet(bits)
    }

    /// Whether the signal is in the set.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 >> signal.index() & 1 != 0
    }

    /// Puts the signal in.
    pub const fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal.index();
    }

    /// Takes the signal out.
    pub const fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal.index());
    }

    /// What is in either.
    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }

    /// What is in this and not in the other.
    pub const fn difference(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The signal with the lowest number, which is delivered first.
    pub const fn first(self) -> Option<Signal> {
        if self.0 == 0 { None } else { Signal::new(self.0.trailing_zeros() as i32 + 1) }
    }

    /// The signals in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=i32::from(Signal::MAX)).filter_map(Signal::new).filter(move |signal| self.contains(*signal))
    }
}
