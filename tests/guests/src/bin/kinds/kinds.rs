//! The kinds of descriptors, and the memory that calls on them are given.

use super::words::*;
use guests::call;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Open flags.
const READ: usize = 0o4000;
const WRITE: usize = 0o4001;
const BOTH: usize = 0o4002;
const APPEND: usize = 0o2000;
const CREATE: usize = 0o100;
const DIRECTORY: usize = 0o200_000;
const PATH: usize = 0o10_000_000;
const NO_FOLLOW: usize = 0o400_000;

/// Makes the files that the descriptors are for.
pub fn prepare() {
    // Whatever was left open by who started this.
    made(436, [3, usize::MAX >> 32, 0, 0, 0, 0]);
    fs::create_dir("/tmp/kinds").expect("a folder");
    // A file system on which there may be devices.
    mount(c"tmpfs", c"/tmp/kinds", c"mode=700");
    std::env::set_current_dir("/tmp/kinds").expect("a folder");
    fs::create_dir("folder").expect("a folder");
    std::os::unix::fs::symlink("missing", "symlink").expect("a link");
    make(c"fifo", 0o010_600, 0);
    // Terminals of this program's own, so that nobody else's are changed.
    fs::create_dir("terminals").expect("a folder");
    mount(c"devpts", c"terminals", c"mode=620,ptmxmode=666");
    for (name, minor) in
        [(c"null", 3), (c"zero", 5), (c"full", 7), (c"random", 8), (c"urandom", 9), (c"kmsg", 11)]
    {
        make(name, 0o020_600, 1 << 8 | minor);
    }
}

fn mount(kind: &CStr, at: &CStr, options: &CStr) {
    let kind = kind.as_ptr() as usize;
    made(165, [kind, at.as_ptr() as usize, kind, 0, options.as_ptr() as usize, 0]);
}

fn make(name: &CStr, mode: usize, device: usize) {
    // SAFETY: makes a node in a folder of this program's own.
    let result = unsafe { call(133, [name.as_ptr() as usize, mode, device, 0, 0, 0]) };
    assert_eq!(result, 0, "{name:?}");
}

/// Makes a call that gives a descriptor.
fn made(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: a new descriptor disturbs nobody.
    let result = unsafe { call(number, arguments) };
    assert!(result >= 0, "{number} {arguments:?}: {result}");
    result
}

fn opened(path: &CStr, flags: usize) -> isize {
    made(257, [HERE, path.as_ptr() as usize, flags, 0o600, 0, 0])
}

/// Makes a call that gives two descriptors.
fn two(number: usize, mut arguments: [usize; 6], at: usize) -> [isize; 2] {
    let mut pair = [0_i32; 2];
    arguments[at] = &raw mut pair as usize;
    made(number, arguments);
    pair.map(|number| number as isize)
}

/// A file with the alphabet in it.
fn alphabet(name: &CStr, flags: usize) -> isize {
    let path = Path::new("/tmp/kinds").join(name.to_str().expect("a name"));
    fs::write(&path, "abcdefghijklmnopqrstuvwxyz").expect("a file");
    opened(&CString::new(path.into_os_string().into_vec()).expect("a path"), flags)
}

fn listening(name: &[u8; 8]) -> isize {
    let socket = made(41, [1, 0o4001, 0, 0, 0, 0]);
    let mut address = [0_u8; 10];
    address[0] = 1;
    address[2..].copy_from_slice(name);
    let _ = fs::remove_file("server-");
    made(49, [socket as usize, address.as_ptr() as usize, 10, 0, 0, 0]);
    made(50, [socket as usize, 4, 0, 0, 0, 0]);
    socket
}

