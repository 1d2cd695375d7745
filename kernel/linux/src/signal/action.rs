//! What a process does with each signal: the table that sigaction(2) changes.

use abi::signal::{ActionFlags, DefaultAction, SIG_DFL, SIG_IGN, SigAction, SigSet, Signal};

/// The actions for all 64 signals.
#[derive(Clone)]
pub struct Actions([SigAction; Signal::MAX as usize]);

/// What a signal does when it is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing.
    Ignore,
    /// Runs a handler.
    Handle(SigAction),
    /// Ends the process; the flag says that Linux would write a core file.
    Terminate {
        /// Whether Linux would write one.
        dumps: bool,
    },
    /// Stops the process.
    Stop,
}

impl Actions {
    /// Everything at its default.
    pub fn new() -> Self {
        Self([SigAction::default(); Signal::MAX as usize])
    }

    /// The action for `signal`.
    pub fn get(&self, signal: Signal) -> SigAction {
        self.0[signal.index()]
    }

    /// Sets the action for `signal`; what can never be blocked stays out of its mask.
    pub fn set(&mut self, signal: Signal, mut action: SigAction) {
        action.sa_mask = SigSet(action.sa_mask).difference(SigSet::UNBLOCKABLE).0;
        self.0[signal.index()] = action;
    }

    /// What execve(2) leaves: handlers are gone with the program, what is ignored stays ignored.
    pub fn reset_handlers(&mut self) {
        for action in &mut self.0 {
            let handler = if action.sa_handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { sa_handler: handler, ..SigAction::default() };
        }
    }

    /// How a handler for `signal` is run.
    pub fn flags(&self, signal: Signal) -> ActionFlags {
        ActionFlags::from_bits_retain(self.get(signal).sa_flags)
    }

    /// What delivering `signal` does.
    pub fn disposition(&self, signal: Signal) -> Disposition {
        let action = self.get(signal);
        match action.sa_handler {
            SIG_IGN if !SigSet::UNBLOCKABLE.contains(signal) => Disposition::Ignore,
            SIG_DFL | SIG_IGN => match signal.default_action() {
                DefaultAction::Ignore | DefaultAction::Continue => Disposition::Ignore,
                DefaultAction::Stop => Disposition::Stop,
                DefaultAction::Terminate => Disposition::Terminate { dumps: false },
                DefaultAction::Dump => Disposition::Terminate { dumps: true },
            },
            _ => Disposition::Handle(action),
        }
    }

    /// Whether a signal that is sent now would do nothing, so that it need not be kept.
    pub fn is_ignored(&self, signal: Signal) -> bool {
        self.disposition(signal) == Disposition::Ignore
    }

    /// The signals whose handler is the program's, and those that are ignored, for /proc/PID/status.
    pub fn summary(&self) -> (SigSet, SigSet) {
        let (mut ignored, mut caught) = (SigSet::EMPTY, SigSet::EMPTY);
        for signal in SigSet::FULL.iter() {
            match self.get(signal).sa_handler {
                SIG_IGN => ignored.insert(signal),
                SIG_DFL => {}
                _ => caught.insert(signal),
            }
        }
        (ignored, caught)
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(address: u64) -> SigAction {
        SigAction { sa_handler: address, ..SigAction::default() }
    }

    #[test]
    fn defaults_are_those_of_signal_7() {
        let actions = Actions::new();
        assert_eq!(actions.disposition(Signal::SIGTERM), Disposition::Terminate { dumps: false });
        assert_eq!(actions.disposition(Signal::SIGSEGV), Disposition::Terminate { dumps: true });
        assert_eq!(actions.disposition(Signal::SIGCHLD), Disposition::Ignore);
        assert_eq!(actions.disposition(Signal::SIGTSTP), Disposition::Stop);
        assert_eq!(actions.disposition(Signal::SIGCONT), Disposition::Ignore);
    }

    #[test]
    fn exec_keeps_ignored_signals_and_forgets_handlers() {
        let mut actions = Actions::new();
        actions.set(Signal::SIGINT, handler(SIG_IGN));
        actions.set(Signal::SIGTERM, handler(0x1000));
        actions.reset_handlers();
        assert_eq!(actions.disposition(Signal::SIGINT), Disposition::Ignore);
        assert_eq!(actions.disposition(Signal::SIGTERM), Disposition::Terminate { dumps: false });
    }

    #[test]
    fn kill_and_stop_cannot_be_masked_by_a_handler() {
        let mut actions = Actions::new();
        actions.set(Signal::SIGINT, SigAction { sa_mask: u64::MAX, ..handler(0x1000) });
        assert_eq!(SigSet(actions.get(Signal::SIGINT).sa_mask), SigSet::FULL.difference(SigSet::UNBLOCKABLE));
    }
}
