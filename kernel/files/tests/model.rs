//! tmpfs against a model: a map of paths, and a vector of bytes; and renames that race.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::Errno;
use abi::fcntl::{FallocateFlags, OpenFlags, RenameFlags};
use files::{Lookup, Seek};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{World, run, write};
use threads::{Builder, WaitQueue};

#[derive(Clone, Debug)]
enum Step {
    Write(u16, u16),
    Truncate(u16),
    Punch(u16, u16),
    Read(u16, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (any::<u16>(), 1..9000u16).prop_map(|(at, len)| Step::Write(at, len)),
        any::<u16>().prop_map(Step::Truncate),
        (any::<u16>(), 1..20_000u16).prop_map(|(at, len)| Step::Punch(at, len)),
        (any::<u16>(), any::<u16>()).prop_map(|(at, len)| Step::Read(at, len)),
    ];
    proptest::collection::vec(step, 1..30)
}

#[test]
fn a_file_holds_what_a_vector_would() {
    run(1, 1, || {
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
        let checked = runner.run(&steps(), |steps| {
            let world = World::new();
            let file = world.open("/f", OpenFlags::RDWR | OpenFlags::CREAT).unwrap();
            let mut model: Vec<u8> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Write(at, len) => {
                        let bytes = vec![number as u8 + 1; len.into()];
                        file.seek(Seek::Start(at.into())).unwrap();
                        assert_eq!(write(&file, &bytes), Ok(bytes.len()));
                        model.resize(model.len().max(usize::from(at) + bytes.len()), 0);
                        model[at.into()..usize::from(at) + bytes.len()].copy_from_slice(&bytes);
                    }
                    Step::Truncate(size) => {
                        file.truncate(size.into()).unwrap();
                        model.resize(size.into(), 0);
                    }
                    Step::Punch(at, len) => {
                        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                        file.allocate(how, at.into(), len.into()).unwrap();
                        let end = (usize::from(at) + usize::from(len)).min(model.len());
                        if usize::from(at) < end {
                            model[at.into()..end].fill(0);
                        }
                    }
                    Step::Read(at, len) => {
                        let mut bytes = vec![0xee; len.into()];
                        let count =
                            file.read_at(&mut memory::KernelSink::new(&mut bytes), at.into()).unwrap();
                        let expected = model.get(at.into()..).unwrap_or_default();
                        assert!(bytes[..count] == expected[..expected.len().min(len.into())]);
                    }
                }
                assert_eq!(file.metadata().size, model.len() as u64);
            }
            assert!(world.contents("/f").unwrap() == model);
            Ok(())
        });
        checked.unwrap();
    });
}

#[derive(Clone, Debug)]
enum Change {
    Make(u8, u8),
    Remove(u8),
    Rename(u8, u8),
}

#[test]
fn a_directory_holds_what_a_map_would() {
    run(1, 1, || {
        let change = prop_oneof![
            (any::<u8>(), any::<u8>()).prop_map(|(name, value)| Change::Make(name % 20, value)),
            any::<u8>().prop_map(|name| Change::Remove(name % 20)),
            (any::<u8>(), any::<u8>()).prop_map(|(old, new)| Change::Rename(old % 20, new % 20)),
        ];
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
        let checked = runner.run(&proptest::collection::vec(change, 1..60), |changes| {
            let world = World::new();
            let context = world.context();
            let mut model: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            let path = |name: u8| format!("/f{name}");
            for change in changes {
                match change {
                    Change::Make(name, value) => {
                        world.create(&path(name), &[value]).unwrap();
                        model.insert(name, vec![value]);
                    }
                    Change::Remove(name) => {
                        let expected = model.remove(&name).map(drop).ok_or(Errno::ENOENT);
                        assert_eq!(context.unlink(None, path(name).as_bytes()), expected);
                    }
                    Change::Rename(old, new) => {
                        let result = context.rename(
                            (None, path(old).as_bytes()),
                            (None, path(new).as_bytes()),
                            RenameFlags::empty(),
                        );
                        match model.remove(&old) {
                            Some(value) => {
                                assert_eq!(result, Ok(()));
                                model.insert(new, value);
                            }
                            None => assert_eq!(result, Err(Errno::ENOENT)),
                        }
                    }
                }
            }
            let mut names = world.names("/").unwrap();
            names.sort();
            let mut expected: Vec<String> = model.keys().map(|name| format!("f{name}")).collect();
            expected.extend([".".into(), "..".into()]);
            expected.sort();
            assert_eq!(names, expected);
            for (name, value) in &model {
                assert_eq!(&world.contents(&path(*name)).unwrap(), value);
            }
            Ok(())
        });
        checked.unwrap();
    });
}

