//! The user's terminal: its size, and the settings that must be the same after a run as before it.

use crate::emulator::running::Window;
use anyhow::Result;
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios};
use std::io::IsTerminal;

/// The size of the terminal at standard output, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// The size of the user's terminal; absent when standard output is none, or its size is unknown.
pub fn size() -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Whether a person can type: standard input is a terminal.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// The settings of standard input as they were; dropping this sets them again, however the emulator left them.
#[derive(Debug)]
pub struct Saved {
    settings: Option<Termios>,
    flags: Option<OFlags>,
}

impl Saved {
    /// Remembers the settings.
    pub fn take() -> Self {
        Self {
            settings: rustix::termios::tcgetattr(std::io::stdin()).ok(),
            flags: rustix::fs::fcntl_getfl(std::io::stdin()).ok(),
        }
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // A terminal that has gone away needs no settings: errors are of no use here.
        if let Some(settings) = &self.settings {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
        }
        if let Some(flags) = self.flags {
            let _ = rustix::fs::fcntl_setfl(std::io::stdin(), flags);
        }
    }
}

/// Sends the window's size to the guest whenever the user changes it, until the program ends.
pub fn follow_size(mut window: Window) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGWINCH])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            // A machine that has ended needs no size.
            if size().is_some_and(|size| window.send(size).is_err()) {
                break;
            }
        }
    });
    Ok(())
}
