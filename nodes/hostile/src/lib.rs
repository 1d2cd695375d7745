//! Hostile input for parsers: what they understand, damaged in every way that a seed gives, the same in every run.
//!
//! [`attack`] hands a parser mutations of good examples and holds it to three promises: it does not panic, no single input takes
//! longer than [`LONGEST`] of the processor's time (on a loaded machine as on an idle one), and all of them together leave no more
//! memory behind than [`GROWTH_BYTES`]. An input that breaks one is printed. `HUB_FULL_TESTS` makes the attack two hundred times as
//! long.
//!
//! Neighbours: the tests of `wire`, `rules`, `hub-store`, `hub-modules` and `hub`.
#![forbid(unsafe_code)]

use std::time::Duration;

/// What one input may cost of the processor's time: far more than any needs, far less than what grows without bound.
pub const LONGEST: Duration = Duration::from_secs(5);
/// What may be left when an attack is over: allocators keep pages, parsers keep nothing.
pub const GROWTH_BYTES: u64 = 64 << 20;
/// The longest input.
pub const INPUT_BYTES: usize = 128 * 1024;
const FULL: u64 = 200;

/// A seeded generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    /// Cuts bytes as a network would: whole, or in pieces; what is long not in small ones.
    pub fn cut<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let smallest = if bytes.len() <= 1_000 { 0 } else { 3 };
        let piece = [1, 3, 17, 1_460, usize::MAX][smallest + self.below(5 - smallest)];
        bytes.chunks(piece.min(bytes.len().max(1))).collect()
    }
}

/// What parsers trip over.
const TOKENS: [&[u8]; 30] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"<",
    b">",
    b"&a;",
    b"<!DOCTYPE a [<!ENTITY a \"&a;&a;\">]>",
    b"\r\n",
    b"%00",
    b"-1",
    b"0",
    b"1e309",
    b"-1e-309",
    b"99999999999999999999",
    b"4294967296",
    b"null",
    b"NaN",
    b"*/0",
    b"${}",
];
/// What can be nested.
const NESTS: [&[u8]; 7] = [b"[", b"{\"a\":", b"(", b"<a>", b"[[", b"!", b"if x {"];

/// A damaged copy of one of the examples.
pub fn mutation(random: &mut Random, examples: &[&[u8]]) -> Vec<u8> {
    let mut input = examples[random.below(examples.len())].to_vec();
    for _ in 0..=random.below(6) {
        damage(random, &mut input, examples);
        input.truncate(INPUT_BYTES);
    }
    input
}

fn damage(random: &mut Random, input: &mut Vec<u8>, examples: &[&[u8]]) {
    let at = random.below(input.len() + 1);
    let to = at + random.below((input.len() - at).min(64) + 1);
    match random.below(9) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.below(256) as u8,
        2 => drop(input.drain(at..to)),
        3 => {
            let piece = input[at..to].repeat(1 + random.below(40));
            drop(input.splice(at..at, piece));
        }
        4 => {
            let noise: Vec<u8> = (0..random.below(32)).map(|_| random.below(256) as u8).collect();
            drop(input.splice(at..at, noise));
        }
        5 => input.truncate(at),
        6 => {
            let other = examples[random.below(examples.len())];
            let from = random.below(other.len() + 1);
            drop(input.splice(at.., other[from..].iter().copied()));
        }
        7 => drop(input.splice(at..to, TOKENS[random.below(TOKENS.len())].iter().copied())),
        _ => {
            let nest = NESTS[random.below(NESTS.len())];
            let deepest = [4, 40, 4_000][random.below(3)];
            let depth = 1 + random.below(deepest);
            drop(input.splice(at..at, nest.repeat(depth)));
        }
    }
}

/// Prints the input over which a parser panicked.
struct Witness<'a> {
    input: &'a [u8],
    round: u64,
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = String::from_utf8_lossy(self.input);
            eprintln!("round {}, {} bytes: {}", self.round, self.input.len(), text.escape_debug());
        }
    }
}

/// Attacks a parser with `rounds` damaged examples, each attack with another `seed`.
///
/// # Panics
/// The parser panics, takes too long or keeps memory; or there is no example.
pub fn attack(seed: u64, rounds: u64, examples: &[&[u8]], mut parse: impl FnMut(&[u8])) {
    let rounds = if std::env::var_os("HUB_FULL_TESTS").is_some() { rounds * FULL } else { rounds };
    let mut random = Random(seed);
    // Good examples first: a parser that refuses everything is not tested.
    examples.iter().for_each(|example| parse(example));
    let mut before = None;
    for round in 0..rounds {
        let input = mutation(&mut random, examples);
        let began = processor_time();
        let witness = Witness { input: &input, round };
        parse(&input);
        let took = processor_time().saturating_sub(began);
        assert!(took < LONGEST, "it took {took:?}");
        drop(witness);
        if round == rounds / 10 {
            before = resident_bytes();
        }
    }
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        assert!(after < before + GROWTH_BYTES, "memory grew from {before} to {after} bytes");
    }
}

/// What this thread has had of the processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Resident memory of this process (proc(5), `VmRSS`).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLES: [&[u8]; 2] = [b"{\"a\": [1, 2]}", b""];

    #[test]
    fn a_seed_gives_the_same_inputs_again_and_they_differ_and_stay_within_bounds() {
        let run = |seed| {
            let mut all = Vec::new();
            attack(seed, 500, &EXAMPLES, |input| all.push(input.to_vec()));
            all
        };
        let one = run(1);
        assert_eq!(one, run(1));
        assert_ne!(one, run(2));
        assert!(one.iter().all(|input| input.len() <= INPUT_BYTES));
        let different: std::collections::BTreeSet<_> = one.iter().collect();
        assert!(different.len() > 400, "{}", different.len());
    }

    #[test]
    #[should_panic(expected = "memory grew")]
    fn a_parser_that_keeps_what_it_gets_is_caught() {
        let mut kept = Vec::new();
        attack(1, 1_000, &EXAMPLES, |_| kept.push(vec![1_u8; 128 * 1024]));
    }

    #[test]
    fn cut_bytes_are_all_there() {
        let mut random = Random(3);
        for len in [0, 1, 5_000] {
            assert_eq!(random.cut(&vec![7; len]).concat(), vec![7; len]);
        }
    }
}
