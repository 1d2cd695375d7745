//! The GPIO board on a pseudo-terminal: the host sees an ordinary serial line.

use gpio_node::{Board, Input};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

/// A running board. Dropping it pulls the plug.
#[derive(Debug)]
pub struct SerialBoard {
    /// The terminal that the host opens.
    pub path: PathBuf,
    contacts: Arc<AtomicU8>,
    relays: Arc<AtomicU8>,
    is_unplugged: Arc<AtomicBool>,
}

impl SerialBoard {
    /// Plugs a board in.
    ///
    /// # Errors
    /// There is no pseudo-terminal to be had.
    pub fn plug_in() -> io::Result<SerialBoard> {
        let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&board)?;
        unlockpt(&board)?;
        let path = PathBuf::from(ptsname(&board, Vec::new())?.to_string_lossy().into_owned());
        // Raw from the first byte, so that nothing is echoed before the host has set its own mode.
        let mut settings = rustix::termios::tcgetattr(&board)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&board, rustix::termios::OptionalActions::Now, &settings)?;
        let handle = SerialBoard {
            path,
            contacts: Arc::default(),
            relays: Arc::default(),
            is_unplugged: Arc::default(),
        };
        let (contacts, relays) = (handle.contacts.clone(), handle.relays.clone());
        let is_unplugged = handle.is_unplugged.clone();
        rustix::io::ioctl_fionbio(&board, true)?;
        let mut line = std::fs::File::from(board);
        std::thread::spawn(move || {
            let mut core = Board::default();
            let mut byte = [0];
            while !is_unplugged.load(Ordering::Relaxed) {
                // While no host has the terminal open, reading fails: the board runs on.
                let received = line.read(&mut byte).ok().filter(|len| *len == 1).map(|_| byte[0]);
                let output = core.step(Input { contacts: contacts.load(Ordering::Relaxed), byte: received });
                relays.store(output.relays, Ordering::Relaxed);
                if let Some(report) = output.byte {
                    // A host that does not read loses bytes, as on a real line.
                    let _ = line.write(&[report]);
                }
                if received.is_none() {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
        });
        Ok(handle)
    }

    /// Closes and opens contacts: bit i is input i.
    pub fn set_contacts(&self, contacts: u8) {
        self.contacts.store(contacts, Ordering::Relaxed);
    }

    /// Relay A is bit 0, relay B bit 1.
    pub fn relays(&self) -> u8 {
        self.relays.load(Ordering::Relaxed)
    }
}

impl Drop for SerialBoard {
    fn drop(&mut self) {
        self.is_unplugged.store(true, Ordering::Relaxed);
    }
}
