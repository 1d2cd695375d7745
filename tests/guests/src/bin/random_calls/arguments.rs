//! The arguments of a call, by chance: mostly of the right kind, now and then hostile.

use crate::chance::Chance;
use crate::round::Processes;
use crate::surroundings::{
    self, ARENA, ARENA_PAGES, PAGE, READ_ONLY, ROOM, ROOM_LEN, STRUCTURES, socket_address,
};
use crate::table::CALLS;

/// What an argument is.
#[derive(Clone, Copy)]
pub enum Argument {
    /// A descriptor, of whatever kind.
    Descriptor,
    /// Mostly one of these descriptors.
    Prefer(&'static [usize]),
    /// Memory for a result.
    Room,
    /// Memory to read from.
    Bytes,
    /// The same, all of it within one page: how much a stream takes before it sees what is wrong differs.
    Text,
    /// A number of bytes.
    Length,
    /// A position in a file.
    Offset,
    /// The name of a file.
    Name,
    /// One of these.
    One(&'static [usize]),
    /// Some of these flags, rarely one that nobody knows.
    Flags(&'static [usize]),
    /// These flags and some of those.
    With(usize, &'static [usize]),
    /// A page of the arena, rarely between pages or elsewhere.
    Page,
    /// A number of bytes, mostly whole pages.
    Pages,
    /// The end of the heap.
    Heap,
    /// A structure of the words given, each by chance.
    Structure(&'static [&'static [u64]]),
    /// A structure that says how long to wait: without one the call would wait for ever.
    Time(&'static [&'static [u64]]),
    /// A structure or none.
    Maybe(&'static [&'static [u64]]),
    /// Segments of memory to read from, and to write to.
    Sources,
    Rooms,
    /// A process: this one, a child, none.
    Process,
    /// This process or none: of one that ended nothing is left but what its parent waits for.
    Own,
    /// A signal's action.
    Action,
    /// Descriptors to poll.
    Polled,
    /// A set of descriptors.
    Set,
    /// The address of a socket.
    Address,
    /// A message to send, and to receive.
    Message,
    Received,
}

/// What is hostile wherever it stands.
const WILD: &[usize] = &[
    0,
    1,
    0x7fff_ffff_ffff,
    1 << 47,
    0xffff_8000_0000_0000,
    usize::MAX - 7,
    usize::MAX,
    ROOM + ROOM_LEN,
    READ_ONLY + PAGE - 2,
];
const NO_DESCRIPTORS: &[usize] =
    &[usize::MAX, 100_usize.wrapping_neg(), 63, 64, 999, 1 << 31, 1 << 32, i32::MAX as usize];
const LENGTHS: &[usize] = &[0, 1, 2, 4, 7, 8, 9, 16, 64, 128, 255, 1000, 4095, 4096, 4097, 8192];
/// No memory and no file has as many: what a part of it would do differs.
const HUGE: &[usize] = &[usize::MAX, 1 << 63, (1 << 63) - 1, 1 << 47];
const OFFSETS: &[usize] = &[0, 1, 5, 26, 100, 4095, 4096, 8192, 100_000];
const FAR: &[usize] = &[
    usize::MAX,
    1 << 63,
    i64::MAX as usize,
    (i64::MAX - 4096) as usize,
    1 << 20,
    1 << 40,
    2_usize.wrapping_neg(),
];
const NAMES: &[&str] = &[
    "file",
    "file",
    "appended",
    "folder",
    "folder/inner",
    "folder/inner/deep",
    "empty",
    "fifo",
    "link",
    "dangling",
    "loop",
    "way",
    "way/inner",
    "way/new",
    "server",
    "mailbox",
    "missing",
    "new",
    "new",
    "new/below",
    "other",
    "folder/new",
    "",
    ".",
    "..",
    "/",
    "//",
    "/file",
    "folder/",
    "folder/.",
    "folder/..",
    "file/",
    "file/x",
    "link/",
    "dangling/",
    "new/",
    "loop/x",
    "fifo/",
    "./file",
    "folder//inner",
    "missing/../file",
];

/// The choices of a round. Most rounds keep to a few calls, descriptors and names, so that one call meets what another did.
pub struct Arguments {
    chance: Chance,
    calls: Vec<usize>,
    descriptors: Vec<usize>,
    names: Vec<&'static str>,
    /// Where the next structure goes.
    next: usize,
}

impl Arguments {
    /// The choices of this round.
    pub fn new(round: u64) -> Self {
        let mut chance = Chance::new(round);
        let mut few = |of: usize, count: usize| -> Vec<usize> {
            if chance.one_in(3) { (0..of).collect() } else { (0..count).map(|_| chance.below(of)).collect() }
        };
        let (calls, descriptors) = (few(CALLS.len(), 12), few(40, 6));
        let names = few(NAMES.len(), 6).into_iter().map(|at| NAMES[at]).collect();
        Self { chance, calls, descriptors, names, next: STRUCTURES }
    }

