//! Every request for a frame or for heap fails once, in turn: the caller gets an error, the contents stay right, and nothing is lost.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::sync::Arc;

use abi::Errno;
use abi::mman::{MapFlags, MremapFlags};
use machine::failure::{self, Plan};
use memory::{
    AddressSpace, Backing, FaultError, KernelSink, KernelSource, Layout, Limits, MapKind, Object, UserAddress,
};
use support::*;

/// Runs `attempt` on what `prepare` makes, with the first, second ... allocation failing, until it succeeds for want of a failure. `check` looks at the state after each attempt.
fn with_every_failure<T, R>(
    prepare: impl Fn() -> T,
    attempt: impl Fn(&T) -> Result<R, Errno>,
    check: impl Fn(&T, Option<&R>),
) {
    drop(space());
    for failing in 0..500 {
        let frames = free_frames();
        let promised = memory::overcommit::committed();
        let state = prepare();
        failure::plan(Plan::After(failing));
        let result = attempt(&state);
        failure::plan(Plan::Never);
        let has_failed = failure::refused() > 0;
        match &result {
            Ok(_) => assert!(!has_failed || failing > 0),
            Err(error) => assert_eq!(*error, Errno::ENOMEM, "allocation {failing}"),
        }
        check(&state, result.as_ref().ok());
        let is_done = result.is_ok() && !has_failed;
        drop(result);
        drop(state);
        assert_eq!(free_frames(), frames, "frames are lost when allocation {failing} fails");
        assert_eq!(
            memory::overcommit::committed(),
            promised,
            "promises are lost when allocation {failing} fails"
        );
        assert_eq!(memory::object::memory_pages(), 0);
        assert_eq!(memory::reclaim::dirty_pages(), 0);
        if is_done {
            return;
        }
    }
    panic!("the attempt never succeeds");
}

fn no_memory(error: FaultError) -> Errno {
    assert_eq!(error, FaultError::OutOfMemory);
    Errno::ENOMEM
}

