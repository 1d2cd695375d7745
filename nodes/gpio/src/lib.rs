//! The serial GPIO board: five debounced inputs and two relays. Small enough for an ATmega32U4: no heap.
//!
//! Invariants: both relays are off at boot; an input's new value is reported only after it was unchanged for
//! [`DEBOUNCE_PASSES`] passes, and only when it differs from the last report; unknown bytes are ignored.
//!
//! Neighbours: `wire::gpio` is the hub's side of the same bytes.
#![no_std]
#![forbid(unsafe_code)]

use wire::gpio::{Command, INPUTS_MASK};

/// Passes of the main loop for which the inputs must be steady.
pub const DEBOUNCE_PASSES: u8 = 100;

/// What one pass of the main loop found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// The contacts now, 1 = closed to ground.
    pub contacts: u8,
    /// A byte from the host, if one came.
    pub byte: Option<u8>,
}

/// What to do after this pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Relay A is bit 0, relay B bit 1; 1 = energised (the pin is low).
    pub relays: u8,
    /// A byte for the host.
    pub byte: Option<u8>,
}

/// The state of one board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    relays: u8,
    candidate: u8,
    steady_passes: u8,
    reported: u8,
}

impl Board {
    /// Runs one pass of the main loop.
    pub fn step(&mut self, input: Input) -> Output {
        let contacts = input.contacts & INPUTS_MASK;
        if contacts == self.candidate {
            self.steady_passes = self.steady_passes.saturating_add(1);
        } else {
            self.candidate = contacts;
            self.steady_passes = 0;
        }
        let mut byte = None;
        if self.steady_passes >= DEBOUNCE_PASSES && self.candidate != self.reported {
            self.reported = self.candidate;
            byte = Some(self.reported);
        }
        match input.byte.and_then(Command::decode) {
            Some(Command::Report) => byte = Some(self.reported),
            Some(Command::Relay { relay, on: true }) => self.relays |= 1 << relay,
            Some(Command::Relay { relay, on: false }) => self.relays &= !(1 << relay),
            None => {}
        }
        Output { relays: self.relays, byte }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(board: &mut Board, contacts: u8, count: u32) -> Option<u8> {
        (0..count).filter_map(|_| board.step(Input { contacts, byte: None }).byte).last()
    }

    #[test]
    fn a_change_is_reported_once_after_it_was_steady() {
        let mut board = Board::default();
        assert_eq!(passes(&mut board, 1, 100), None);
        assert_eq!(passes(&mut board, 1, 1), Some(1));
        assert_eq!(passes(&mut board, 1, 500), None);
    }

    #[test]
    fn a_bouncing_contact_is_not_reported() {
        let mut board = Board::default();
        for _ in 0..50 {
            assert_eq!(passes(&mut board, 4, 60), None);
            assert_eq!(passes(&mut board, 0, 60), None);
        }
    }

    #[test]
    fn relays_are_off_at_boot_and_obey() {
        let mut board = Board::default();
        let mut send = |byte| board.step(Input { contacts: 0, byte: Some(byte) });
        assert_eq!(send(0).relays, 0);
        assert_eq!(send(b'a').relays, 1);
        assert_eq!(send(b'b').relays, 3);
        assert_eq!(send(b'A').relays, 2);
        assert_eq!(send(b'x'), Output { relays: 2, byte: None });
        assert_eq!(send(b'?').byte, Some(0));
    }

    #[test]
    fn bits_that_are_no_inputs_stay_zero() {
        assert_eq!(passes(&mut Board::default(), 0xff, 101), Some(0x1f));
    }
}
