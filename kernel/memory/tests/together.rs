//! Several threads on several processors, over many seeds: what conflicts with what, and that each conflict is resolved.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod seeds;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abi::Errno;
use abi::mman::{MADV_DONTNEED, MapFlags, MremapFlags};
use machine::frame::Frame;
use memory::{
    AddressSpace, Backing, FaultError, KernelSink, KernelSource, MapKind, Object, Pager, UserAddress,
};
use seeds::over_seeds;
use support::*;
use threads::{Builder, Thread, yield_now};

fn spawn(body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    Builder::new(b"worker").spawn(body).unwrap()
}

fn join(threads: Vec<Arc<Thread>>) {
    for thread in threads {
        thread.join();
    }
}

/// The counts are what a look at the page tables finds.
fn check_counts(space: &AddressSpace) {
    let counts = space.statistics();
    let found = space.page_use(0..machine::address::USER_END);
    assert_eq!((counts.anonymous_pages, counts.resident_pages()), (found.anonymous, found.resident));
}

/// Runs `body`, after which all frames must be free again but those of threads, which the scheduler may keep.
fn without_loss(body: impl FnOnce()) {
    drop(space());
    let user = || {
        machine::frame::count(machine::frame::Owner::User)
            + machine::frame::count(machine::frame::Owner::Cache)
    };
    let tables = || machine::frame::count(machine::frame::Owner::PageTable);
    let before = (user(), tables());
    body();
    assert_eq!((user(), tables()), before, "frames are lost");
    assert_eq!(memory::overcommit::committed(), 0);
    assert_eq!(memory::reclaim::dirty_pages(), 0);
}

#[test]
fn faults_and_changes_of_the_same_areas_leave_no_page_behind() {
    over_seeds(3, 40, || {
        without_loss(|| {
            let space = space();
            let base = UserAddress(0x1000_0000_0000 - 4 * PAGE);
            let is_over = Arc::new(AtomicBool::new(false));
            let mut workers = Vec::new();
            for worker in 0..3 {
                let (space, is_over) = (space.clone(), is_over.clone());
                workers.push(spawn(move || {
                    let mut page = worker;
                    while !is_over.load(SeqCst) {
                        page = (page + 5) % 8;
                        let place = at(base, page * PAGE + worker);
                        // Whether it is mapped at the moment, nobody knows.
                        if store(&space, place, 1).is_ok() {
                            let _ = load(&space, place);
                        }
                        yield_now();
                    }
                }));
            }
            for round in 0..60 {
                let there = at(base, round % 5 * PAGE);
                let flags = MapFlags::FIXED;
                let kind = if round % 3 == 0 { MapKind::Shared } else { MapKind::Private };
                map(&space, there.0, 3 * PAGE, READ_WRITE, kind, Backing::Anonymous, flags).unwrap();
                let _ = space.protect(there, PAGE, READ);
                let _ = space.advise(there, 2 * PAGE, MADV_DONTNEED);
                let moves = MremapFlags::MAYMOVE | MremapFlags::FIXED;
                let _ = space.remap(there, PAGE, PAGE, moves, at(base, 7 * PAGE));
                space.unmap(at(there, PAGE), PAGE).unwrap();
                if round % 7 == 0 {
                    space.unmap(base, 8 * PAGE).unwrap();
                    assert_eq!(
                        space.page_use(base.0..base.0 + 8 * PAGE).resident,
                        0,
                        "a page stayed in a hole"
                    );
                }
                yield_now();
            }
            is_over.store(true, SeqCst);
            join(workers);
            check_counts(&space);
        });
    });
}