/// A descriptor of each kind. None of them waits.
pub fn open() -> Vec<(&'static str, isize)> {
    const NOT_WAITING: usize = 0o4000;
    let signals = 1_u64 << 9;
    let [reader, writer] = two(293, [0, NOT_WAITING, 0, 0, 0, 0], 0);
    let [lonely_reader, gone] = two(293, [0, NOT_WAITING, 0, 0, 0, 0], 0);
    made(3, [gone as usize, 0, 0, 0, 0, 0]);
    let [gone, lonely_writer] = two(293, [0, NOT_WAITING, 0, 0, 0, 0], 0);
    made(3, [gone as usize, 0, 0, 0, 0, 0]);
    let [stream, _] = two(53, [1, 1 | NOT_WAITING, 0, 0, 0, 0], 3);
    let [datagrams, _] = two(53, [1, 2 | NOT_WAITING, 0, 0, 0, 0], 3);
    let [packets, _] = two(53, [1, 5 | NOT_WAITING, 0, 0, 0, 0], 3);
    let [lonely, gone] = two(53, [1, 1 | NOT_WAITING, 0, 0, 0, 0], 3);
    made(3, [gone as usize, 0, 0, 0, 0, 0]);
    let master = opened(c"/tmp/kinds/terminals/ptmx", BOTH | 0o400);
    let unlocked = 0_i32;
    made(16, [master as usize, 0x4004_5431, &raw const unlocked as usize, 0, 0, 0]);
    let mut number = 0_i32;
    made(16, [master as usize, 0x8004_5430, &raw mut number as usize, 0, 0, 0]);
    let slave = CString::new(format!("/tmp/kinds/terminals/{number}")).expect("a path");
    let slave = opened(&slave, BOTH | 0o400);
    vec![
        ("closed", 99),
        ("none", -1),
        ("here", -100),
        ("file", alphabet(c"file", BOTH)),
        ("reading", alphabet(c"reading", READ)),
        ("writing", alphabet(c"writing", WRITE)),
        ("appending", alphabet(c"appending", BOTH | APPEND)),
        ("folder", opened(c"folder", READ | DIRECTORY)),
        ("place", opened(c"file", PATH)),
        ("place-folder", opened(c"folder", PATH)),
        ("place-link", opened(c"symlink", PATH | NO_FOLLOW)),
        ("fifo", opened(c"fifo", BOTH)),
        ("reader", reader),
        ("writer", writer),
        ("lonely-reader", lonely_reader),
        ("lonely-writer", lonely_writer),
        ("event", made(290, [3, NOT_WAITING, 0, 0, 0, 0])),
        ("epoll", made(291, [0; 6])),
        ("timer", made(283, [1, NOT_WAITING, 0, 0, 0, 0])),
        ("signals", made(289, [NONE, &raw const signals as usize, 8, NOT_WAITING, 0, 0])),
        ("memory", made(319, [c"memory".as_ptr() as usize, 2, 0, 0, 0, 0])),
        ("master", master),
        ("slave", slave),
        ("null", opened(c"null", BOTH)),
        ("zero", opened(c"zero", BOTH)),
        ("full", opened(c"full", BOTH)),
        ("random", opened(c"random", READ)),
        ("urandom", opened(c"urandom", READ)),
        ("kmsg", opened(c"kmsg", READ)),
        ("stream", stream),
        ("datagrams", datagrams),
        ("packets", packets),
        ("lonely", lonely),
        ("listening", listening(b"server-\0")),
        ("unconnected", made(41, [1, 1 | NOT_WAITING, 0, 0, 0, 0])),
        ("loose-datagrams", made(41, [1, 2 | NOT_WAITING, 0, 0, 0, 0])),
        ("proc-status", opened(c"/proc/self/status", READ)),
        ("proc-comm", opened(c"/proc/self/comm", BOTH)),
        ("proc-folder", opened(c"/proc/self", READ | DIRECTORY)),
        ("proc-fd", opened(c"/proc/self/fd", READ | DIRECTORY)),
    ]
}

/// Memory and further descriptors for the calls.
pub struct Scratch {
    out: Vec<u8>,
    zero: Vec<u8>,
    one: [u64; 4],
    offset: u64,
    length: u32,
    segments: [[usize; 2]; 2],
    locks: [[u64; 4]; 3],
    owner: [i32; 2],
    events: [[u32; 3]; 2],
    polled: [u64; 2],
    addresses: [[u8; 10]; 2],
    message: [usize; 8],
}

impl Scratch {
    /// Room.
    pub fn new() -> Box<Self> {
        Box::new(Self {
            out: vec![0; 8192],
            zero: vec![0; 4096],
            one: [1, 0, 0, 0],
            offset: 0,
            length: 0,
            segments: [[0; 2]; 2],
            locks: [[0, 0, 10, 0], [1, 0, 10, 0], [2, 0, 10, 0]],
            owner: [0; 2],
            events: [[1, 0, 0], [1 | 1 << 28, 0, 0]],
            polled: [0; 2],
            addresses: [[0; 10]; 2],
            message: [0; 8],
        })
    }

