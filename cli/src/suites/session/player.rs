//! Playing a session: a terminal, `./hob run` on it, keys in, text out.

use super::script::{Script, Step};
use crate::kernel_image::Kernel;
use crate::process::{self, wait_readable};
use crate::pseudoterminal;
use anyhow::{Context, Result, bail};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Longer than any answer takes on a slow machine; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(240);

/// Starts the program and does step after step.
pub fn play(script: &Script, kernel: &Kernel) -> Result<()> {
    let terminal = pseudoterminal::open(24, 80)?;
    let before = tcgetattr(&terminal.theirs)?;
    // A leader of a session with a terminal of its own, as under a person's shell.
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(std::env::current_exe().context("this program cannot find itself")?);
    command.arg("run").args(&script.options).env("TERM", "linux");
    if !kernel.is_hob {
        command.arg("--kernel").arg(&kernel.file);
    }
    let stdio = || terminal.theirs.try_clone();
    let child =
        command.stdin(stdio()?).stdout(stdio()?).stderr(stdio()?).spawn().context("cannot run setsid")?;
    let mut player = Player { terminal: terminal.ours, child, seen: Seen::default() };
    for (number, step) in &script.steps {
        let done = player.step(step);
        done.with_context(|| {
            format!("line {number}: {step:?}\nthe terminal showed last:\n{}", player.seen.tail())
        })?;
    }
    let after = tcgetattr(&terminal.theirs)?;
    if (before.local_modes, before.input_modes, before.output_modes)
        != (after.local_modes, after.input_modes, after.output_modes)
    {
        bail!("the terminal was not left as it was");
    }
    Ok(())
}

struct Player {
    terminal: File,
    child: Child,
    seen: Seen,
}

impl Drop for Player {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

impl Player {
    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::See(text) => self.see(text),
            Step::Type(text) => self.terminal.write_all(text.as_bytes()).context("cannot type"),
            Step::Resize { rows, columns } => {
                let size = Winsize { ws_row: *rows, ws_col: *columns, ws_xpixel: 0, ws_ypixel: 0 };
                tcsetwinsize(&self.terminal, size).context("cannot resize")
            }
            Step::Ends(status) => self.ends(*status),
        }
    }

    fn see(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.advance(text) {
            if !self.read(deadline)? {
                bail!("this did not appear within {} s", PATIENCE.as_secs());
            }
        }
        Ok(())
    }

    /// Reads what is there; returns whether something came before the deadline.
    fn read(&mut self, deadline: Instant) -> Result<bool> {
        if !wait_readable(&self.terminal, deadline.saturating_duration_since(Instant::now()))? {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        let count = self.terminal.read(&mut buffer).context("the terminal was closed")?;
        self.seen.push(&buffer[..count]);
        Ok(true)
    }

    fn ends(&mut self, expected: i32) -> Result<()> {
        let Some(status) = process::wait_within(&mut self.child, PATIENCE)? else {
            bail!("it still ran after {} s", PATIENCE.as_secs());
        };
        // What was written before the end is of use in a message.
        while wait_readable(&self.terminal, Duration::ZERO)? && self.read(Instant::now()).unwrap_or(false) {}
        if status.code() != Some(expected) {
            bail!("it ended with {status}");
        }
        Ok(())
    }
}

/// What the terminal has shown, without the sequences that move its cursor and choose its colours.
#[derive(Debug, Default)]
struct Seen {
    text: String,
    /// Where the next expectation is looked for.
    position: usize,
    /// Bytes of a sequence that is not complete yet.
    pending: Vec<u8>,
}

impl Seen {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.pending.as_slice() {
                [] if byte == 0x1b => self.pending.push(byte),
                [] if byte == b'\r' => {}
                [] => self.text.push(char::from(byte)),
                // ECMA-48: a control sequence is ESC [, parameters, and a final byte from @ to ~.
                [0x1b] if byte == b'[' => self.pending.push(byte),
                [0x1b] => self.pending.clear(),
                _ if (0x40..=0x7e).contains(&byte) => self.pending.clear(),
                _ => self.pending.push(byte),
            }
        }
    }

    /// Whether `wanted` stands behind what was seen last; then it has been seen.
    fn advance(&mut self, wanted: &str) -> bool {
        match self.text[self.position..].find(wanted) {
            Some(at) => {
                self.position += at + wanted.len();
                true
            }
            None => false,
        }
    }

    fn tail(&self) -> String {
        super::super::transcript::tail(self.text.as_bytes(), 25)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_cursor_movements_are_no_text() {
        let mut seen = Seen::default();
        seen.push(b"\x1b[1mhob\x1b[0");
        seen.push(b"m:~# \x1b[6n");
        assert_eq!(seen.text, "hob:~# ");
    }

    #[test]
    fn text_is_seen_once_and_in_order() {
        let mut seen = Seen::default();
        seen.push(b"one two one");
        assert!(seen.advance("two"));
        assert!(seen.advance("one"));
        assert!(!seen.advance("one"));
    }
}
