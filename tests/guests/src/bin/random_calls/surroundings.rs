//! What a round finds: its folder, which is its root, its memory, its descriptors, its signals' handlers.

use crate::log::{Entry, Log, SIGNAL};
use guests::{HERE, call};
use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the rounds' memory begins: far from what the program and the kernel choose.
const BASE: usize = 0x10_0000_0000;
/// Memory for results, behind which nothing is mapped.
pub const ROOM: usize = BASE;
/// How much of it there is.
pub const ROOM_LEN: usize = 8192;
/// A page that may only be read.
pub const READ_ONLY: usize = BASE + 0x1_0000;
/// A page for structures that calls read.
pub const STRUCTURES: usize = BASE + 0x2_0000;
/// Pages that are mapped, unmapped, protected by the calls.
pub const ARENA: usize = BASE + 0x10_0000;
/// How many pages the arena has; the first half is mapped at the start.
pub const ARENA_PAGES: usize = 16;
/// Of a page.
pub const PAGE: usize = 4096;

const FOLDER: &CStr = c"/tmp/random-calls";

/// The address of the log, and of the program's own way back from a handler.
static LOG: AtomicUsize = AtomicUsize::new(0);
static ACTION: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// Makes a call that must succeed.
fn made(number: usize, arguments: [usize; 6]) -> usize {
    // SAFETY: the calls below make descriptors, files and mappings at addresses that nothing else uses.
    let result = unsafe { call(number, arguments) };
    assert!(result >= 0, "{number} {arguments:x?}: {result}");
    result as usize
}

fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

fn mount(kind: &CStr, at: &CStr, options: &CStr) {
    made(165, [address(kind), address(at), address(kind), 0, address(options), 0]);
}

/// What is made once for all rounds.
pub fn prepare() {
    made(83, [address(FOLDER), 0o700, 0, 0, 0, 0]);
    mount(c"tmpfs", FOLDER, c"mode=700");
    made(80, [address(FOLDER), 0, 0, 0, 0, 0]);
    made(83, [address(c"terminals"), 0o700, 0, 0, 0, 0]);
    mount(c"devpts", c"terminals", c"mode=620,ptmxmode=666");
    for (name, minor) in [(c"null", 3), (c"zero", 5), (c"full", 7)] {
        made(133, [address(name), 0o020_666, 1 << 8 | minor, 0, 0, 0]);
    }
    const FIXED: usize = 0x32;
    for (at, len) in
        [(ROOM, ROOM_LEN), (READ_ONLY, PAGE), (STRUCTURES, PAGE), (ARENA, ARENA_PAGES / 2 * PAGE)]
    {
        made(9, [at, len, 3, FIXED, usize::MAX, 0]);
    }
    for offset in 0..PAGE {
        // SAFETY: the page has just been mapped.
        unsafe { ((READ_ONLY + offset) as *mut u8).write(b'a' + (offset % 26) as u8) };
    }
    made(10, [READ_ONLY, PAGE, 1, 0, 0, 0]);
}

/// The name of a round's folder.
pub fn folder(round: u64) -> String {
    format!("round-{round}")
}

/// Gives up CAP_SYS_RESOURCE, which not everybody has who may run this.
fn without_resource_privilege() {
    const OTHERS: u32 = !(1 << 24);
    let (header, mut sets) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    made(125, [&raw const header as usize, &raw mut sets as usize, 0, 0, 0, 0]);
    for set in &mut sets[..2] {
        *set &= OTHERS;
    }
    made(126, [&raw const header as usize, &raw const sets as usize, 0, 0, 0, 0]);
}

/// Enters the round's own folder, limits, descriptors and handlers.
pub fn enter(round: u64, log: &Log) {
    made(109, [0; 6]);
    // No cores, files up to a mebibyte (so that no call is long), memory up to a gibibyte, half a minute of processor time.
    for (resource, limit) in [
        (0, 30),
        (1, 1 << 20),
        (2, 8 << 20),
        (3, 8 << 20),
        (4, 0),
        (7, 64),
        (8, 8 << 20),
        (9, 1 << 30),
        (11, 1000),
        (13, 0),
        (14, 0),
    ] {
        let pair: [u64; 2] = [limit, limit];
        made(160, [resource, &raw const pair as usize, 0, 0, 0, 0]);
    }
    without_resource_privilege();
    made(436, [0, usize::MAX >> 32, 0, 0, 0, 0]);
    descriptors(&CString::new(folder(round)).expect("no zero in it"));
    handlers(log);
}

const NOT_WAITING: usize = 0o4000;
const READ: usize = NOT_WAITING;
const WRITE: usize = NOT_WAITING | 1;
const BOTH: usize = NOT_WAITING | 2;
const CREATE: usize = 0o100;

fn opened(name: &CStr, flags: usize) -> usize {
    made(257, [HERE, address(name), flags, 0o644, 0, 0])
}

fn close(descriptor: usize) {
    made(3, [descriptor, 0, 0, 0, 0, 0]);
}

fn pair(number: usize, mut arguments: [usize; 6], at: usize) -> [usize; 2] {
    let mut two = [0_u32; 2];
    arguments[at] = &raw mut two as usize;
    made(number, arguments);
    two.map(|descriptor| descriptor as usize)
}

