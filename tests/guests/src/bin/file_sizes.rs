//! RLIMIT_FSIZE: everything that makes a file longer than that is refused, with SIGXFSZ; what fits is done.

use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::fs::{
    CWD, FallocateFlags, Mode, OFlags, SeekFrom, copy_file_range, fallocate, fstat, ftruncate, openat, seek,
    sendfile,
};
use rustix::io::{Errno, pwrite, write};
use rustix::pipe::{SpliceFlags, pipe, splice};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::os::fd::OwnedFd;

const LIMIT: u64 = 10_000;
const SOURCE: &str = "/tmp/sizes-source";
const FILE: &str = "/tmp/sizes";

type Growth = fn(&OwnedFd) -> Result<u64, Errno>;

fn nothing(result: Result<(), Errno>) -> Result<u64, Errno> {
    result.map(|()| 0)
}

fn bytes(result: Result<usize, Errno>) -> Result<u64, Errno> {
    result.map(|count| count as u64)
}

fn source() -> OwnedFd {
    openat(CWD, SOURCE, OFlags::RDONLY, Mode::empty()).expect("the source")
}

const GROWTHS: &[(&str, Growth)] = &[
    ("write of what fits", |file| bytes(write(file, &[1; 9_000]))),
    ("write of more", |file| bytes(write(file, &[1; 20_000]))),
    ("write at the limit", |file| seek(file, SeekFrom::Start(LIMIT)).and_then(|_| bytes(write(file, b"x")))),
    ("write of nothing at the limit", |file| {
        seek(file, SeekFrom::Start(LIMIT)).and_then(|_| bytes(write(file, b"")))
    }),
    ("pwrite across", |file| bytes(pwrite(file, &[1; 100], LIMIT - 10))),
    ("pwrite beyond", |file| bytes(pwrite(file, b"x", LIMIT * 2))),
    ("ftruncate to the limit", |file| nothing(ftruncate(file, LIMIT))),
    ("ftruncate beyond", |file| nothing(ftruncate(file, LIMIT + 1))),
    ("fallocate to the limit", |file| nothing(fallocate(file, FallocateFlags::empty(), 0, LIMIT))),
    ("fallocate beyond", |file| nothing(fallocate(file, FallocateFlags::empty(), LIMIT, 1))),
    ("fallocate beyond the end", |file| nothing(fallocate(file, FallocateFlags::KEEP_SIZE, LIMIT, 1))),
    ("hole beyond", |file| {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        nothing(fallocate(file, how, LIMIT, 100))
    }),
    ("truncate beyond", |_| {
        let file = openat(CWD, FILE, OFlags::WRONLY, Mode::empty())?;
        nothing(ftruncate(&file, LIMIT + 1))
    }),
    ("sendfile", |file| bytes(sendfile(file, source(), None, 20_000))),
    ("sendfile at the limit", |file| {
        seek(file, SeekFrom::Start(LIMIT)).and_then(|_| bytes(sendfile(file, source(), None, 20_000)))
    }),
    ("copy_file_range", |file| bytes(copy_file_range(source(), None, file, None, 20_000))),
    ("copy_file_range beyond", |file| {
        let mut at = LIMIT;
        bytes(copy_file_range(source(), None, file, Some(&mut at), 100))
    }),
    ("splice beyond", |file| {
        let (reader, writer) = pipe()?;
        write(&writer, b"bytes")?;
        let mut at = LIMIT;
        bytes(splice(&reader, None, file, Some(&mut at), 5, SpliceFlags::empty()))
    }),
];

fn main() {
    std::fs::write(SOURCE, [7; 30_000]).expect("the source");
    for (name, growth) in GROWTHS {
        for is_ignored in [true, false] {
            let file =
                openat(CWD, FILE, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC, Mode::RUSR | Mode::WUSR);
            let file = file.expect("a file");
            let status = guests::in_a_child(|| {
                if is_ignored {
                    ignore();
                }
                let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
                setrlimit(Resource::Fsize, limit).expect("a limit");

                println!("{name}: {:?}", growth(&file));
            });
            let size = fstat(&file).expect("a file").st_size;
            println!(
                "  {}: status {:#x}, {size} bytes",
                if is_ignored { "ignored" } else { "heeded" },
                status & 0x7f
            );
        }
    }
    append();
}

#[expect(unsafe_code, reason = "the handler is none")]
fn ignore() {
    // SAFETY: no handler runs.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.expect("a signal");
}

/// A file that is longer than the limit already is neither cut nor lengthened.
fn append() {
    let file =
        openat(CWD, FILE, OFlags::RDWR | OFlags::TRUNC | OFlags::APPEND, Mode::empty()).expect("a file");
    write(&file, &[1; 20_000]).expect("bytes");
    guests::in_a_child(|| {
        ignore();
        let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
        setrlimit(Resource::Fsize, limit).expect("a limit");
        println!("append: {:?}", write(&file, b"x"));
        println!("in the middle: {:?}", ftruncate(&file, 15_000));
        println!("allocated: {:?}", fallocate(&file, FallocateFlags::empty(), 0, 15_000));
        println!("shorter: {:?}", ftruncate(&file, 100));
        println!("append: {:?}", write(&file, b"x"));
    });
}
