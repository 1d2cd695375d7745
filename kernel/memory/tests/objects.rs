//! Objects: reading, writing, shortening, writing back, giving pages back.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::sync::atomic::Ordering::Relaxed;

use abi::Errno;
use abi::mman::{MADV_DONTNEED, MADV_REMOVE, MapFlags, MsyncFlags};
use machine::frame::{Frame, Owner};
use memory::{Backing, FaultError, KernelSink, KernelSource, MapKind, Object, Sink, Source, UserAddress};
use proptest::prelude::*;
use support::*;

fn read(object: &Object, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    let read = object.read(offset, &mut KernelSink::new(&mut bytes)).unwrap();
    bytes.truncate(read);
    bytes
}

fn write(object: &Object, offset: u64, bytes: &[u8]) -> usize {
    object.write(offset, &mut KernelSource::new(bytes)).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize, u8),
    Read(u64, usize),
    Truncate(u64),
    Punch(u64, u64),
    Sync,
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0u64..60_000;
    prop_oneof![
        4 => (place.clone(), 0usize..14_000, any::<u8>()).prop_map(|(at, len, byte)| Step::Write(at, len, byte)),
        3 => (place.clone(), 0usize..14_000).prop_map(|(at, len)| Step::Read(at, len)),
        2 => place.clone().prop_map(Step::Truncate),
        1 => (place.clone(), place).prop_map(|(start, end)| Step::Punch(start, end)),
        1 => Just(Step::Sync),
        1 => Just(Step::Shrink),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_object_holds_what_a_vector_holds(steps in prop::collection::vec(step(), 1..40), has_pager: bool) {
        machine::hosted::init_memory();
        let frames = free_frames();
        {
            let (object, disk) = disk_object(4);
            let (object, mut model) = if has_pager {
                (object, (0..4 * PAGE).map(|at| (at / PAGE) as u8 + 1).collect::<Vec<u8>>())
            } else {
                (Object::memory(0).unwrap(), Vec::new())
            };
            for step in steps {
                match step {
                    Step::Write(at, len, byte) => {
                        let bytes: Vec<u8> = (0..len).map(|index| byte.wrapping_add(index as u8)).collect();
                        prop_assert_eq!(write(&object, at, &bytes), len);
                        if len > 0 {
                            model.resize(model.len().max(at as usize + len), 0);
                            model[at as usize..][..len].copy_from_slice(&bytes);
                        }
                    }
                    Step::Read(at, len) => {
                        let start = model.len().min(at as usize);
                        let expected = &model[start..model.len().min(start + len)];
                        prop_assert_eq!(&read(&object, at, len), expected);
                    }
                    Step::Truncate(size) => {
                        // The file system cuts its own blocks too.
                        disk.pages.lock().unwrap().truncate(size.div_ceil(PAGE as u64) as usize);
                        object.truncate(size).unwrap();
                        model.resize(size as usize, 0);
                    }
                    Step::Punch(start, end) => {
                        let end = end.min(model.len() as u64);
                        for page in start.div_ceil(PAGE as u64)..end / PAGE as u64 {
                            if let Some(page) = disk.pages.lock().unwrap().get_mut(page as usize) {
                                page.fill(0);
                            }
                        }
                        object.punch(start, end).unwrap();
                        if start < end {
                            model[start as usize..end as usize].fill(0);
                        }
                    }
                    Step::Sync => {
                        object.sync(0, u64::MAX).unwrap();
                        prop_assert_eq!(memory::reclaim::dirty_pages(), 0);
                    }
                    Step::Shrink => {
                        memory::reclaim::shrink(usize::MAX);
                    }
                }
                prop_assert_eq!(object.size(), model.len() as u64);
            }
            prop_assert_eq!(read(&object, 0, model.len() + 10), model.clone());
            if has_pager {
                object.sync(0, u64::MAX).unwrap();
                memory::reclaim::shrink(usize::MAX);
                prop_assert_eq!(object.resident_pages(), 0);
                prop_assert_eq!(read(&object, 0, model.len()), model);
            }
        }
        prop_assert_eq!(free_frames(), frames);
        prop_assert_eq!(memory::object::memory_pages(), 0);
    }
}

