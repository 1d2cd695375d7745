//! Runs cases two at a time, shows what happens, counts.

use super::case::{Case, Outcome, Verdict};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many cases run at once: a machine under test has several processors of its own.
const WORKERS: usize = 2;

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Tally {
    fn count(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome.verdict {
                Verdict::Passed => self.passed += 1,
                Verdict::Failed(_) => self.failed += 1,
                Verdict::Skipped(_) => self.skipped += 1,
            }
        }
    }

    /// Whether the run as a whole passed: nothing failed, and something was run.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

/// Runs all cases and returns the count. Failures are shown as they come, with what is known of them.
pub fn run(cases: Vec<Case>) -> Tally {
    let display = Display::new(cases.len() as u64);
    let queue = Mutex::new(VecDeque::from(cases));
    let tally = Mutex::new(Tally::default());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let name = case.name.clone();
                    display.begin(&name);
                    let started = Instant::now();
                    let outcomes = case.run();
                    display.end(&name, &outcomes, started.elapsed());
                    tally.lock().unwrap_or_else(PoisonError::into_inner).count(&outcomes);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A bar on a terminal, a line a case elsewhere.
struct Display {
    bar: ProgressBar,
    running: Mutex<Vec<String>>,
}

impl Display {
    fn new(count: u64) -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new(count) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, running: Mutex::new(Vec::new()) }
    }

    fn begin(&self, name: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.push(name.to_owned());
        self.bar.set_message(running.join(", "));
    }

    fn end(&self, name: &str, outcomes: &[Outcome], elapsed: Duration) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| other != name);
        self.bar.set_message(running.join(", "));
        self.bar.inc(1);
        let text = describe(name, outcomes, elapsed, self.bar.is_hidden());
        // The lock is held, so that the lines of two cases do not mix.
        self.bar.suspend(|| print!("{text}"));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What is printed of a case that ended: its failures and skips, and its success where no bar shows it.
fn describe(name: &str, outcomes: &[Outcome], elapsed: Duration, with_success: bool) -> String {
    let mut text = String::new();
    let passed = outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Passed).count();
    for outcome in outcomes {
        match &outcome.verdict {
            Verdict::Passed => {}
            Verdict::Skipped(reason) => text.push_str(&format!("skip {}: {reason}\n", outcome.name)),
            Verdict::Failed(message) => {
                text.push_str(&format!("FAIL {}\n", outcome.name));
                message.lines().for_each(|line| text.push_str(&format!("     {line}\n")));
            }
        }
    }
    if with_success && passed > 0 {
        let many =
            if outcomes.len() > 1 { format!(", {passed} of {}", outcomes.len()) } else { String::new() };
        text.push_str(&format!("ok   {name} ({:.1} s{many})\n", elapsed.as_secs_f64()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_run_once_and_counted() {
        let cases =
            (0..9)
                .map(|number| {
                    Case::test(format!("a/{number}"), move || {
                        if number == 4 { anyhow::bail!("four") } else { Ok(()) }
                    })
                })
                .collect();
        assert_eq!(run(cases), Tally { passed: 8, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_run_of_nothing_is_no_success() {
        assert!(!Tally::default().is_success());
        assert!(!Tally { passed: 1, failed: 1, skipped: 0 }.is_success());
        assert!(Tally { passed: 1, failed: 0, skipped: 3 }.is_success());
    }
}