    /// Everything as at the start, and lets the words stand for it.
    pub fn fill(&mut self, descriptor: isize, meanings: &mut Meanings) {
        self.out.fill(0);
        self.zero.fill(0);
        (self.one, self.offset, self.length) = ([1, 0, 0, 0], 0, 64);
        let out = self.out.as_mut_ptr() as usize;
        self.segments = [[out, 16], [out, 0]];
        let process = std::process::id() as usize;
        self.owner = [1, process as i32];
        self.locks = [[0, 0, 10, 0], [1, 0, 10, 0], [2, 0, 10, 0]];
        let number = u64::from(descriptor as i32 as u32);
        self.polled = [number | 5 << 32, number | 0x3fff << 32];
        self.addresses = [*b"\x01\0nobody\0\0", *b"\x02\0nobody\0\0"];
        self.message = [0, 0, &raw const self.segments as usize, 1, 0, 0, 0, 0];
        let [filled, source] = two(293, [0, READ, 0, 0, 0, 0], 0);
        made(1, [source as usize, self.zero.as_ptr() as usize, 100, 0, 0, 0]);
        let [pipe, writer] = two(293, [0, READ, 0, 0, 0, 0], 0);
        let [_, sink] = two(293, [0, READ, 0, 0, 0, 0], 0);
        for (word, value) in [
            (REGULAR, alphabet(c"regular", BOTH) as usize),
            (SECOND, opened(c"/tmp/kinds/second", BOTH | CREATE) as usize),
            (EPOLL, made(291, [0; 6]) as usize),
            (PIPE, pipe as usize),
            (PIPE_WRITER, writer as usize),
            (FILLED, filled as usize),
            (SINK, sink as usize),
            (OUT, out),
            (ZERO, self.zero.as_ptr() as usize),
            (ONE, &raw const self.one as usize),
            (OFFSET, &raw const self.offset as usize),
            (SEGMENT, &raw const self.segments[0] as usize),
            (EMPTY_SEGMENT, &raw const self.segments[1] as usize),
            (READ_LOCK, &raw const self.locks[0] as usize),
            (WRITE_LOCK, &raw const self.locks[1] as usize),
            (NO_LOCK, &raw const self.locks[2] as usize),
            (OWNER, &raw const self.owner as usize),
            (PID, process),
            (EVENT, &raw const self.events[0] as usize),
            (EXCLUSIVE, &raw const self.events[1] as usize),
            (POLLED, &raw const self.polled[0] as usize),
            (POLLED_FOR_ALL, &raw const self.polled[1] as usize),
            (ADDRESS, &raw const self.addresses[0] as usize),
            (OTHER_FAMILY, &raw const self.addresses[1] as usize),
            (LENGTH, &raw const self.length as usize),
            (MESSAGE, &raw const self.message as usize),
            (NAME, c"name".as_ptr() as usize),
            (LINKED, c"linked".as_ptr() as usize),
            (NOTHING, c"".as_ptr() as usize),
            (DOT, c".".as_ptr() as usize),
            (ATTRIBUTE, c"user.kind".as_ptr() as usize),
            (TRUSTED, c"trusted.kind".as_ptr() as usize),
        ] {
            meanings.set(word, value);
        }
    }

    /// What poll said of the descriptor.
    pub fn polled(&self) -> isize {
        self.polled.iter().map(|polled| (polled >> 48) as isize).fold(0, |all, one| all | one)
    }
}

/// Which flags of mounts are told: whoever mounted /proc chose the others.
const HOW_MOUNTED: u64 = !0xe;

/// What is told of every kind besides results.
pub const FACTS: &[&str] = &["fstat", "fstatfs", "link", "fdinfo"];

/// Tells of every kind.
pub fn show(fact: &str) {
    let mut scratch = [0_u64; 64];
    for (kind, descriptor) in open() {
        let at = [descriptor as usize, scratch.as_mut_ptr() as usize, 0, 0, 0, 0];
        let [number, told] = match fact {
            "fstat" => [5, 1],
            "fstatfs" => [138, 1],
            _ => [0, 0],
        };
        // SAFETY: the calls write to `scratch`, which has room for their results.
        if told == 1 && unsafe { call(number, at) } < 0 {
            continue;
        }
        let text = match fact {
            "fstat" => {
                let (links, mode, owner) = (scratch[2], scratch[3] as u32, scratch[3] >> 32);
                let (device, size, block, blocks) = (scratch[5], scratch[6], scratch[7], scratch[8]);
                let size = if mode & 0o170_000 == 0o040_000 { 0 } else { size };
                let device = if kind == "slave" { device & !0xff } else { device };
                let links = if kind.starts_with("proc-") { 0 } else { links };
                format!(
                    "links {links} mode {mode:o} owner {owner} device {device:x} size {size} block {block} blocks {blocks}"
                )
            }
            "fstatfs" => format!(
                "type {:x} block {} name {} flags {:x}",
                scratch[0],
                scratch[1],
                scratch[8],
                scratch[10] & HOW_MOUNTED
            ),
            "link" => fs::read_link(format!("/proc/self/fd/{descriptor}"))
                .map_or_else(|error| error.to_string(), |path| without_digits(&path.to_string_lossy())),
            _ => fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).map_or_else(
                |error| error.to_string(),
                |text| {
                    let kept =
                        text.lines().filter(|line| line.starts_with("pos") || line.starts_with("flags"));
                    kept.collect::<Vec<_>>().join(" ")
                },
            ),
        };
        println!("{fact} of {kind}: {text}");
    }
}

/// Numbers differ from machine to machine.
fn without_digits(text: &str) -> String {
    let mut kept: Vec<char> =
        text.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }).collect();
    kept.dedup_by(|left, right| (*left, *right) == ('#', '#'));
    kept.into_iter().collect()
}