#[test]
fn reading_a_hole_of_a_memory_object_makes_no_page() {
    machine::hosted::init_memory();
    let object = Object::memory(1 << 40).unwrap();
    assert_eq!(read(&object, 1 << 39, 3), [0; 3]);
    assert_eq!(write(&object, (1 << 40) - 1, &[1, 2]), 2);
    assert_eq!(object.size(), (1 << 40) + 1);
    assert_eq!(object.resident_pages(), 2);
    assert_eq!(memory::object::memory_pages(), 2);
}

#[test]
fn offsets_near_the_end_of_numbers_are_refused() {
    machine::hosted::init_memory();
    let object = Object::memory(PAGE as u64).unwrap();
    let offer = |offset| object.write(offset, &mut KernelSource::new(&[1]));
    assert_eq!(offer(u64::MAX), Err(Errno::EFBIG));
    assert_eq!(offer(1 << 63), Err(Errno::EFBIG));
    assert_eq!(offer(i64::MAX as u64), Err(Errno::EFBIG));
    assert_eq!(object.truncate(1 << 63), Err(Errno::EFBIG));
    assert_eq!(object.punch(u64::MAX, u64::MAX), Ok(()));
    assert_eq!(read(&object, u64::MAX, 10), []);
    assert_eq!(offer(i64::MAX as u64 - 1), Ok(1));
    assert_eq!(object.page(u64::MAX).err(), Some(Errno::ENXIO));
}

#[test]
fn readers_that_go_straight_on_get_more_with_every_miss() {
    machine::hosted::init_memory();
    let (object, disk) = disk_object(200);
    for page in 0..100 {
        read(&object, page * PAGE as u64, PAGE);
    }
    assert_eq!(disk.reads.load(Relaxed), object.resident_pages());
    assert!((100..=132).contains(&object.resident_pages()), "{}", object.resident_pages());
    let before = disk.reads.load(Relaxed);
    read(&object, 150 * PAGE as u64, 1);
    read(&object, 190 * PAGE as u64, 1);
    assert_eq!(disk.reads.load(Relaxed), before + 2, "who jumps about gets one page");
}

#[test]
fn a_bad_page_fails_for_who_asks_for_it_and_nobody_else() {
    let space = space();
    let (object, disk) = disk_object(8);
    *disk.bad_page.lock().unwrap() = Some(3);
    assert_eq!(read(&object, 0, 8 * PAGE).len(), 3 * PAGE);
    let mut byte = [0];
    assert_eq!(object.read(3 * PAGE as u64, &mut KernelSink::new(&mut byte)), Err(Errno::EIO));
    assert_eq!(read(&object, 4 * PAGE as u64, 1), [5]);
    let there = map(&space, 0, 8 * PAGE, READ, MapKind::Shared, of(&object, 0), MapFlags::empty()).unwrap();
    assert_eq!(load(&space, at(there, 3 * PAGE)), Err(FaultError::Bus));
    assert_eq!(load(&space, at(there, 2 * PAGE)), Ok(3));
    *disk.bad_page.lock().unwrap() = None;
    assert_eq!(load(&space, at(there, 3 * PAGE)), Ok(4));
}

#[test]
fn a_page_that_cannot_be_written_stays_dirty_and_is_reported() {
    machine::hosted::init_memory();
    let (object, disk) = disk_object(4);
    write(&object, 0, &[9; 4 * PAGE]);
    *disk.bad_page.lock().unwrap() = Some(1);
    assert_eq!(object.sync(0, u64::MAX), Err(Errno::EIO));
    assert_eq!(disk.pages.lock().unwrap()[3][0], 9, "the others are written all the same");
    assert_eq!(memory::reclaim::dirty_pages(), 1);
    *disk.bad_page.lock().unwrap() = None;
    assert_eq!(object.sync(0, u64::MAX), Ok(()));
    assert_eq!(disk.pages.lock().unwrap()[1][0], 9);
}