#[test]
fn a_child_keeps_what_the_parent_had_while_the_parent_goes_on_storing() {
    over_seeds(3, 40, || {
        without_loss(|| {
            let space = space();
            let there = anonymous(&space, 4 * PAGE);
            let is_over = Arc::new(AtomicBool::new(false));
            let writer = {
                let (space, is_over) = (space.clone(), is_over.clone());
                spawn(move || {
                    let mut value = 0u8;
                    while !is_over.load(SeqCst) {
                        value = value.wrapping_add(1);
                        for page in 0..4 {
                            store(&space, at(there, page * PAGE), value).unwrap();
                        }
                        yield_now();
                    }
                })
            };
            for _ in 0..25 {
                let child = space.fork().unwrap();
                let seen: Vec<u8> =
                    (0..4).map(|page| load(&child, at(there, page * PAGE)).unwrap()).collect();
                yield_now();
                for (page, byte) in seen.iter().enumerate() {
                    assert_eq!(load(&child, at(there, page * PAGE)), Ok(*byte), "the child's page changed");
                }
                // Pages are stored to in order, so a fork sees later ones at most one round behind.
                for pair in seen.windows(2) {
                    assert!(pair[0].wrapping_sub(pair[1]) <= 1, "{seen:?}");
                }
                check_counts(&child);
            }
            is_over.store(true, SeqCst);
            join(vec![writer]);
            check_counts(&space);
        });
    });
}

/// A disk that takes its time.
struct Slow {
    reads: AtomicUsize,
    fails: AtomicBool,
}

impl Pager for Slow {
    fn read_page(&self, index: u64, into: &Frame) -> Result<(), Errno> {
        self.reads.fetch_add(1, SeqCst);
        for _ in 0..5 {
            yield_now();
        }
        if self.fails.swap(false, SeqCst) {
            return Err(Errno::EIO);
        }
        into.write(0, &[index as u8; PAGE]);
        Ok(())
    }

    fn write_page(&self, _: u64, _: &Frame) -> Result<(), Errno> {
        Ok(())
    }
}

#[test]
fn a_second_reader_of_a_page_does_not_issue_a_second_read() {
    over_seeds(2, 40, || {
        let disk = Arc::new(Slow { reads: AtomicUsize::new(0), fails: AtomicBool::new(false) });
        let object = Object::with_pager(4 * PAGE as u64, disk.clone()).unwrap();
        let readers = (0..4).map(|_| {
            let object = object.clone();
            spawn(move || {
                let mut byte = [0];
                assert_eq!(object.read(3 * PAGE as u64, &mut KernelSink::new(&mut byte)), Ok(1));
                assert_eq!(byte, [3]);
            })
        });
        join(readers.collect());
        assert_eq!(disk.reads.load(SeqCst), 1);
    });
}

#[test]
fn when_a_read_fails_one_reader_hears_it_and_the_others_try_themselves() {
    over_seeds(2, 40, || {
        let disk = Arc::new(Slow { reads: AtomicUsize::new(0), fails: AtomicBool::new(true) });
        let object = Object::with_pager(4 * PAGE as u64, disk.clone()).unwrap();
        static ERRORS: AtomicUsize = AtomicUsize::new(0);
        let readers = (0..4).map(|_| {
            let object = object.clone();
            spawn(move || match object.page(1) {
                Ok(frame) => assert_eq!(frame.load_u32(0), Some(0x0101_0101)),
                Err(error) => {
                    assert_eq!(error, Errno::EIO);
                    ERRORS.fetch_add(1, SeqCst);
                }
            })
        });
        join(readers.collect());
        assert_eq!(ERRORS.load(SeqCst), 1);
    });
}

#[test]
fn nothing_past_the_end_stays_mapped_after_a_truncation() {
    over_seeds(3, 40, || {
        without_loss(|| {
            let space = space();
            let (object, _) = disk_object(16);
            let shared =
                map(&space, 0, 16 * PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::empty())
                    .unwrap();
            let private =
                map(&space, 0, 16 * PAGE, READ_WRITE, MapKind::Private, of(&object, 0), MapFlags::empty())
                    .unwrap();
            let is_over = Arc::new(AtomicBool::new(false));
            let mut workers = Vec::new();
            for there in [shared, private] {
                let (space, is_over) = (space.clone(), is_over.clone());
                workers.push(spawn(move || {
                    let mut page = 0;
                    while !is_over.load(SeqCst) {
                        page = (page + 3) % 16;
                        match store(&space, at(there, page * PAGE), 9) {
                            Ok(()) | Err(FaultError::Bus) => {}
                            Err(error) => panic!("{error}"),
                        }
                        yield_now();
                    }
                }));
            }
            for round in 0..25 {
                let pages = round % 13;
                object.truncate((pages * PAGE) as u64).unwrap();
                for there in [shared, private] {
                    let past = at(there, pages * PAGE).0..there.0 + 16 * PAGE;
                    assert_eq!(space.page_use(past).resident, 0, "pages past the end are mapped");
                }
                object.truncate(16 * PAGE as u64).unwrap();
                yield_now();
            }
            is_over.store(true, SeqCst);
            join(workers);
            check_counts(&space);
        });
    });
}