/// A program with pages in many tables: its own, shared, copies of a file's, a stack.
fn program() -> (Arc<AddressSpace>, Vec<UserAddress>) {
    let space = AddressSpace::new(Layout::fixed(8 << 20), Limits::NONE).unwrap();
    let (object, _) = disk_object(8);
    let mut places = Vec::new();
    for base in [0x10_0000_0000, 0x20_0000_0000, 0x2000_0000_0000] {
        let there =
            map(&space, base, 2 << 20, READ_WRITE, MapKind::Private, Backing::Anonymous, MapFlags::FIXED)
                .unwrap();
        places.push(there);
        places.push(at(there, (2 << 20) - 1));
    }
    places.push(
        map(&space, 0, 8 * PAGE, READ_WRITE, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap(),
    );
    places.push(
        map(&space, 0, 8 * PAGE, READ_WRITE, MapKind::Shared, Backing::Anonymous, MapFlags::empty()).unwrap(),
    );
    places.push(UserAddress(space.map_stack(READ_WRITE).unwrap().0 - 1));
    for (index, place) in places.iter().enumerate() {
        store(&space, *place, index as u8 + 1).unwrap();
    }
    (space, places)
}

fn check_program(space: &AddressSpace, places: &[UserAddress]) {
    for (index, place) in places.iter().enumerate() {
        assert_eq!(load(space, *place), Ok(index as u8 + 1));
    }
    let counts = space.statistics();
    let found = space.page_use(0..machine::address::USER_END);
    assert_eq!((counts.anonymous_pages, counts.resident_pages()), (found.anonymous, found.resident));
}

#[test]
fn a_copy_into_another_program_says_that_there_was_no_memory() {
    with_every_failure(
        || {
            let space = AddressSpace::new(Layout::fixed(8 << 20), Limits::NONE).unwrap();
            let there = anonymous(&space, 4 * PAGE);
            (space, there)
        },
        |(space, there)| space.write_remote(*there, &[7; 3 * PAGE], true),
        |_, written| assert!(written.is_none_or(|&written| written == 3 * PAGE)),
    );
}

#[test]
fn a_fork_that_runs_out_of_memory_leaves_the_parent_as_it_was() {
    with_every_failure(
        program,
        |(space, _)| space.fork(),
        |(space, places), child| {
            check_program(space, places);
            if let Some(child) = child {
                check_program(child, places);
            }
            store(space, places[0], 1).unwrap();
        },
    );
}

#[test]
fn stores_that_find_no_frame_for_a_copy_can_be_done_again() {
    with_every_failure(
        || {
            let (space, places) = program();
            let child = space.fork().unwrap();
            (space, child, places)
        },
        |(_, child, places)| places.iter().try_for_each(|place| store(child, *place, 99)).map_err(no_memory),
        |(space, child, places), _| {
            for place in places {
                store(child, *place, 99).unwrap();
            }
            // The shared page is the parent's too.
            store(space, places[7], 8).unwrap();
            check_program(space, places);
        },
    );
}

#[test]
fn a_move_that_finds_no_page_table_moves_nothing() {
    let target = UserAddress(0x3000_0000_0000 - PAGE);
    with_every_failure(
        program,
        |(space, places)| {
            let flags = MremapFlags::MAYMOVE | MremapFlags::FIXED;
            space.remap(places[0], 2 << 20, 3 << 20, flags, target)
        },
        |(space, places), moved| {
            let mut places = places.clone();
            if moved.is_some() {
                places[0] = target;
                places[1] = at(target, (2 << 20) - 1);
            }
            check_program(space, &places);
        },
    );
}

#[test]
fn faults_that_find_no_memory_change_nothing() {
    with_every_failure(
        || {
            let space = AddressSpace::new(Layout::fixed(8 << 20), Limits::NONE).unwrap();
            let (object, _) = disk_object(40);
            let memory = Object::memory(8 * PAGE as u64).unwrap();
            let stack = space.map_stack(READ_WRITE).unwrap();
            let anonymous = anonymous(&space, 4 * PAGE);
            let private =
                map(&space, 0, 40 * PAGE, READ_WRITE, MapKind::Private, of(&object, 0), MapFlags::empty())
                    .unwrap();
            let shared =
                map(&space, 0, 40 * PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::empty())
                    .unwrap();
            let tmpfs =
                map(&space, 0, 8 * PAGE, READ_WRITE, MapKind::Shared, of(&memory, 0), MapFlags::empty())
                    .unwrap();
            (space, [anonymous, private, shared, tmpfs, UserAddress(stack.0 - (1 << 20))])
        },
        |(space, places)| {
            for place in places {
                load(space, *place).map_err(no_memory)?;
                load(space, at(*place, PAGE)).map_err(no_memory)?;
                store(space, *place, 1).map_err(no_memory)?;
            }
            Ok(())
        },
        |(space, places), _| {
            for place in places {
                store(space, *place, 3).unwrap();
                assert_eq!(load(space, *place), Ok(3));
            }
        },
    );
}

#[test]
fn a_new_program_that_cannot_be_built_leaves_nothing() {
    with_every_failure(
        || (),
        |()| {
            let space = AddressSpace::new(Layout::fixed(8 << 20), Limits::NONE)?;
            let top = space.map_stack(READ_WRITE)?;
            space.set_heap_start(UserAddress(0x50_0000));
            space.brk(UserAddress(0x60_0000));
            let arguments = [b'a'; 9000];
            match space.write_remote(UserAddress(top.0 - 9000), &arguments, false) {
                Ok(9000) => {}
                _ => return Err(Errno::ENOMEM),
            }
            space.map(
                UserAddress::NULL,
                128 << 10,
                READ_WRITE,
                MapKind::Private,
                Backing::Anonymous,
                MapFlags::POPULATE,
            )?;
            Ok(space)
        },
        |(), _| {},
    );
}

#[test]
fn reads_and_writes_of_objects_that_find_no_frame_stop_there() {
    let text = vec![7; 5 * PAGE];
    with_every_failure(
        || (disk_object(8).0, Object::memory(0).unwrap()),
        |(file, memory)| {
            let mut done = 0;
            for object in [file, memory] {
                let written = object.write(100, &mut KernelSource::new(&text))?;
                done += written;
                let mut back = vec![0; text.len()];
                let read = object.read(100, &mut KernelSink::new(&mut back))?;
                assert!(back[..written.min(read)].iter().all(|byte| *byte == 7));
                file.sync(0, u64::MAX)?;
            }
            if done == 2 * text.len() { Ok(()) } else { Err(Errno::ENOMEM) }
        },
        |(file, memory), _| {
            file.sync(0, u64::MAX).unwrap();
            memory.truncate(0).unwrap();
            file.truncate(0).unwrap();
            assert_eq!((file.resident_pages(), memory.resident_pages()), (0, 0));
        },
    );
}