#[test]
fn whole_pages_are_written_without_being_read() {
    machine::hosted::init_memory();
    let (object, disk) = disk_object(4);
    write(&object, PAGE as u64, &[9; 2 * PAGE]);
    assert_eq!(disk.reads.load(Relaxed), 0);
    write(&object, 10, &[8]);
    assert_eq!(disk.reads.load(Relaxed), 1);
    assert_eq!(read(&object, 9, 3), [1, 8, 1]);
}

#[test]
fn an_archive_keeps_what_was_changed_and_gives_the_rest_back() {
    machine::hosted::init_memory();
    let disk = Disk::with(4, false);
    let object = Object::with_pager(4 * PAGE as u64, disk.clone()).unwrap();
    write(&object, 0, &[7]);
    read(&object, 0, 4 * PAGE);
    object.sync(0, u64::MAX).unwrap();
    memory::reclaim::shrink(usize::MAX);
    assert_eq!((object.resident_pages(), disk.writes.load(Relaxed)), (1, 0));
    assert_eq!(read(&object, 0, 2), [7, 1]);
    assert_eq!(memory::reclaim::dirty_pages(), 0, "nobody can write it back");
}

#[test]
fn pages_that_are_used_again_and_again_outlive_those_that_are_used_once() {
    machine::hosted::init_memory();
    let (often, _) = disk_object(8);
    let (once, _) = disk_object(64);
    for _ in 0..3 {
        read(&often, 0, 8 * PAGE);
    }
    read(&once, 0, 64 * PAGE);
    let freed = memory::reclaim::shrink(64);
    assert_eq!((freed, often.resident_pages(), once.resident_pages()), (64, 8, 0));
}