#[test]
fn no_store_through_a_mapping_is_lost_by_write_back() {
    over_seeds(3, 40, || {
        without_loss(|| {
            let space = space();
            let (object, disk) = disk_object(4);
            let there =
                map(&space, 0, 4 * PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::empty())
                    .unwrap();
            let is_over = Arc::new(AtomicBool::new(false));
            let syncer = {
                let (object, is_over) = (object.clone(), is_over.clone());
                spawn(move || {
                    while !is_over.load(SeqCst) {
                        object.sync(0, u64::MAX).unwrap();
                        yield_now();
                    }
                })
            };
            let writers = (0..2).map(|writer| {
                let space = space.clone();
                spawn(move || {
                    for value in 0..60u8 {
                        for page in 0..4 {
                            store(&space, at(there, page * PAGE + writer), value).unwrap();
                        }
                        yield_now();
                    }
                })
            });
            join(writers.collect());
            is_over.store(true, SeqCst);
            join(vec![syncer]);
            object.sync(0, u64::MAX).unwrap();
            let pages = disk.pages.lock().unwrap();
            for (page, bytes) in pages.iter().enumerate() {
                assert_eq!(&bytes[..2], &[59, 59], "page {page}");
            }
        });
    });
}

#[test]
fn reclaim_takes_no_page_that_is_used_and_loses_no_change() {
    over_seeds(3, 40, || {
        without_loss(|| {
            let space = space();
            let (object, _) = disk_object(12);
            let there =
                map(&space, 0, 12 * PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::empty())
                    .unwrap();
            let is_over = Arc::new(AtomicBool::new(false));
            let reclaimer = {
                let (object, is_over) = (object.clone(), is_over.clone());
                spawn(move || {
                    while !is_over.load(SeqCst) {
                        memory::reclaim::shrink(usize::MAX);
                        object.sync(0, 6 * PAGE as u64).unwrap();
                        yield_now();
                    }
                })
            };
            let writers = (0..3).map(|writer| {
                let (space, object) = (space.clone(), object.clone());
                spawn(move || {
                    for value in 0..40u8 {
                        for page in 0..12 {
                            let offset = page * PAGE + writer;
                            if value % 2 == 0 {
                                store(&space, at(there, offset), value).unwrap();
                            } else {
                                object.write(offset as u64, &mut KernelSource::new(&[value])).unwrap();
                            }
                            assert_eq!(load(&space, at(there, offset)), Ok(value));
                        }
                        yield_now();
                    }
                })
            });
            join(writers.collect());
            is_over.store(true, SeqCst);
            join(vec![reclaimer]);
            object.sync(0, u64::MAX).unwrap();
            check_counts(&space);
        });
    });
}

#[test]
fn a_mapping_that_moves_is_found_by_a_truncation() {
    over_seeds(2, 40, || {
        without_loss(|| {
            let space = space();
            let (object, _) = disk_object(8);
            let one = UserAddress(0x1000_0000_0000);
            let other = UserAddress(0x1000_1000_0000);
            map(&space, one.0, 8 * PAGE, READ_WRITE, MapKind::Shared, of(&object, 0), MapFlags::FIXED)
                .unwrap();
            let mover = {
                let space = space.clone();
                spawn(move || {
                    let flags = MremapFlags::MAYMOVE | MremapFlags::FIXED;
                    for _ in 0..20 {
                        let _ = load(&space, at(one, 7 * PAGE));
                        space.remap(one, 8 * PAGE, 8 * PAGE, flags, other).unwrap();
                        let _ = load(&space, at(other, 6 * PAGE));
                        space.remap(other, 8 * PAGE, 8 * PAGE, flags, one).unwrap();
                    }
                })
            };
            for _ in 0..20 {
                object.truncate(PAGE as u64).unwrap();
                let found = space.page_use(0..machine::address::USER_END).resident;
                assert!(found <= 1, "{found} pages of one are mapped");
                object.truncate(8 * PAGE as u64).unwrap();
            }
            join(vec![mover]);
            check_counts(&space);
        });
    });
}