    /// The next call, as an index in the table, and its arguments.
    pub fn next(&mut self, processes: &Processes) -> (usize, [usize; 6]) {
        self.next = STRUCTURES;
        let at = self.chance.one_of(&self.calls);
        let mut arguments = [0; 6];
        for (value, argument) in arguments.iter_mut().zip(CALLS[at].arguments) {
            *value = self.argument(*argument, processes);
        }
        (at, arguments)
    }

    fn argument(&mut self, argument: Argument, processes: &Processes) -> usize {
        match argument {
            Argument::Descriptor => self.descriptor(),
            Argument::Prefer(known) if !self.chance.one_in(4) => self.chance.one_of(known),
            Argument::Prefer(_) => self.descriptor(),
            Argument::Room => self.address(ROOM),
            Argument::Bytes if self.chance.one_in(6) => ARENA + self.chance.below(ARENA_PAGES) * PAGE,
            Argument::Bytes => self.address(READ_ONLY),
            Argument::Text => self.address(READ_ONLY),
            Argument::Length => self.of(LENGTHS, HUGE),
            Argument::Offset => self.of(OFFSETS, FAR),
            Argument::Name => self.name(),
            Argument::One(choices) => self.chance.one_of(choices),
            Argument::Flags(flags) => self.flags(0, flags),
            Argument::With(always, flags) => self.flags(always, flags),
            Argument::Page => self.page(),
            Argument::Pages => match self.chance.below(12) {
                0 => self.chance.one_of(HUGE),
                1 => self.chance.one_of(&[0, 1, 100, PAGE + 1]),
                _ => (1 + self.chance.below(6)) * PAGE,
            },
            Argument::Heap => self.chance.one_of(&[0, 1, 1 << 46, 1 << 47, usize::MAX]),
            Argument::Structure(fields) => self.structure(fields),
            Argument::Time(fields) => self.structure(fields).max(1),
            Argument::Maybe(fields) => {
                if self.chance.one_in(3) {
                    0
                } else {
                    self.structure(fields)
                }
            }
            Argument::Sources => self.segments(READ_ONLY, PAGE),
            Argument::Rooms => self.segments(ROOM, ROOM_LEN),
            Argument::Process => {
                let child = processes.children[self.chance.below(4)];
                self.chance.one_of(&[processes.own, 0, child, child, 0x7fff_ffff, i32::MIN as usize])
            }
            Argument::Own => {
                self.chance.one_of(&[processes.own, processes.own, 0, 0x7fff_ffff, i32::MIN as usize])
            }
            Argument::Action => self.action(),
            Argument::Polled => self.polled(),
            Argument::Set => {
                let bits = self.chance.next() as u64 & self.chance.next() as u64;
                if self.chance.one_in(3) { 0 } else { self.place(&[bits & 0xffff_ffff_ffff, 0]) }
            }
            Argument::Address => self.socket_address(),
            Argument::Message => self.message(READ_ONLY),
            Argument::Received => self.message(ROOM),
        }
    }

    /// One of the usual, rarely one of the hostile.
    fn of(&mut self, usual: &[usize], hostile: &[usize]) -> usize {
        let choices = if self.chance.one_in(8) { hostile } else { usual };
        self.chance.one_of(choices)
    }

    fn descriptor(&mut self) -> usize {
        if self.chance.one_in(16) {
            self.chance.one_of(NO_DESCRIPTORS)
        } else {
            self.chance.one_of(&self.descriptors)
        }
    }

    fn address(&mut self, usual: usize) -> usize {
        if self.chance.one_in(8) { self.chance.one_of(WILD) } else { usual }
    }

    fn flags(&mut self, always: usize, flags: &[usize]) -> usize {
        let mut chosen = always;
        for flag in flags {
            if self.chance.one_in(3) {
                chosen |= flag;
            }
        }
        chosen
    }