/// The name of a socket, as an address.
pub fn socket_address(name: &str) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[0] = 1;
    bytes[2..2 + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

fn socket(kind: usize) -> usize {
    made(41, [1, kind | NOT_WAITING, 0, 0, 0, 0])
}

fn bound(kind: usize, name: &str) -> usize {
    let (socket, bytes) = (socket(kind), socket_address(name));
    made(49, [socket, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]);
    socket
}

/// The descriptors of a round, from 0 on without gaps; the table of calls knows their numbers.
fn descriptors(folder: &CStr) {
    for device in [c"null", c"zero", c"full"] {
        opened(device, BOTH);
    }
    // The number is the first that is free, so what is closed below leaves no gap.
    // Terminals are opened to be read only: how much one takes before it is full differs.
    let master = opened(c"terminals/ptmx", READ | 0o400);
    let (mut number, unlocked) = (0_u32, 0_u32);
    made(16, [master, 0x4004_5431, &raw const unlocked as usize, 0, 0, 0]);
    made(16, [master, 0x8004_5430, &raw mut number as usize, 0, 0, 0]);
    let slave = CString::new(format!("terminals/{number}")).expect("no zero in it");
    opened(&slave, READ | 0o400);

    made(83, [address(folder), 0o755, 0, 0, 0, 0]);
    made(161, [address(folder), 0, 0, 0, 0, 0]);
    made(80, [address(c"/"), 0, 0, 0, 0, 0]);
    let file = opened(c"file", BOTH | CREATE);
    made(18, [file, address(c"abcdefghijklmnopqrstuvwxyz"), 26, 0, 0, 0]);
    opened(c"file", READ);
    opened(c"file", WRITE);
    opened(c"appended", BOTH | CREATE | 0o2000);
    for name in [c"folder", c"folder/inner", c"empty"] {
        made(83, [address(name), 0o755, 0, 0, 0, 0]);
    }
    opened(c"folder", READ);
    opened(c"file", 0o10_000_000);
    opened(c"folder", 0o10_000_000);
    made(133, [address(c"fifo"), 0o010_644, 0, 0, 0, 0]);
    opened(c"fifo", BOTH);
    for (target, name) in
        [(c"file", c"link"), (c"missing", c"dangling"), (c"loop", c"loop"), (c"folder", c"way")]
    {
        made(88, [address(target), address(name), 0, 0, 0, 0]);
    }
    pair(293, [0, NOT_WAITING, 0, 0, 0, 0], 0);
    let [_, writer] = pair(293, [0, NOT_WAITING, 0, 0, 0, 0], 0);
    close(writer);
    let [reader, writer] = pair(293, [0, NOT_WAITING, 0, 0, 0, 0], 0);
    made(292, [writer, reader, 0, 0, 0, 0]);
    close(writer);
    made(290, [0, NOT_WAITING, 0, 0, 0, 0]);
    made(290, [3, NOT_WAITING | 1, 0, 0, 0, 0]);
    made(291, [0; 6]);
    made(283, [1, NOT_WAITING, 0, 0, 0, 0]);
    let signals = 1_u64 << 9;
    made(289, [usize::MAX, &raw const signals as usize, 8, NOT_WAITING, 0, 0]);
    made(319, [address(c"memory"), 2, 0, 0, 0, 0]);
    for kind in [1, 2, 5] {
        pair(53, [1, kind | NOT_WAITING, 0, 0, 0, 0], 3);
    }
    let [_, gone] = pair(53, [1, 1 | NOT_WAITING, 0, 0, 0, 0], 3);
    close(gone);
    made(50, [bound(1, "server"), 2, 0, 0, 0, 0]);
    bound(2, "mailbox");
    socket(1);
    socket(2);
}

/// The signals that a round handles at the start; the others do what they do without.
pub const HANDLED: [usize; 12] = [1, 2, 10, 12, 13, 14, 15, 17, 18, 25, 28, 34];

fn handlers(log: &Log) {
    LOG.store(log.address(), Ordering::Relaxed);
    for signal in HANDLED {
        let mut words = [0_usize; 4];
        if ACTION[0].load(Ordering::Relaxed) == 0 {
            learn();
        }
        action(&mut words, 0);
        made(13, [signal, words.as_ptr() as usize, 0, 8, 0, 0]);
    }
}

/// Writes an action with the handler, more flags and no mask: handler, flags, restorer, mask.
pub fn action(words: &mut [usize; 4], flags: usize) {
    for (word, known) in words.iter_mut().zip(&ACTION) {
        *word = known.load(Ordering::Relaxed);
    }
    words[1] |= flags;
    words[3] = 0;
}

/// The C library knows how a handler returns: what it tells the kernel is asked back.
fn learn() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let wanted = SigAction::new(SigHandler::SigAction(arrived), SaFlags::SA_SIGINFO, SigSet::empty());
    // SAFETY: the handler only writes to the log.
    unsafe { sigaction(Signal::SIGUSR1, &wanted) }.expect("an action");
    let mut words = [0_usize; 4];
    made(13, [10, 0, words.as_mut_ptr() as usize, 8, 0, 0]);
    words.iter().zip(&ACTION).for_each(|(word, known)| known.store(*word, Ordering::Relaxed));
}

extern "C" fn arrived(number: c_int, information: *mut nix::libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel gives 128 bytes.
    let [code, value] = [8, 24].map(|at| unsafe { information.byte_add(at).cast::<i32>().read() });
    let tells_a_value = code == -1 || number == 17;
    let arguments = [number as usize, code as usize, if tells_a_value { value as usize } else { 0 }, 0, 0, 0];
    Log::at(LOG.load(Ordering::Relaxed)).add(Entry { call: SIGNAL, arguments, result: 0, written: 0 });
}
