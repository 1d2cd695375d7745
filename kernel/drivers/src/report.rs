//! The report: lines on a serial port that tell the host of an emulator how a job or a test ended (docs/testing.md).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Errno;
use machine::sync::{Once, Rank, SpinLock};

use crate::serial::{COM2, Client, Port};

static PORT: Once<Arc<Port>> = Once::new();

/// The longest line from the host, in bytes.
const LINE_MAX: usize = 256;

/// What the host says, cut into lines.
struct Host {
    line: SpinLock<Vec<u8>>,
    on_line: fn(&str) -> bool,
}

impl Client for Host {
    fn received(&self, bytes: &[u8]) -> usize {
        for (taken, &byte) in bytes.iter().enumerate() {
            let mut line = self.line.lock();
            if byte == b'\n' {
                let text = String::from_utf8_lossy(&line).into_owned();
                drop(line);
                if !(self.on_line)(&text) {
                    // The end of the line is offered again.
                    return taken;
                }
                self.line.lock().clear();
            } else if line.len() < LINE_MAX {
                line.push(byte);
            }
        }
        bytes.len()
    }

    fn room(&self) {}
}

/// Opens the second serial port for the report. `on_line` is called, from a softirq thread, with each line that the
/// host sends; when it returns `false`, the same line comes again with the host's next words or after
/// [`lines_wanted`].
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn start(on_line: fn(&str) -> bool) -> Result<(), Errno> {
    let port = Port::open(COM2)?;
    port.connect(Arc::new(Host { line: SpinLock::new(Rank::Stream, Vec::new()), on_line }));
    if PORT.set(port).is_ok() {
        line("hob-report 1");
    }
    Ok(())
}

/// A line that was refused would be taken now.
pub fn lines_wanted() {
    if let Some(port) = PORT.get() {
        port.input_wanted();
    }
}

/// Whether somebody listens.
pub fn is_open() -> bool {
    PORT.get().is_some()
}

/// Sends a line; newlines in it become spaces. Waits for the port when much is on its way. Nothing happens without a
/// report.
#[expect(clippy::disallowed_macros, reason = "made when the first program has ended")]
pub fn line(text: &str) {
    let Some(port) = PORT.get() else { return };
    let line = format!("{}\n", text.replace('\n', " "));
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        rest = &rest[port.transmit(rest)..];
        if !rest.is_empty() {
            port.flush();
        }
    }
}

/// Sends a line in the middle of a panic: without interrupts, and without memory, since whoever has the heap's lock may have
/// been stopped.
pub fn panic_line(text: fmt::Arguments<'_>) {
    let _ = fmt::Write::write_fmt(&mut PanicLine, text);
    force(b"\n");
}

fn force(bytes: &[u8]) {
    if let Some(port) = PORT.get() {
        port.force(bytes);
    }
}

/// The rest of a line; newlines in it become spaces.
struct PanicLine;

impl fmt::Write for PanicLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (number, piece) in text.split('\n').enumerate() {
            if number > 0 {
                force(b" ");
            }
            force(piece.as_bytes());
        }
        Ok(())
    }
}

/// Writes text as `log` lines of a panic's report, in the same way.
#[derive(Default)]
pub struct LogLines {
    has_begun: bool,
}

impl fmt::Write for LogLines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let piece = if self.has_begun { piece } else { piece.trim_start_matches(' ') };
            if !self.has_begun && !piece.is_empty() {
                force(b"log ");
            }
            force(piece.as_bytes());
            self.has_begun = !piece.is_empty() && !piece.ends_with('\n');
        }
        Ok(())
    }
}
