//! What OPOST does to bytes on their way to the screen, and the column in which they end.

use alloc::vec::Vec;

use abi::termios::{InputFlags, OutputFlags};

use super::discipline::is_continuation;

/// The cursor, as far as it is known.
#[derive(Default)]
pub(super) struct Output {
    column: usize,
}

impl Output {
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// Appends `byte` to `shown` as it is to be sent.
    pub(super) fn put(&mut self, byte: u8, flags: OutputFlags, input: InputFlags, shown: &mut Vec<u8>) {
        if !flags.contains(OutputFlags::OPOST) {
            shown.push(byte);
            return;
        }
        match byte {
            b'\n' => {
                if flags.contains(OutputFlags::ONLRET) {
                    self.column = 0;
                }
                if flags.contains(OutputFlags::ONLCR) {
                    self.column = 0;
                    shown.push(b'\r');
                }
                shown.push(b'\n');
            }
            b'\r' => {
                if flags.contains(OutputFlags::ONOCR) && self.column == 0 {
                    return;
                }
                if flags.contains(OutputFlags::OCRNL) {
                    if flags.contains(OutputFlags::ONLRET) {
                        self.column = 0;
                    }
                    shown.push(b'\n');
                } else {
                    self.column = 0;
                    shown.push(b'\r');
                }
            }
            b'\t' => {
                let spaces = 8 - self.column % 8;
                self.column += spaces;
                if flags.contains(OutputFlags::XTABS) {
                    shown.extend(core::iter::repeat_n(b' ', spaces));
                } else {
                    shown.push(b'\t');
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                shown.push(byte);
            }
            _ => {
                let is_control = byte < 0x20 || byte == 0x7f;
                let is_inside = input.contains(InputFlags::IUTF8) && is_continuation(byte);
                if !is_control && !is_inside {
                    self.column += 1;
                }
                let upper = flags.contains(OutputFlags::OLCUC);
                shown.push(if upper { byte.to_ascii_uppercase() } else { byte });
            }
        }
    }
}
