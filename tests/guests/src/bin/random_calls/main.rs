//! Calls by chance, with hostile arguments, over what a process can have: descriptors of many kinds, files in a folder of its
//! own, mappings, children, timers, signals. Each round is a process that makes a few dozen calls one after the other, so that
//! each sees what those before it did; what they gave is told. The choices follow from the seed alone.
//!
//! `random_calls [ROUNDS [FIRST]]` tells each round's results, `random_calls show ROUND` a round's calls with their arguments.
#![expect(unsafe_code, reason = "no safe wrapper makes calls with arbitrary arguments")]

mod arguments;
mod chance;
mod log;
mod round;
mod surroundings;
mod table;

use log::Log;
use std::fmt::Write as _;

/// The quick form.
const ROUNDS: u64 = 300;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    surroundings::prepare();
    let log = Log::new();
    log.clear();
    match words.first().map(String::as_str) {
        Some("show") => {
            let round = number(1).unwrap_or(0);
            println!("round {round}: {}", round::play(round, &log));
            log.entries().for_each(|entry| println!("  {}", entry.in_full()));
        }
        _ => {
            let first = number(1).unwrap_or(0);
            for round in first..first + number(0).unwrap_or(ROUNDS) {
                println!("{}", told(round, &log));
            }
        }
    }
}

/// Plays a round: the calls and what they gave.
fn told(round: u64, log: &Log) -> String {
    let end = round::play(round, log);
    let mut line = format!("{round}:");
    for entry in log.entries() {
        let _ = write!(line, " {entry}");
    }
    line + " " + &end
}
