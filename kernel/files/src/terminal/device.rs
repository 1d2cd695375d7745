//! The devices that lead to terminals: serial ports by number, /dev/console, /dev/tty.

use alloc::sync::Arc;

use abi::Errno;
use abi::stat::{device_major, device_minor, device_number};
use machine::sync::Once;

use super::{Terminal, TerminalFile, job};
use crate::device::{Device, add_node, register};
use crate::file::File;
use crate::inode::Opening;
use crate::metadata::Kind;

/// The major number of /dev/tty, /dev/console and /dev/ptmx (devices.txt).
pub(super) const MAJOR: u32 = 5;
const TTY: u32 = 0;
const CONSOLE: u32 = 1;
/// The minor number of /dev/ptmx.
pub(super) const PTMX: u32 = 2;

/// A device that is one terminal.
pub struct TerminalDevice(pub Arc<Terminal>);

impl Device for TerminalDevice {
    fn open(&self, _minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        TerminalFile::open(&self.0, opening, false)
    }
}

/// Registers a terminal under its own number and makes its node, such as /dev/ttyS0 (0660).
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn register_terminal(terminal: &Arc<Terminal>) -> Result<(), Errno> {
    let (major, minor) = (device_major(terminal.device()), device_minor(terminal.device()));
    register("ttyS", major, minor..=minor, Arc::new(TerminalDevice(Arc::clone(terminal))));
    add_node(terminal.name(), Kind::CharacterDevice, 0o660, terminal.device())
}

static SYSTEM_CONSOLE: Once<Arc<Terminal>> = Once::new();

/// Says which terminal /dev/console is. Called once, at boot; until then opening it gives ENODEV.
pub fn set_console(terminal: Arc<Terminal>) {
    let _ = SYSTEM_CONSOLE.set(terminal);
}

struct Console;

impl Device for Console {
    fn open(&self, _minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        TerminalFile::open(SYSTEM_CONSOLE.get().ok_or(Errno::ENODEV)?, opening, true)
    }
}

struct Controlling;

impl Device for Controlling {
    /// The terminal that controls the caller's session: ENXIO without one.
    fn open(&self, _minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        let caller = job::job_control().and_then(|jobs| jobs.caller()).ok_or(Errno::ENXIO)?;
        let terminal = caller.terminal.ok_or(Errno::ENXIO)?;
        TerminalFile::open(&terminal, opening, true)
    }
}

/// Registers /dev/tty and /dev/console.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub(super) fn start() -> Result<(), Errno> {
    register("/dev/tty", MAJOR, TTY..=TTY, Arc::new(Controlling));
    register("/dev/console", MAJOR, CONSOLE..=CONSOLE, Arc::new(Console));
    add_node("tty", Kind::CharacterDevice, 0o666, device_number(MAJOR, TTY))?;
    add_node("console", Kind::CharacterDevice, 0o600, device_number(MAJOR, CONSOLE))
}