#[test]
fn a_reader_of_a_directory_misses_nothing_while_entries_go() {
    run(1, 1, || {
        let world = World::new();
        for name in 0..100 {
            world.create(&format!("/f{name}"), b"").unwrap();
        }
        let directory = world.open("/", OpenFlags::DIRECTORY).unwrap();
        let mut seen = Vec::new();
        loop {
            let mut batch = Vec::new();
            let mut reader = directory.read_directory().unwrap();
            let mut next = Vec::new();
            reader
                .visit(&mut |entry| {
                    batch.push(String::from_utf8_lossy(entry.name).into_owned());
                    next.push(entry.next);
                    batch.len() < 8
                })
                .unwrap();
            // The last one of a full batch is refused, so it comes again.
            if batch.len() == 8 {
                batch.pop();
                next.pop();
            }
            let Some(&last) = next.last() else { break };
            reader.move_to(last);
            drop(reader);
            for name in batch.iter().filter(|name| name.starts_with('f')) {
                world.context().unlink(None, format!("/{name}").as_bytes()).unwrap();
            }
            seen.extend(batch);
        }
        assert_eq!(seen.len(), 102);
        assert_eq!(world.names("/").unwrap(), [".", ".."]);
    });
}

#[test]
fn a_directory_is_read_again_from_where_its_reader_was_left() {
    run(1, 1, || {
        let world = World::new();
        world.create("/f", b"").unwrap();
        let directory = world.open("/", OpenFlags::DIRECTORY).unwrap();
        let names = || {
            let mut names = Vec::new();
            let reader = directory.read_directory().unwrap();
            reader
                .visit(&mut |entry| {
                    names.push((String::from_utf8_lossy(entry.name).into_owned(), entry.next));
                    true
                })
                .unwrap();
            names
        };
        let all = names();
        assert_eq!(names(), all, "nobody has moved on");
        directory.read_directory().unwrap().move_to(all[1].1);
        assert_eq!(names(), all[2..]);
    });
}

fn race_renames() {
    static DONE: WaitQueue = WaitQueue::new();
    static LEFT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(3);
    use std::sync::atomic::Ordering::SeqCst;

    let world = Arc::new(World::new());
    for directory in ["/a", "/b", "/a/x", "/b/y", "/a/x/deep"] {
        world.mkdir(directory).unwrap();
    }
    let moves: [&[(&str, &str)]; 3] = [
        &[("/a/x", "/b/y/x"), ("/b/y/x", "/a/x")],
        &[("/b/y", "/a/x/y"), ("/a/x/y", "/b/y")],
        &[("/a/x/deep", "/b/deep"), ("/b/deep", "/a/x/deep")],
    ];
    for moves in moves {
        let world = world.clone();
        let mover = Builder::new(b"mover").spawn(move || {
            for _ in 0..30 {
                for (old, new) in moves {
                    let plain = RenameFlags::empty();
                    let result =
                        world.context().rename((None, old.as_bytes()), (None, new.as_bytes()), plain);
                    let expected = [Ok(()), Err(Errno::ENOENT), Err(Errno::EINVAL), Err(Errno::ENOTEMPTY)];
                    assert!(expected.contains(&result), "{old} to {new}: {result:?}");
                }
            }
            LEFT.fetch_sub(1, SeqCst);
            DONE.wake_all();
        });
        mover.unwrap();
    }
    DONE.wait_until(threads::Wait::UNINTERRUPTIBLE, || (LEFT.load(SeqCst) == 0).then_some(())).unwrap();
    // Every directory is still somewhere below the root, once.
    let mut found = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        for name in world.names(&format!("{path}/")).unwrap() {
            if name != "." && name != ".." {
                let below = format!("{path}/{name}");
                assert!(world.context().look_up(None, below.as_bytes(), Lookup::FOLLOW).is_ok());
                found.push(name);
                pending.push(below);
            }
        }
    }
    found.sort();
    assert_eq!(found, ["a", "b", "deep", "x", "y"]);
}

#[test]
fn racing_renames_lose_no_directory_seed_1() {
    run(2, 1, race_renames);
}

#[test]
fn racing_renames_lose_no_directory_seed_2() {
    run(3, 2, race_renames);
}

#[test]
fn racing_renames_lose_no_directory_seed_3() {
    run(4, 3, race_renames);
}
