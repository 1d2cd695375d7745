//! One round: its process, the calls, and what is told of them.

use crate::arguments::Arguments;
use crate::chance::fold;
use crate::log::{Entry, Log, UNDER_WAY};
use crate::surroundings::{self, ARENA, ARENA_PAGES, PAGE, ROOM, ROOM_LEN, STRUCTURES};
use crate::table::{CALLS, Call, FORK, Told};
use guests::call;
use std::time::Duration;

/// Calls in a round.
const CALLS_IN_A_ROUND: usize = 48;
/// Far more than a round takes; only one that waits for ever reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// Plays a round in a process of its own, and says how it ended.
pub fn play(round: u64, log: &Log) -> String {
    log.clear();
    // SIGCHLD waits until it is asked for.
    let child_ended = 1_u64 << 16;
    kernel(14, [0, &raw const child_ended as usize, 0, 8, 0, 0]);
    let child = kernel(57, [0; 6]);
    assert!(child >= 0, "no process: {child}");
    if child == 0 {
        surroundings::enter(round, log);
        kernel(14, [1, &raw const child_ended as usize, 0, 8, 0, 0]);
        calls(round, log);
        kernel(231, [0; 6]);
    }
    let patience = [LIMIT.as_secs(), 0];
    let told = kernel(128, [&raw const child_ended as usize, 0, &raw const patience as usize, 8, 0, 0]);
    if told < 0 {
        kernel(62, [child as usize, 9, 0, 0, 0, 0]);
    }
    let mut status = 0_u32;
    kernel(61, [child as usize, &raw mut status as usize, 0, 0, 0, 0]);
    let _ = std::fs::remove_dir_all(surroundings::folder(round));
    if told < 0 { "did not end".into() } else { format!("ended {status:#x}") }
}

fn kernel(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: the program's own calls here are harmless; a round's own change only what `surroundings` made for it.
    unsafe { call(number, arguments) }
}

/// Who is who: numbers of processes differ from run to run.
pub struct Processes {
    /// The round's own.
    pub own: usize,
    parent: usize,
    /// Its children, all of which have ended.
    pub children: [usize; 4],
    count: usize,
}

impl Processes {
    /// A number that does not differ.
    fn told(&self, number: isize) -> isize {
        let known = [self.own, self.parent].into_iter().chain(self.children);
        if number > 0
            && let Some(at) = known.into_iter().position(|other| other == number as usize)
        {
            return 1000 + at as isize;
        }
        number
    }
}

fn calls(round: u64, log: &Log) {
    let parent = kernel(110, [0; 6]) as usize;
    let own = kernel(39, [0; 6]) as usize;
    let mut processes = Processes { own, parent, children: [0x7fff_ffff; 4], count: 0 };
    let mut choices = Arguments::new(round);
    let heap = kernel(12, [0; 6]) as usize;
    for _ in 0..CALLS_IN_A_ROUND {
        let (at, arguments) = choices.next(&processes);
        let chosen = &CALLS[at];
        let mut entry = Entry { call: at, arguments, result: UNDER_WAY, written: 0 };
        let number = log.add(entry);
        let result = if chosen.number == FORK {
            child_that_ends(arguments[0], &mut processes)
        } else {
            kernel(chosen.number, arguments)
        };
        (entry.result, entry.written) = comparable(chosen, result, &arguments, heap, &processes);
        log.set(number, entry);
    }
}

/// A child that has ended when this returns. Signals wait for that, so that they come at the same place each time.
fn child_that_ends(how: usize, processes: &mut Processes) -> isize {
    let (all, mut before) = (u64::MAX, 0_u64);
    kernel(14, [2, &raw const all as usize, &raw mut before as usize, 8, 0, 0]);
    let child = kernel(57, [0; 6]);
    if child == 0 {
        if how >= 256 {
            let (nothing, none) = ([0_usize; 4], 0_u64);
            kernel(13, [how - 256, nothing.as_ptr() as usize, 0, 8, 0, 0]);
            kernel(14, [2, &raw const none as usize, 0, 8, 0, 0]);
            let own = kernel(39, [0; 6]) as usize;
            kernel(62, [own, how - 256, 0, 0, 0, 0]);
        }
        kernel(231, [how, 0, 0, 0, 0, 0]);
    }
    if child > 0 {
        const AND_LEAVE_IT: usize = 0x0100_0004;
        kernel(247, [1, child as usize, 0, AND_LEAVE_IT, 0, 0]);
        processes.children[processes.count % 4] = child as usize;
        processes.count += 1;
    }
    kernel(14, [2, &raw const before as usize, 0, 8, 0, 0]);
    child.min(1)
}

/// A result without what differs from run to run, and a number that stands for what was written.
fn comparable(
    call: &Call,
    result: isize,
    arguments: &[usize; 6],
    heap: usize,
    processes: &Processes,
) -> (isize, u64) {
    if result < 0 && result > -4096 {
        return (result, 0);
    }
    match call.told {
        Told::Result => (result, 0),
        Told::Success => (result.min(1), 0),
        Told::Failure => (0, 0),
        Told::Process => (processes.told(result), 0),
        Told::Heap => (result.wrapping_sub_unsigned(heap), 0),
        Told::Address => {
            let offset = (result as usize).wrapping_sub(ARENA);
            (if offset < ARENA_PAGES * PAGE { offset as isize } else { 1 }, 0)
        }
        // What signalfd(2) gives has numbers of processes in it.
        Told::Bytes if result % 128 == 0 => (result, 0),
        Told::Bytes => (result, sum(&[(arguments[1], result as usize)])),
        Told::Part(at, len) => (result, sum(&[(arguments[at], len)])),
        // The name's length, the control data's length, the flags.
        Told::Message => (result, sum(&[(arguments[1] + 8, 4), (arguments[1] + 40, 12)])),
    }
}

/// Folds memory, as far as it is that for results or structures.
fn sum(parts: &[(usize, usize)]) -> u64 {
    let ours = |at: usize, len: usize| {
        [(ROOM, ROOM_LEN), (STRUCTURES, PAGE)]
            .iter()
            .any(|(base, size)| at >= *base && at.saturating_add(len) <= base + size)
    };
    let mut folded = 1;
    for (at, len) in parts.iter().filter(|(at, len)| ours(*at, *len)) {
        for offset in 0..*len {
            // SAFETY: the memory is this program's, and stays mapped.
            folded = fold(folded, &[unsafe { ((at + offset) as *const u8).read() }]);
        }
    }
    folded
}