    fn page(&mut self) -> usize {
        match self.chance.below(16) {
            0 => self.chance.one_of(&[0, 1 << 47, usize::MAX & !4095, ARENA + 1, ARENA + 2048]),
            _ => ARENA + self.chance.below(ARENA_PAGES) * PAGE,
        }
    }

    /// Puts words where calls read them.
    fn place(&mut self, words: &[u64]) -> usize {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let at = self.place_bytes(&bytes);
        self.address(at)
    }

    fn place_bytes(&mut self, bytes: &[u8]) -> usize {
        let at = self.next;
        assert!(at + bytes.len() <= STRUCTURES + PAGE);
        for (offset, byte) in bytes.iter().enumerate() {
            // SAFETY: the page is there for this and stays mapped; the assertion says that it has room.
            unsafe { ((at + offset) as *mut u8).write(*byte) };
        }
        self.next = (at + bytes.len()).next_multiple_of(8);
        at
    }

    fn structure(&mut self, fields: &[&[u64]]) -> usize {
        let mut words = [0; 16];
        for (word, choices) in words.iter_mut().zip(fields) {
            *word = self.chance.one_of(choices);
        }
        self.place(&words[..fields.len()])
    }

    fn name(&mut self) -> usize {
        match self.chance.below(24) {
            0 => self.chance.one_of(WILD),
            1 => {
                let len = self.chance.one_of(&[255, 256]);
                self.place_bytes(&[&vec![b'n'; len][..], b"\0"].concat())
            }
            _ => {
                let name = self.chance.one_of(&self.names);
                self.place_bytes(&[name.as_bytes(), b"\0"].concat())
            }
        }
    }

    fn segments(&mut self, memory: usize, len: usize) -> usize {
        let mut words = Vec::new();
        for part in 0..3 {
            let base = self.address(memory + part * len / 4);
            words.extend([base as u64, self.chance.one_of(&[0, 1, 5, 100, 1000])]);
        }
        if self.chance.one_in(8) {
            words[3] = self.chance.one_of(HUGE) as u64;
        }
        self.place(&words)
    }

    /// No action, the usual, the handler with flags, or what it should be left alone with.
    fn action(&mut self) -> usize {
        const FLAGS: &[usize] = &[0x1000_0000, 0x4000_0000, 0x8000_0000, 1, 2, 0x0400_0000, 0x400];
        let mut words = [0; 4];
        match self.chance.below(6) {
            0 => return 0,
            1 => words[0] = 0,
            2 => words[0] = 1,
            _ => {
                let flags = self.flags(0, FLAGS);
                surroundings::action(&mut words, flags);
                words[3] = self.chance.next() & self.chance.next() & 0xffff_ffff;
            }
        }
        self.place(&words.map(|word| word as u64))
    }

    fn polled(&mut self) -> usize {
        let mut words = [0; 3];
        for word in &mut words {
            let events = self.chance.one_of(&[0, 1, 4, 5, 0x41, 0x2000, 0x7fff]) as u64;
            *word = u64::from(self.descriptor() as u32) | events << 32;
        }
        self.place(&words)
    }

    fn socket_address(&mut self) -> usize {
        let name = self.chance.one_of(&["server", "mailbox", "missing", "file", "new", "folder"]);
        let mut bytes = socket_address(name);
        if self.chance.one_in(8) {
            bytes[0] = self.chance.one_of(&[0, 2, 99]);
        }
        let at = self.place_bytes(&bytes);
        self.address(at)
    }

    /// Address, segments, control data (a descriptor to send, or room for some), flags.
    fn message(&mut self, memory: usize) -> usize {
        let descriptor = self.descriptor() as u32;
        let control = [20_u32, 0, 1, 1, descriptor, 0].map(u32::to_le_bytes).concat();
        let control = self.place_bytes(&control);
        let name = if self.chance.one_in(3) { self.socket_address() } else { 0 };
        let segments = self.segments(memory, PAGE);
        let control_len = self.chance.one_of(&[0, 0, 20, 24, 16, 3]);
        let control = if control_len == 0 { 0 } else { self.address(control) };
        let count = self.chance.one_of(&[0, 1, 1, 2, 3, 1025]);
        let name_len = self.chance.one_of(&[10, 10, 2, 0, 200]);
        let words = [name, name_len, segments, count, control, control_len, 0, 0];
        self.place(&words.map(|word| word as u64))
    }
}
