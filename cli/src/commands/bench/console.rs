//! Talking to a machine's console: waiting for a text, typing.

use crate::emulator::Running;
use crate::process::wait_readable;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The console of a machine that runs.
#[derive(Debug)]
pub struct Console {
    stream: UnixStream,
    patience: Duration,
    /// What has come and was not waited for yet.
    text: Vec<u8>,
}

impl Console {
    /// Takes the machine's console. For each text it waits for `patience` at the most.
    pub fn of(machine: &mut Running, patience: Duration) -> Result<Self> {
        let stream = machine.take_console().context("the machine has no console socket")?;
        Ok(Self { stream, patience, text: Vec::new() })
    }

    /// Waits until `wanted` comes, and returns what came before it; nothing when the machine ends instead, or says nothing.
    pub fn until(&mut self, wanted: &str) -> Result<Option<String>> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(before) = take_until(&mut self.text, wanted.as_bytes()) {
                return Ok(Some(String::from_utf8_lossy(&before).into_owned()));
            }
            if !wait_readable(&self.stream, deadline.saturating_duration_since(Instant::now()))? {
                return Ok(None);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(None),
                Ok(count) => self.text.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Types `text`.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).context("cannot write to the machine's console")
    }
}

/// Removes everything up to `wanted` and that itself from `text`; returns what stood before it.
fn take_until(text: &mut Vec<u8>, wanted: &[u8]) -> Option<Vec<u8>> {
    let at = text.windows(wanted.len()).position(|window| window == wanted)?;
    let before = text.drain(..at + wanted.len()).take(at).collect();
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_waited_for_once_and_what_follows_stays() {
        let mut text = b"one # two # three".to_vec();
        assert_eq!(take_until(&mut text, b"# "), Some(b"one ".to_vec()));
        assert_eq!(take_until(&mut text, b"# "), Some(b"two ".to_vec()));
        assert_eq!(take_until(&mut text, b"# "), None);
        assert_eq!(text, b"three");
    }
}
