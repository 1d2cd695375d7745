//! Signals that wait to be delivered: a set, and the details of each in order of arrival.
//!
//! An ordinary signal waits at most once; a real-time signal waits as often as it was sent (signal(7)). The set is the truth: details that could not
//! be kept for want of memory leave an ordinary signal that says only who it is.

use abi::Errno;
use abi::signal::info::{SI_TIMER, SI_USER, SigInfo, TimerFields};
use abi::signal::{SigSet, Signal};
use alloc::collections::VecDeque;
use machine::heap::Grow;
use zerocopy::IntoBytes;

/// What waits for one thread, or for any thread of a process.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<SigInfo>,
}

impl Pending {
    /// Nothing waits.
    pub const fn new() -> Self {
        Self { set: SigSet::EMPTY, queue: VecDeque::new() }
    }

    /// The signals that wait.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// How many details are kept: what RLIMIT_SIGPENDING counts.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Adds a signal. An ordinary one that waits already is dropped. `limit` is RLIMIT_SIGPENDING: past it, a real-time signal from a program gives
    /// EAGAIN, and any other loses its details.
    pub fn push(&mut self, signal: Signal, info: SigInfo, limit: usize) -> Result<(), Errno> {
        if !signal.is_real_time() && self.set.contains(signal) {
            return Ok(());
        }
        let has_room = self.queue.len() < limit && self.queue.try_grow(1).is_ok();
        if has_room {
            self.queue.push_back(info);
        } else if signal.is_real_time() && info.si_code != SI_USER {
            return Err(Errno::EAGAIN);
        }
        self.set.insert(signal);
        Ok(())
    }

    /// Counts one more expiry of a timer whose signal still waits; whether it did.
    pub fn add_overrun(&mut self, timer: i32) -> bool {
        for info in &mut self.queue {
            if info.si_code != SI_TIMER {
                continue;
            }
            let Some(mut fields) = info.fields_as::<TimerFields>() else { continue };
            if fields.si_tid == timer {
                fields.si_overrun = fields.si_overrun.saturating_add(1);
                for (to, from) in info.fields.iter_mut().zip(fields.as_bytes()) {
                    *to = *from;
                }
                return true;
            }
        }
        false
    }

    /// Takes the next signal of `wanted`: one that an instruction caused before all others, then by number.
    pub fn take(&mut self, wanted: SigSet) -> Option<(Signal, SigInfo)> {
        let ready = self.set.intersection(wanted);
        let signal = ready.intersection(SigSet::SYNCHRONOUS).first().or_else(|| ready.first())?;
        let place = self.queue.iter().position(|info| info.si_signo == signal.number());
        let info = match place.and_then(|place| self.queue.remove(place)) {
            Some(info) => info,
            None => SigInfo::sent(signal, SI_USER, 0, 0),
        };
        if !self.queue.iter().any(|other| other.si_signo == signal.number()) {
            self.set.remove(signal);
        }
        Some((signal, info))
    }

    /// Forgets every waiting signal of `unwanted`.
    pub fn discard(&mut self, unwanted: SigSet) {
        if self.set.intersection(unwanted).is_empty() {
            return;
        }
        self.set = self.set.difference(unwanted);
        self.queue.retain(|info| Signal::new(info.si_signo).is_some_and(|signal| !unwanted.contains(signal)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::signal::info::{SI_KERNEL, SI_QUEUE};

    fn realtime(number: i32) -> Signal {
        Signal::new(number).unwrap()
    }

    #[test]
    fn an_ordinary_signal_waits_once_and_keeps_its_first_details() {
        let mut pending = Pending::new();
        pending.push(Signal::SIGUSR1, SigInfo::sent(Signal::SIGUSR1, SI_USER, 7, 0), 10).unwrap();
        pending.push(Signal::SIGUSR1, SigInfo::sent(Signal::SIGUSR1, SI_USER, 8, 0), 10).unwrap();
        let (signal, info) = pending.take(SigSet::FULL).unwrap();
        assert_eq!(signal, Signal::SIGUSR1);
        assert_eq!(info, SigInfo::sent(Signal::SIGUSR1, SI_USER, 7, 0));
        assert!(pending.take(SigSet::FULL).is_none());
    }

    #[test]
    fn real_time_signals_are_delivered_as_often_as_sent_and_in_order() {
        let mut pending = Pending::new();
        for value in 0..3 {
            let info = SigInfo::sent(realtime(40), SI_QUEUE, value, 0);
            pending.push(realtime(40), info, 10).unwrap();
        }
        for value in 0..3 {
            let (_, info) = pending.take(SigSet::FULL).unwrap();
            assert_eq!(info, SigInfo::sent(realtime(40), SI_QUEUE, value, 0));
        }
        assert!(pending.is_empty());
    }

    #[test]
    fn a_fault_comes_before_a_signal_with_a_lower_number() {
        let mut pending = Pending::new();
        for signal in [Signal::SIGHUP, Signal::SIGSEGV] {
            pending.push(signal, SigInfo::kernel(signal), 10).unwrap();
        }
        assert_eq!(pending.take(SigSet::FULL).unwrap().0, Signal::SIGSEGV);
        assert_eq!(pending.take(SigSet::FULL).unwrap().0, Signal::SIGHUP);
    }

    #[test]
    fn past_the_limit_a_queued_signal_fails_and_a_kill_loses_only_its_details() {
        let mut pending = Pending::new();
        let info = SigInfo::sent(realtime(40), SI_QUEUE, 1, 0);
        assert_eq!(pending.push(realtime(40), info, 0), Err(Errno::EAGAIN));
        pending.push(Signal::SIGTERM, SigInfo::sent(Signal::SIGTERM, SI_USER, 1, 0), 0).unwrap();
        assert_eq!(pending.take(SigSet::FULL).unwrap().0, Signal::SIGTERM);
    }

    #[test]
    fn a_blocked_signal_stays_until_it_is_wanted() {
        let mut pending = Pending::new();
        pending.push(Signal::SIGINT, SigInfo::kernel(Signal::SIGINT), 10).unwrap();
        assert!(pending.take(SigSet::of(&[Signal::SIGTERM])).is_none());
        assert_eq!(pending.take(SigSet::FULL).unwrap().1.si_code, SI_KERNEL);
    }

    #[test]
    fn discarded_signals_leave_neither_bit_nor_details() {
        let mut pending = Pending::new();
        for signal in [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGUSR1] {
            pending.push(signal, SigInfo::kernel(signal), 10).unwrap();
        }
        pending.discard(SigSet::STOPPING);
        assert_eq!(pending.set(), SigSet::of(&[Signal::SIGUSR1]));
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn an_expiry_of_a_timer_that_still_waits_is_an_overrun() {
        let mut pending = Pending::new();
        let info = SigInfo::timer(Signal::SIGALRM, 3, 0, 9);
        pending.push(Signal::SIGALRM, info, 10).unwrap();
        assert!(pending.add_overrun(3));
        assert!(!pending.add_overrun(4));
        assert_eq!(pending.take(SigSet::FULL).unwrap().1, SigInfo::timer(Signal::SIGALRM, 3, 1, 9));
    }
}
