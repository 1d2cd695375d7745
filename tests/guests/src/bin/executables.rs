//! Executables that are none, or whose headers say what cannot be: each is run, and either execve refuses it or it ends as on
//! Linux. The one they are made from exits with 42.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// Where fields of the file header lie (elf(5)).
const CLASS: usize = 4;
const DATA: usize = 5;
const IDENT_VERSION: usize = 6;
const TYPE: usize = 16;
const MACHINE: usize = 18;
const VERSION: usize = 20;
const ENTRY: usize = 24;
const TABLE: usize = 32;
const ENTRY_LEN: usize = 54;
const COUNT: usize = 56;

/// Fields of a program header.
const KIND: usize = 0;
const FLAGS: usize = 4;
const OFFSET: usize = 8;
const ADDRESS: usize = 16;
const FILE_LEN: usize = 32;
const MEMORY_LEN: usize = 40;
const ALIGNMENT: usize = 48;

const HEADER_LEN: usize = 64;
const SEGMENT_LEN: usize = 56;
const BASE: u64 = 0x40_0000;

const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;
const STACK: u32 = 0x6474_e551;

/// mov edi, 42; mov eax, 60; syscall
const CODE: [u8; 12] = [0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

struct File(Vec<u8>);

impl File {
    /// A program with `segments` headers, of which the first loads the file and the rest are null.
    fn new(segments: usize) -> Self {
        let code = HEADER_LEN + segments * SEGMENT_LEN;
        let mut file = Self(vec![0; code]);
        file.0.extend_from_slice(&CODE);
        let len = file.0.len() as u64;
        file.0[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file.put(TYPE, 2_u16.to_le_bytes())
            .put(MACHINE, 62_u16.to_le_bytes())
            .put(VERSION, 1_u32.to_le_bytes());
        file.put(ENTRY, (BASE + code as u64).to_le_bytes()).put(TABLE, (HEADER_LEN as u64).to_le_bytes());
        file.put(52, (HEADER_LEN as u16).to_le_bytes()).put(ENTRY_LEN, (SEGMENT_LEN as u16).to_le_bytes());
        file.put(COUNT, (segments as u16).to_le_bytes());
        file.segment(0, LOAD, 5, 0, BASE, len, len);
        file
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> &mut Self {
        self.0[at..at + N].copy_from_slice(&bytes);
        self
    }

    /// A field of a program header, of eight bytes.
    fn word(&mut self, segment: usize, field: usize, value: u64) -> &mut Self {
        self.put(HEADER_LEN + segment * SEGMENT_LEN + field, value.to_le_bytes())
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a program header")]
    fn segment(
        &mut self,
        number: usize,
        kind: u32,
        flags: u32,
        offset: u64,
        address: u64,
        file_len: u64,
        memory_len: u64,
    ) -> &mut Self {
        let at = HEADER_LEN + number * SEGMENT_LEN;
        self.put(at + KIND, kind.to_le_bytes()).put(at + FLAGS, flags.to_le_bytes());
        self.word(number, OFFSET, offset).word(number, ADDRESS, address).word(number, FILE_LEN, file_len);
        self.word(number, MEMORY_LEN, memory_len).word(number, ALIGNMENT, 4096)
    }

    /// An interpreter's path, at the end of the file.
    fn interpreter(&mut self, path: &[u8], len: u64) -> &mut Self {
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(path);
        self.segment(1, INTERPRETER, 4, offset, 0, len, len)
    }
}

type Change = fn(&mut File) -> &mut File;

/// Changes to a program with two program headers.
const CHANGES: &[(&str, Change)] = &[
    ("as it is", |file| file),
    ("wrong magic", |file| file.put(0, [0])),
    ("32 bits", |file| file.put(CLASS, [1])),
    ("class 0", |file| file.put(CLASS, [0])),
    ("big-endian", |file| file.put(DATA, [2])),
    ("version 0 in the identity", |file| file.put(IDENT_VERSION, [0])),
    ("version 0", |file| file.put(VERSION, [0; 4])),
    ("relocatable", |file| file.put(TYPE, [1, 0])),
    ("core", |file| file.put(TYPE, [4, 0])),
    ("shared", |file| file.put(TYPE, [3, 0])),
    ("no machine", |file| file.put(MACHINE, [0, 0])),
    ("another machine", |file| file.put(MACHINE, [183, 0])),
    ("no headers", |file| file.put(COUNT, [0, 0])),
    ("headers without end", |file| file.put(COUNT, [0xff, 0xff])),
    ("a thousand headers", |file| file.put(COUNT, [0xe8, 3])),
    ("short headers", |file| file.put(ENTRY_LEN, [55, 0])),
    ("long headers", |file| file.put(ENTRY_LEN, [57, 0])),
    ("headers behind the end", |file| file.put(TABLE, 0x10_0000_u64.to_le_bytes())),
    ("headers near 2^63", |file| file.put(TABLE, (u64::MAX / 2 - 8).to_le_bytes())),
    ("headers near 2^64", |file| file.put(TABLE, (u64::MAX - 8).to_le_bytes())),
    ("no segment", |file| file.put(HEADER_LEN, [0])),
    ("entry 0", |file| file.put(ENTRY, [0; 8])),
    ("entry in the kernel", |file| file.put(ENTRY, 0xffff_ffff_8000_0000_u64.to_le_bytes())),
    ("entry in the hole", |file| file.put(ENTRY, 0x8000_0000_0000_u64.to_le_bytes())),
    ("entry outside", |file| file.put(ENTRY, 0x50_0000_u64.to_le_bytes())),
    ("not executable", |file| file.put(HEADER_LEN + FLAGS, [4])),
    ("no rights", |file| file.put(HEADER_LEN + FLAGS, [0])),
    ("writable", |file| file.put(HEADER_LEN + FLAGS, [7])),
    ("more in the file than in memory", |file| file.word(0, MEMORY_LEN, 10)),
    ("nothing in the file", |file| file.word(0, FILE_LEN, 0)),
    ("file length near 2^64", |file| file.word(0, FILE_LEN, u64::MAX).word(0, MEMORY_LEN, u64::MAX)),
    ("memory length near 2^63", |file| file.word(0, MEMORY_LEN, u64::MAX / 2)),
    ("memory length near 2^64", |file| file.word(0, MEMORY_LEN, u64::MAX)),
    ("all of user memory", |file| file.word(0, MEMORY_LEN, 0x7fff_ffbf_f000)),
    ("one page too many", |file| file.word(0, MEMORY_LEN, 0x7fff_ffc0_0000)),
    ("offset behind the end", |file| file.word(0, OFFSET, 0x10_0000)),
    ("offset near 2^63", |file| file.word(0, OFFSET, u64::MAX / 2 - 0xfff)),
    ("crooked offset", |file| file.word(0, OFFSET, 1)),
    ("crooked address", |file| file.word(0, ADDRESS, BASE + 8)),
    ("address 0", |file| file.word(0, ADDRESS, 0).put(ENTRY, 176_u64.to_le_bytes())),
    ("address in the kernel", |file| file.word(0, ADDRESS, 0xffff_8000_0000_0000)),
    ("address in the hole", |file| file.word(0, ADDRESS, 0x8000_0000_0000)),
    ("last page of user memory", |file| file.word(0, ADDRESS, 0x7fff_ffff_e000)),
    ("alignment 3", |file| file.word(0, ALIGNMENT, 3)),
    ("alignment 2^63", |file| file.word(0, ALIGNMENT, 1 << 63)),
    ("shared, alignment 2 MiB", |file| file.put(TYPE, [3, 0]).word(0, ALIGNMENT, 1 << 21)),
    ("a hundred mebibytes of zeroes", |file| file.segment(1, LOAD, 6, 0, 0x1000_0000, 0, 100 << 20)),
    ("the same segment twice", |file| file.segment(1, LOAD, 5, 0, BASE, 100, 100)),
    ("a second segment in the kernel", |file| file.segment(1, LOAD, 5, 0, 0xffff_ffff_8000_0000, 100, 100)),
    ("the second segment below the first", |file| file.segment(1, LOAD, 4, 0, 0x20_0000, 100, 100)),
    ("an interpreter that is missing", |file| file.interpreter(b"/missing\0", 9)),
    ("an interpreter without a name", |file| file.interpreter(b"\0", 1)),
    ("an interpreter without a length", |file| file.interpreter(b"", 0)),
    ("an interpreter of one letter", |file| file.interpreter(b"/\0", 2)),
    ("an interpreter without an end", |file| file.interpreter(b"/bin/busybox", 12)),
    ("an interpreter behind the end", |file| file.interpreter(b"/bin", 4000)),
    ("an interpreter too long", |file| file.interpreter(&[b'x'; 5000], 5000)),
    ("an interpreter that is a folder", |file| file.interpreter(b"/tmp\0", 5)),
    ("an interpreter that is no program", |file| file.interpreter(b"/etc/text\0", 10)),
    ("an interpreter that is empty", |file| file.interpreter(b"/etc/empty\0", 11)),
    ("an interpreter that cannot be run", |file| file.interpreter(b"/etc/plain\0", 11)),
    ("an interpreter that has one itself", |file| file.interpreter(b"/tmp/program\0", 13)),
    ("an executable stack", |file| file.segment(1, STACK, 7, 0, 0, 0, 0)),
    ("a stack without rights", |file| file.segment(1, STACK, 0, 0, 0, 0, 0)),
];

fn main() -> io::Result<()> {
    for (name, content, mode) in [
        ("/etc/text", &b"neither a program nor a script\n"[..], 0o755),
        ("/etc/empty", b"", 0o755),
        ("/etc/plain", b"", 0o644),
    ] {
        fs::write(name, content)?;
        fs::set_permissions(name, fs::Permissions::from_mode(mode))?;
    }
    for (name, change) in CHANGES {
        let mut file = File::new(2);
        change(&mut file);
        println!("{name}: {}", run(&file.0)?);
    }
    let whole = File::new(1).0;
    for len in [1, 3, 4, 16, 63, 64, 100, 120, whole.len() - 12, whole.len() - 1] {
        println!("cut to {len} bytes: {}", run(&whole[..len])?);
    }
    let mut large = whole.clone();
    large.resize(100_000, 0xcc);
    println!("followed by others: {}", run(&large)?);
    Ok(())
}

/// Runs a file with these bytes and says how that ends.
fn run(content: &[u8]) -> io::Result<String> {
    const NAME: &str = "/tmp/program";
    fs::write(NAME, content)?;
    fs::set_permissions(NAME, fs::Permissions::from_mode(0o755))?;
    let status = Command::new(NAME).stdin(Stdio::null()).status();
    fs::remove_file(NAME)?;
    Ok(match status {
        Ok(status) => format!("code {:?}, signal {:?}", status.code(), status.signal()),
        Err(error) => format!("refused with {:?}", error.raw_os_error()),
    })
}
