//! What the user sees of long work: a spinner with the elapsed time on a terminal, one plain line elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Writes one line that says what `./hob` does to the machine or why it waits.
pub fn say(message: impl AsRef<str>) {
    eprintln!("hob: {}", message.as_ref());
}

/// A piece of work under way. The spinner vanishes when this is dropped.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
}

impl Step {
    /// Starts to show `message`. Without a terminal nothing is shown: quiet is the rule there.
    pub fn new(message: impl Into<String>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(message.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    /// Replaces the message.
    pub fn message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
