//! Archives: whole, damaged, cut off and hostile.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::fcntl::OpenFlags;
use memory::KernelSink;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Error, Unpacked, unpack};
use crate::tmpfs::{Options, Tmpfs};
use crate::{Context, Credentials, Lookup, MountNamespace, OpenHow, Superblock};

/// One entry in the format's own terms.
fn entry(name: &str, mode: u32, inode: u32, links: u32, data: &[u8]) -> Vec<u8> {
    let fields = [inode, mode, 0, 0, links, 1234, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    let mut bytes = Vec::from(*b"070701");
    for field in fields {
        bytes.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn archive() -> Vec<u8> {
    let big: Vec<u8> = (0..10_000u32).map(|index| index as u8).collect();
    [
        entry("bin", 0o40755, 1, 2, b""),
        entry("bin/sh", 0o100755, 2, 1, &big),
        entry("bin/ash", 0o120777, 3, 1, b"sh"),
        entry("one", 0o100644, 4, 2, b""),
        entry("two", 0o100644, 4, 2, b"linked"),
        entry("/absolute", 0o100600, 5, 1, b"x"),
        entry("fifo", 0o10666, 6, 1, b""),
        entry("missing/file", 0o100644, 7, 1, b"nowhere to go"),
        entry("TRAILER!!!", 0, 0, 1, b""),
    ]
    .concat()
}

/// gzip without compression: stored blocks (RFC 1951, 3.2.4).
fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut blocks = contents.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        bytes.push(u8::from(blocks.peek().is_none()));
        bytes.extend_from_slice(&(block.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    let mut sum = !0u32;
    for &byte in contents {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 != 0 { 0xedb8_8320 } else { 0 };
        }
    }
    bytes.extend_from_slice(&(!sum).to_le_bytes());
    bytes.extend_from_slice(&(contents.len() as u32).to_le_bytes());
    bytes
}

fn within<R>(act: impl FnOnce(&Context<'_>) -> R) -> R {
    let options = Options { size: 64 << 20, inodes: 10_000, mode: 0o755, uid: 0, gid: 0 };
    let namespace = MountNamespace::new(Superblock::new(Tmpfs::new(options)), "rootfs");
    let root = namespace.root().clone();
    let credentials = Credentials::root();
    act(&Context { root: &root, cwd: &root, namespace: &namespace, credentials: &credentials, umask: 0 })
}

fn contents(context: &Context<'_>, path: &str) -> Vec<u8> {
    let how = OpenHow { flags: OpenFlags::empty(), ..OpenHow::READ };
    let file = context.open(None, path.as_bytes(), how).unwrap();
    let mut bytes = alloc::vec![0; 20_000];
    let count = file.read(&mut KernelSink::new(&mut bytes)).unwrap();
    bytes.truncate(count);
    bytes
}

fn unpack_leaked(context: &Context<'_>, bytes: Vec<u8>) -> Result<Unpacked, Error> {
    unpack(context, Box::leak(bytes.into_boxed_slice()))
}

fn check_whole(bytes: Vec<u8>) {
    within(|context| {
        let done = unpack_leaked(context, bytes).unwrap();
        assert_eq!(done.entries, 7);
        let big = contents(context, "/bin/ash");
        assert_eq!(big.len(), 10_000);
        assert!(big.iter().enumerate().all(|(index, byte)| *byte == index as u8));
        assert_eq!(contents(context, "one"), b"linked");
        let one = context.look_up(None, b"/one", Lookup::FOLLOW).unwrap().inode().metadata();
        let two = context.look_up(None, b"/two", Lookup::FOLLOW).unwrap().inode().metadata();
        assert_eq!((one.inode, one.links), (two.inode, 2));
        let directory = context.look_up(None, b"/bin", Lookup::FOLLOW).unwrap().inode().metadata();
        assert_eq!(directory.modified.tv_sec, 1234, "times of directories survive what is made in them");
        assert_eq!(contents(context, "/absolute"), b"x");
    });
}

#[test]
fn a_plain_archive_becomes_a_tree() {
    threads::hosted::run(1, 1, || check_whole(archive()));
}

#[test]
fn a_compressed_archive_becomes_the_same_tree() {
    threads::hosted::run(1, 1, || check_whole(gzip(&archive())));
}

#[test]
fn archives_that_follow_each_other_are_all_unpacked() {
    threads::hosted::run(1, 1, || {
        within(|context| {
            let later = [entry("one", 0o100644, 9, 1, b"newer"), entry("TRAILER!!!", 0, 0, 1, b"")].concat();
            let both = [archive(), alloc::vec![0; 512], gzip(&later)].concat();
            unpack_leaked(context, both).unwrap();
            assert_eq!(contents(context, "one"), b"newer");
            assert_eq!(contents(context, "two"), b"linked");
        });
    });
}

#[test]
fn what_is_no_archive_is_named() {
    threads::hosted::run(1, 1, || {
        within(|context| {
            assert_eq!(unpack(context, b""), Err(Error::Empty));
            assert_eq!(unpack(context, &[0; 100]), Err(Error::Empty));
            let unknown = unpack(context, b"\xfd7zXZ").unwrap_err();
            assert_eq!(unknown, Error::UnknownFormat(*b"\xfd7zX"));
            assert!(format!("{unknown}").contains("neither cpio"));
        });
    });
}

#[test]
fn every_cut_of_an_archive_gives_an_error_or_less() {
    threads::hosted::run(1, 1, || {
        for compressed in [false, true] {
            let whole = if compressed { gzip(&archive()) } else { archive() };
            for end in (1..whole.len() - 160).step_by(97) {
                within(|context| {
                    let result = unpack_leaked(context, whole[..end].to_vec());
                    assert!(
                        result.is_err() || result.is_ok_and(|done| !compressed && done.entries <= 7),
                        "{end}"
                    );
                });
            }
        }
    });
}

#[test]
fn damaged_archives_never_break_the_kernel() {
    threads::hosted::run(1, 1, || {
        let mut runner =
            TestRunner::new(Config { failure_persistence: None, cases: 200, ..Config::default() });
        let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8);
        runner
            .run(&(damage, any::<bool>()), |(damage, compressed)| {
                let mut bytes = if compressed { gzip(&archive()) } else { archive() };
                for (at, byte) in damage {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                within(|context| {
                    let message = unpack_leaked(context, bytes)
                        .map_or_else(|error| format!("{error}"), |_| String::new());
                    assert!(message.len() < 5000);
                });
                Ok(())
            })
            .unwrap();
    });
}
