//! The last resort for output: bytes to the first serial port, from any context, before and beside its
//! driver.

use core::fmt;

use crate::arch;
use crate::sync::{Irq, Rank, SpinLock};

static LOCK: SpinLock<(), Irq> = SpinLock::new(Rank::Console, ());

/// Writes bytes and waits until the port has taken them. For the boot log and panics; programs' output goes
/// through the UART driver.
pub fn write(bytes: &[u8]) {
    let _guard = LOCK.lock();
    arch::console_write(bytes);
}

/// Writes pieces without anything in between.
pub fn write_all(pieces: &[&[u8]]) {
    let _guard = LOCK.lock();
    for piece in pieces {
        arch::console_write(piece);
    }
}

/// As [`write`], for `write!`.
pub struct Console {
    is_locking: bool,
}

impl Console {
    /// Takes the port's lock for each piece.
    pub fn new() -> Self {
        Self { is_locking: true }
    }

    /// Takes no lock: for a panic, when all other processors have been stopped, one of them perhaps with the
    /// lock.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "the host's std prints panics"))]
    pub(crate) fn unlocked() -> Self {
        Self { is_locking: false }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_locking {
            write(text.as_bytes());
        } else {
            arch::console_write(text.as_bytes());
        }
        Ok(())
    }
}