#[test]
fn sixteen_resident_pages_are_mapped_together_and_no_more() {
    let space = space();
    let (object, disk) = disk_object(64);
    read(&object, 0, 64 * PAGE);
    let there = map(&space, 0, 64 * PAGE, READ, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap();
    load(&space, at(there, 20 * PAGE)).unwrap();
    assert_eq!(space.statistics().file_pages, 16);
    assert_eq!(space.page_use(there.0 + 16 * PAGE..there.0 + 32 * PAGE).resident, 16);
    space.advise(there, 64 * PAGE, abi::mman::MADV_RANDOM).unwrap();
    load(&space, at(there, 40 * PAGE)).unwrap();
    assert_eq!(space.statistics().file_pages, 17);
    assert_eq!(disk.reads.load(Relaxed), 64);
    assert_eq!(load(&space, at(there, 64 * PAGE)), Err(FaultError::Unmapped));
}

#[test]
fn absent_pages_are_not_read_for_the_sake_of_a_neighbour() {
    let space = space();
    let (object, disk) = disk_object(64);
    let there = map(&space, 0, 64 * PAGE, READ, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap();
    load(&space, at(there, 20 * PAGE)).unwrap();
    assert_eq!((space.statistics().file_pages, disk.reads.load(Relaxed)), (1, 1));
}

#[test]
fn a_fork_shares_no_page_of_a_file_that_can_be_faulted_in_again() {
    let space = space();
    let (object, _) = disk_object(16);
    read(&object, 0, 16 * PAGE);
    let clean = map(&space, 0, 16 * PAGE, READ, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap();
    load(&space, clean).unwrap();
    let child = space.fork().unwrap();
    assert_eq!(child.statistics().resident_pages(), 0);
    assert_eq!(load(&child, at(clean, PAGE)), Ok(2));
}

#[test]
fn a_page_with_one_owner_left_is_taken_over_without_a_copy() {
    let space = space();
    let there = anonymous(&space, PAGE);
    store(&space, there, 1).unwrap();
    let child = space.fork().unwrap();
    store(&child, there, 2).unwrap();
    let free = free_frames();
    store(&space, there, 3).unwrap();
    assert_eq!(free_frames(), free);
    assert_eq!((load(&space, there), load(&child, there)), (Ok(3), Ok(2)));
}

#[test]
fn loads_of_fresh_memory_cost_no_page() {
    let space = space();
    let there = anonymous(&space, 100 * PAGE);
    load(&space, there).unwrap();
    let free = free_frames();
    for page in 0..100 {
        assert_eq!(load(&space, at(there, page * PAGE)), Ok(0));
    }
    assert_eq!(free_frames(), free);
    assert_eq!(space.statistics().resident_pages(), 0);
    store(&space, there, 1).unwrap();
    assert_eq!(space.statistics().anonymous_pages, 1);
    assert_eq!(load(&space, at(there, PAGE)), Ok(0));
}

#[test]
fn shared_memory_counts_as_shared_and_lasts_as_long_as_somebody_maps_it() {
    let space = space();
    let there =
        map(&space, 0, 4 * PAGE, READ_WRITE, MapKind::Shared, Backing::Anonymous, MapFlags::empty()).unwrap();
    let child = space.fork().unwrap();
    store(&child, there, 5).unwrap();
    assert_eq!(load(&space, there), Ok(5));
    assert_eq!((space.statistics().shared_pages, child.statistics().shared_pages), (1, 1));
    drop(child);
    space.advise(there, 4 * PAGE, MADV_DONTNEED).unwrap();
    assert_eq!((space.statistics().shared_pages, load(&space, there)), (0, Ok(5)));
    space.advise(there, PAGE, MADV_REMOVE).unwrap();
    assert_eq!(load(&space, there), Ok(0));
    space.unmap(there, 4 * PAGE).unwrap();
    assert_eq!(memory::object::memory_pages(), 0);
    assert_eq!(machine::frame::count(Owner::Cache), 0);
}

#[test]
fn pages_of_the_kernels_own_are_seen_as_they_change_and_a_store_goes_to_a_copy() {
    let space = space();
    let page = Frame::new(Owner::Kernel).unwrap();
    page.write(0, &[1]);
    let object = Object::of_pages(&[page.clone(), Frame::new(Owner::Kernel).unwrap()]).unwrap();
    let private = |space| {
        map(space, 0, 2 * PAGE, READ_WRITE, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap()
    };
    let (one, other) = (private(&space), private(&space));
    let child = space.fork().unwrap();
    assert_eq!(load(&space, one), Ok(1));
    page.write(0, &[2]);
    assert_eq!((load(&space, one), load(&child, one)), (Ok(2), Ok(2)));
    store(&space, other, 9).unwrap();
    let mut byte = [0];
    page.read(0, &mut byte);
    assert_eq!((byte, load(&space, other), load(&child, other)), ([2], Ok(9), Ok(2)));
    assert_eq!(load(&space, UserAddress(one.0 + 2 * PAGE - 1)), Ok(0));
    assert_eq!(space.advise(one, PAGE, MADV_REMOVE), Err(Errno::EACCES));
}

#[test]
fn msync_writes_what_was_stored_and_only_that() {
    let space = space();
    let (object, disk) = disk_object(4);
    let there =
        map(&space, 0, 4 * PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::empty()).unwrap();
    load(&space, there).unwrap();
    store(&space, at(there, PAGE), 77).unwrap();
    assert_eq!(memory::reclaim::dirty_pages(), 1);
    space.sync(there, 4 * PAGE, MsyncFlags::SYNC).unwrap();
    assert_eq!((disk.writes.load(Relaxed), disk.pages.lock().unwrap()[1][0]), (1, 77));
    store(&space, at(there, PAGE), 78).unwrap();
    assert_eq!(memory::reclaim::dirty_pages(), 1, "the store after the write-back is noticed");
    space.sync(there, 4 * PAGE, MsyncFlags::SYNC).unwrap();
    assert_eq!(disk.pages.lock().unwrap()[1][0], 78);
}

#[test]
fn what_is_stored_past_the_end_of_a_file_does_not_get_into_it() {
    let space = space();
    let (object, disk) = disk_object(1);
    object.truncate(100).unwrap();
    let there = map(&space, 0, PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::empty()).unwrap();
    assert_eq!(load(&space, at(there, 100)), Ok(0));
    store(&space, at(there, 99), 1).unwrap();
    store(&space, at(there, 100), 2).unwrap();
    space.sync(there, PAGE, MsyncFlags::SYNC).unwrap();
    assert_eq!(&disk.pages.lock().unwrap()[0][99..101], &[1, 0]);
    store(&space, at(there, 150), 2).unwrap();
    object.truncate(200).unwrap();
    assert_eq!(read(&object, 150, 1), [0]);
}

#[test]
fn dirty_pages_stay_within_a_part_of_memory() {
    machine::hosted::set_memory(8 << 20);
    machine::hosted::init_memory();
    let (object, disk) = disk_object(0);
    for chunk in 0..64u64 {
        write(&object, chunk << 16, &[1; 1 << 16]);
        assert!(memory::reclaim::dirty_pages() < machine::frame::total() / 4);
    }
    assert!(disk.writes.load(Relaxed) > 0);
}

#[test]
fn a_cache_larger_than_memory_is_reclaimed_as_it_is_read() {
    machine::hosted::set_memory(8 << 20);
    machine::hosted::init_memory();
    let (object, _) = disk_object(4096);
    for page in 0..4096u64 {
        assert_eq!(read(&object, page * PAGE as u64, 1), [(page as u8).wrapping_add(1)]);
    }
    assert!(free_frames() >= memory::reclaim::watermarks().min);
}

#[test]
fn when_memory_runs_out_programs_get_errors_and_the_kernel_keeps_its_reserve() {
    machine::hosted::set_memory(8 << 20);
    let space = space();
    let size = machine::frame::total() * PAGE;
    let there = anonymous(&space, size);
    let failed = (0..size).step_by(PAGE).find(|page| store(&space, at(there, *page), 1).is_err());
    assert!(failed.is_some());
    assert!(free_frames() >= machine::heap::RESERVE_FRAMES);
    assert_eq!(store(&space, at(there, failed.unwrap()), 1), Err(FaultError::OutOfMemory));
    assert_eq!(space.fork().map(|_| ()), Err(Errno::ENOMEM));
    space.unmap(there, size).unwrap();
    store(&space, anonymous(&space, PAGE), 1).unwrap();
}

#[test]
fn sinks_and_sources_of_the_kernel_stop_where_they_end() {
    machine::hosted::init_memory();
    let frame = machine::frame::Frame::new(Owner::User).unwrap();
    frame.write(PAGE - 2, &[1, 2]);
    let mut bytes = [9; 5];
    let mut sink = KernelSink::new(&mut bytes);
    assert_eq!(sink.write_frame(&frame, PAGE - 2, 100), Ok(2));
    assert_eq!(sink.write_frame(&frame, PAGE + 5, 100), Ok(0));
    assert_eq!(sink.zero(2), Ok(2));
    assert_eq!(sink.write(&[3, 4]), Ok(1));
    assert_eq!(sink.remaining(), 0);
    assert_eq!(bytes, [1, 2, 0, 0, 3]);
    let mut source = KernelSource::new(&bytes);
    let mut two = [0; 2];
    assert_eq!(source.read(&mut two), Ok(2));
    assert_eq!(source.read_frame(&frame, PAGE - 1, 10), Ok(1));
    assert_eq!(source.read_frame(&frame, 0, 10), Ok(2));
    assert_eq!(source.remaining(), 0);
}
