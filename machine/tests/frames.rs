//! Frames on the hosted machine. Each test is a process of its own (`cargo nextest`).

use machine::address::PAGE_SIZE;
use machine::failure::{self, Plan};
use machine::frame::{Frame, OutOfMemory, Owner, count, total};
use machine::heap::RESERVE_FRAMES;
use machine::heap::{Grow, try_arc};
use machine::hosted;

fn frames(owner: Owner, most: usize) -> Vec<Frame> {
    (0..most).map_while(|_| Frame::new_dirty(owner).ok()).collect()
}

#[test]
fn all_memory_can_be_had_and_comes_back() {
    hosted::set_memory(8 << 20);
    hosted::run(2, 1, || {
        let free = count(Owner::Free);
        assert_eq!(total(), free + count(Owner::Kernel));
        for _ in 0..3 {
            let mut all = frames(Owner::User, usize::MAX);
            assert_eq!((count(Owner::Free), count(Owner::User)), (RESERVE_FRAMES, free - RESERVE_FRAMES));
            assert_eq!(Frame::new(Owner::User), Err(OutOfMemory), "the rest is for the heap");
            all.extend((0..RESERVE_FRAMES).map(|_| Frame::new_dirty(Owner::Heap).unwrap()));
            assert_eq!(all.len(), free);
            assert_eq!(Frame::new(Owner::Heap), Err(OutOfMemory));
            let mut addresses: Vec<_> = all.iter().map(|frame| frame.address()).collect();
            addresses.sort();
            addresses.dedup();
            assert_eq!(addresses.len(), free);
            drop(all);
            assert_eq!(count(Owner::Free), free);
        }
    });
}

#[test]
fn frames_freed_in_any_order_are_merged_into_blocks_again() {
    hosted::set_memory(8 << 20);
    hosted::run(1, 1, || {
        use machine::task::Task;
        let mut all = frames(Owner::Heap, usize::MAX);
        // Every second one first: no two neighbours are free, so no stack (a block of four) can be had.
        all.sort_by_key(|frame| frame.address());
        let mut rest = Vec::new();
        for (index, frame) in all.into_iter().enumerate() {
            if index % 2 == 0 {
                rest.push(frame);
            }
        }
        assert!(Task::new(|| (), None).is_err());
        drop(rest);
        assert!(Task::new(|| (), None).is_ok());
    });
}

#[test]
fn a_frame_is_counted_under_its_owner_and_shared_by_its_references() {
    hosted::init_memory();
    let before = count(Owner::Cache);
    let frame = Frame::new(Owner::Cache).unwrap();
    assert_eq!(count(Owner::Cache), before + 1);
    let other = frame.clone();
    assert_eq!((frame.references(), other.references(), frame.is_unique()), (2, 2, false));
    drop(other);
    assert!(frame.is_unique());
    frame.set_owner(Owner::Dma);
    assert_eq!((count(Owner::Cache), frame.owner()), (before, Owner::Dma));
    frame.set_place(7, 9);
    assert_eq!(frame.place(), (7, 9));
    assert_eq!(frame.set_flags(0b101), 0);
    assert_eq!(frame.clear_flags(0b001), 0b101);
    assert_eq!(frame.flags(), 0b100);
}

#[test]
fn copies_stop_at_the_end_of_a_frame() {
    hosted::init_memory();
    let frame = Frame::new(Owner::User).unwrap();
    let mut bytes = [1; 8];
    assert_eq!(frame.read(PAGE_SIZE - 3, &mut bytes), 3);
    assert_eq!(bytes, [0, 0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(frame.write(PAGE_SIZE - 2, &[5; 8]), 2);
    assert_eq!(frame.write(PAGE_SIZE + 2, &[5; 8]), 0);
    assert_eq!(frame.load_u32(PAGE_SIZE - 4), Some(u32::from_ne_bytes([0, 0, 5, 5])));
    assert_eq!(frame.load_u32(PAGE_SIZE - 2), None);
    assert_eq!(frame.load_u32(PAGE_SIZE), None);
    let copy = Frame::new(Owner::User).unwrap();
    copy.copy_from(&frame);
    frame.zero_range(PAGE_SIZE - 1, usize::MAX);
    assert_eq!(frame.load_u32(PAGE_SIZE - 4), Some(u32::from_ne_bytes([0, 0, 5, 0])));
    assert_eq!(copy.load_u32(PAGE_SIZE - 4), Some(u32::from_ne_bytes([0, 0, 5, 5])));
}

#[test]
fn an_ordered_failure_comes_once_after_as_many_requests_as_asked() {
    hosted::init_memory();
    failure::plan(Plan::After(2));
    let outcomes: Vec<bool> = (0..5).map(|_| Frame::new(Owner::User).is_ok()).collect();
    assert_eq!((outcomes.as_slice(), failure::refused()), (&[true, true, false, true, true][..], 1));
    failure::plan(Plan::After(0));
    failure::plan(Plan::Never);
    assert!(Frame::new(Owner::User).is_ok());
}

#[test]
fn requests_of_the_heap_are_counted_with_those_of_frames() {
    hosted::init_memory();
    failure::plan(Plan::After(2));
    assert!(try_arc(7).is_ok());
    assert!(Frame::new(Owner::User).is_ok());
    let mut list = Vec::new();
    assert_eq!(list.try_push(1), Err(OutOfMemory));
    assert_eq!(list.try_push(1), Ok(()));
    failure::plan(Plan::After(0));
    // There is room for it already, so nothing is asked for.
    assert_eq!(list.try_push(2), Ok(()));
    assert_eq!(try_arc(7), Err(OutOfMemory));
    assert_eq!(list, [1, 2]);
}

#[test]
fn failures_by_chance_come_as_often_as_ordered_and_the_same_each_time() {
    hosted::init_memory();
    let run = || {
        failure::plan(Plan::OneIn(10, 5));
        let outcomes: Vec<bool> = (0..1000).map(|_| try_arc(()).is_ok()).collect();
        (outcomes, failure::refused())
    };
    let (first, refused) = run();
    assert!((60..140).contains(&refused), "{refused} of 1000");
    assert_eq!(run(), (first, refused));
    failure::plan(Plan::Never);
}
