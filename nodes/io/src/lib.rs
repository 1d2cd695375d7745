//! The IO board: inputs, outputs and an alarm panel's reports, in JSON.
//!
//! A portable core without I/O: [`Board::step`] takes the pins and a command, and says what the outputs and the report are.
//! Invariants: all outputs are off at boot; a change of several inputs gives one report a pin.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use wire::io::{OUTPUTS, Report, Set};

/// Inputs of this board.
pub const INPUTS: usize = 8;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A hub has connected.
    Connected,
    /// The inputs are so now.
    Pins([bool; INPUTS]),
    /// The hub commands.
    Set(Set),
    /// The alarm panel spoke.
    Alarm(Report),
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub outputs: [bool; OUTPUTS as usize],
    pub reports: Vec<Report>,
}

/// The state of one board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    pins: [bool; INPUTS],
    outputs: [bool; OUTPUTS as usize],
}

impl Board {
    /// Takes one input.
    pub fn step(&mut self, input: Input) -> Output {
        let mut reports = Vec::new();
        match input {
            Input::Connected => reports.push(Report::Initial { pins: self.pins.to_vec() }),
            Input::Pins(now) => {
                for (pin, (held, new)) in self.pins.iter_mut().zip(now).enumerate() {
                    if *held != new {
                        *held = new;
                        reports.push(Report::Changed { pin: pin as u8, pins: now.to_vec() });
                    }
                }
            }
            Input::Set(Set { out, level }) => {
                if let Some(output) = self.outputs.get_mut(usize::from(out)) {
                    *output = level;
                }
            }
            Input::Alarm(report) => reports.push(report),
        }
        Output { outputs: self.outputs, reports }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_the_pin_and_all_pins() {
        let mut board = Board::default();
        let mut pins = [false; INPUTS];
        pins[2] = true;
        let out = board.step(Input::Pins(pins));
        assert_eq!(out.reports, [Report::Changed { pin: 2, pins: pins.to_vec() }]);
        assert_eq!(board.step(Input::Pins(pins)).reports, []);
        assert_eq!(board.step(Input::Connected).reports, [Report::Initial { pins: pins.to_vec() }]);
    }

    #[test]
    fn outputs_are_off_at_boot_and_obey() {
        let mut board = Board::default();
        assert_eq!(board.step(Input::Connected).outputs, [false; 5]);
        assert_eq!(
            board.step(Input::Set(Set { out: 4, level: true })).outputs,
            [false, false, false, false, true]
        );
        assert!(board.step(Input::Set(Set { out: 9, level: true })).outputs[4]);
    }
}
