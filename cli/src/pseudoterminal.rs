//! A terminal for a program to run on, with us in the place of the person.

use anyhow::{Context, Result};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

/// Both sides of a terminal. Our side's reading ends with EIO when the last of theirs is closed.
#[derive(Debug)]
pub struct Pseudoterminal {
    pub ours: File,
    pub theirs: OwnedFd,
}

/// Opens a terminal of this size, in the settings that a new terminal has.
pub fn open(rows: u16, columns: u16) -> Result<Pseudoterminal> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits() as i32)
        .open(name.to_str().context("the terminal has a strange name")?)
        .context("cannot open the terminal")?;
    tcsetwinsize(&theirs, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok(Pseudoterminal { ours: ours.into(), theirs: theirs.into() })
}
