//! Errors and effects of single calls, as Linux 6 gives them.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use abi::Errno;
use abi::mman::*;
use memory::{AddressSpace, Backing, FaultError, Limits, MapKind, Object, Protection, UserAddress};
use support::*;

const HOLE: UserAddress = UserAddress(0x1_0000_0000);
const END: UserAddress = UserAddress(0x7fff_ffff_f000);
const KERNEL: UserAddress = UserAddress(0xffff_8000_0000_0000);
const HUGE: usize = usize::MAX;
const HALF: usize = 1 << 63;

fn private(space: &AddressSpace, at: UserAddress, len: usize, flags: MapFlags) -> Result<UserAddress, Errno> {
    space.map(at, len, READ_WRITE, MapKind::Private, Backing::Anonymous, flags)
}

fn shared(space: &AddressSpace, len: usize) -> UserAddress {
    map(space, 0, len, READ_WRITE, MapKind::Shared, Backing::Anonymous, MapFlags::empty()).unwrap()
}

fn areas(space: &AddressSpace) -> usize {
    space.statistics().areas
}

#[test]
fn mmap_refuses_what_linux_refuses() {
    let space = space();
    let there = anonymous(&space, 4 * PAGE);
    let any = UserAddress::NULL;
    let fixed = MapFlags::FIXED;
    for (at_, len, flags, error) in [
        (any, 0, MapFlags::empty(), Errno::EINVAL),
        (any, HUGE, MapFlags::empty(), Errno::ENOMEM),
        (any, HALF, MapFlags::empty(), Errno::ENOMEM),
        (any, 1 << 47, MapFlags::NORESERVE, Errno::ENOMEM),
        (at(there, 1), PAGE, fixed, Errno::EINVAL),
        (END, PAGE, fixed, Errno::ENOMEM),
        (KERNEL, PAGE, fixed, Errno::ENOMEM),
        (at(KERNEL, 1), PAGE, fixed, Errno::ENOMEM),
        (any, PAGE, fixed, Errno::EPERM),
        (there, PAGE, MapFlags::FIXED_NOREPLACE, Errno::EEXIST),
        (at(there, 1), PAGE, MapFlags::FIXED_NOREPLACE, Errno::EINVAL),
    ] {
        assert_eq!(private(&space, at_, len, flags), Err(error), "{at_:?} {len:#x} {flags:?}");
    }
    let grows = MapFlags::GROWSDOWN;
    assert_eq!(map(&space, 0, PAGE, READ, MapKind::Shared, Backing::Anonymous, grows), Err(Errno::EINVAL));
    let object = Object::memory(1 << 20).unwrap();
    for (offset, error) in
        [(1, Errno::EINVAL), (i64::MAX as u64 & !4095, Errno::EOVERFLOW), (!4095, Errno::EOVERFLOW)]
    {
        let result = map(&space, 0, 2 * PAGE, READ, MapKind::Private, of(&object, offset), MapFlags::empty());
        assert_eq!(result, Err(error), "offset {offset:#x}");
    }
    assert_eq!(areas(&space), 1);
}

#[test]
fn a_hint_is_taken_where_it_is_free_and_from_its_page_on() {
    let space = space();
    assert_eq!(private(&space, UserAddress(0x21_2345), PAGE, MapFlags::empty()), Ok(UserAddress(0x21_2000)));
    let elsewhere = private(&space, UserAddress(0x21_2000), PAGE, MapFlags::empty()).unwrap();
    assert!(elsewhere.0 > 0x7000_0000_0000);
    assert_eq!(private(&space, UserAddress(0x1000), PAGE, MapFlags::empty()), Ok(UserAddress(0x1_0000)));
    assert!(private(&space, UserAddress(0x10), PAGE, MapFlags::empty()).unwrap().0 > 0x7000_0000_0000);
    assert!(private(&space, KERNEL, PAGE, MapFlags::empty()).unwrap().0 > 0x7000_0000_0000);
}

#[test]
fn mappings_go_below_each_other_and_low_ones_into_the_second_gigabyte() {
    let space = space();
    let first = anonymous(&space, PAGE);
    let second = anonymous(&space, 3 * PAGE);
    assert_eq!(first.0, second.0 + 3 * PAGE);
    let low = private(&space, UserAddress::NULL, PAGE, MapFlags::_32BIT).unwrap();
    assert!((0x4000_0000..0x8000_0000).contains(&low.0));
    // Alike and side by side: one area.
    assert_eq!(areas(&space), 2);
}

#[test]
fn munmap_refuses_what_linux_refuses_and_passes_over_holes() {
    let space = space();
    let there = anonymous(&space, PAGE);
    for (at_, len) in
        [(there, 0), (at(there, 1), PAGE), (there, HUGE), (there, HALF), (END, PAGE), (KERNEL, PAGE)]
    {
        assert_eq!(space.unmap(at_, len), Err(Errno::EINVAL), "{at_:?} {len:#x}");
    }
    assert_eq!(space.unmap(HOLE, PAGE), Ok(()));
    assert_eq!(space.unmap(UserAddress::NULL, END.0), Ok(()));
    assert_eq!(areas(&space), 0);
}

#[test]
fn mprotect_refuses_what_linux_refuses() {
    let space = space();
    let there = anonymous(&space, 2 * PAGE);
    assert_eq!(space.protect(at(there, 1), PAGE, READ), Err(Errno::EINVAL));
    assert_eq!(space.protect(there, 0, READ), Ok(()));
    for (at_, len) in [(there, HUGE), (HOLE, PAGE), (END, PAGE), (KERNEL, PAGE)] {
        assert_eq!(space.protect(at_, len, READ), Err(Errno::ENOMEM), "{at_:?} {len:#x}");
    }
    // What lies before the hole is changed all the same.
    assert_eq!(space.protect(there, HALF, READ), Err(Errno::ENOMEM));
    assert_eq!(store(&space, there, 1), Err(FaultError::Protection));
    let object = Object::memory(PAGE as u64).unwrap();
    let read_only = Backing::Object { object, offset_bytes: 0, file: None, may_write: false };
    let file = map(&space, 0, PAGE, READ, MapKind::Shared, read_only.clone(), MapFlags::empty()).unwrap();
    assert_eq!(space.protect(file, PAGE, READ_WRITE), Err(Errno::EACCES));
    let copy = map(&space, 0, PAGE, READ, MapKind::Private, read_only, MapFlags::empty()).unwrap();
    assert_eq!(space.protect(copy, PAGE, READ_WRITE), Ok(()));
}

#[test]
fn mremap_refuses_what_linux_refuses() {
    let space = space();
    let there = anonymous(&space, 8 * PAGE);
    let may = MremapFlags::MAYMOVE;
    let fixed = MremapFlags::FIXED | may;
    let none = UserAddress::NULL;
    for (old, old_len, new_len, flags, new, error) in [
        (there, PAGE, 0, may, none, Errno::EINVAL),
        (at(there, 1), PAGE, PAGE, may, none, Errno::EINVAL),
        (there, 0, PAGE, may, none, Errno::EINVAL),
        (there, PAGE, PAGE, MremapFlags::from_bits_retain(8), none, Errno::EINVAL),
        (there, PAGE, PAGE, MremapFlags::FIXED, HOLE, Errno::EINVAL),
        (there, 4 * PAGE, 4 * PAGE, fixed, at(there, PAGE), Errno::EINVAL),
        (there, PAGE, PAGE, fixed, at(there, 5 * PAGE + 1), Errno::EINVAL),
        (there, PAGE, PAGE, fixed, END, Errno::EINVAL),
        (there, PAGE, PAGE, fixed, none, Errno::EPERM),
        (HOLE, PAGE, 2 * PAGE, may, none, Errno::EFAULT),
        (there, 9 * PAGE, 10 * PAGE, may, none, Errno::EFAULT),
        (there, PAGE, 2 * PAGE, may | MremapFlags::DONTUNMAP, none, Errno::EINVAL),
        (there, PAGE, HUGE, may, none, Errno::EINVAL),
        (there, PAGE, HALF, may, none, Errno::EINVAL),
        (there, HUGE, PAGE, may, none, Errno::EINVAL),
        (there, PAGE, 2 * PAGE, MremapFlags::empty(), none, Errno::ENOMEM),
    ] {
        let result = space.remap(old, old_len, new_len, flags, new);
        assert_eq!(result, Err(error), "{old:?} {old_len:#x} {new_len:#x} {flags:?} {new:?}");
    }
    assert_eq!(areas(&space), 1);
}

#[test]
fn mremap_grows_in_place_where_it_can_and_stays_one_mapping() {
    let space = space();
    let there = anonymous(&space, 4 * PAGE);
    space.unmap(at(there, 2 * PAGE), 2 * PAGE).unwrap();
    store(&space, there, 7).unwrap();
    assert_eq!(space.protect(there, 2 * PAGE, READ), Ok(()));
    assert_eq!(space.remap(there, 2 * PAGE, 4 * PAGE, MremapFlags::empty(), UserAddress::NULL), Ok(there));
    assert_eq!(areas(&space), 1);
    private(&space, at(there, 4 * PAGE), PAGE, MapFlags::FIXED).unwrap();
    let moved = space.remap(there, 4 * PAGE, 64 * PAGE, MremapFlags::MAYMOVE, UserAddress::NULL).unwrap();
    assert_ne!(moved, there);
    assert_eq!(load(&space, moved), Ok(7));
    assert_eq!(load(&space, there), Err(FaultError::Unmapped));
    assert_eq!(areas(&space), 2);
}

#[test]
fn madvise_refuses_what_linux_refuses() {
    let space = space();
    let there = anonymous(&space, PAGE);
    let shared = shared(&space, PAGE);
    let (object, _) = disk_object(1);
    let file = map(&space, 0, PAGE, READ, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap();
    for (at_, len, advice, expected) in [
        (there, PAGE, 9999, Err(Errno::EINVAL)),
        (there, 0, 9999, Err(Errno::EINVAL)),
        (at(there, 1), PAGE, MADV_DONTNEED, Err(Errno::EINVAL)),
        (there, 0, MADV_DONTNEED, Ok(())),
        (there, HUGE, MADV_DONTNEED, Err(Errno::EINVAL)),
        (there, HUGE - PAGE + 1, MADV_DONTNEED, Err(Errno::EINVAL)),
        (there, HALF, MADV_DONTNEED, Err(Errno::ENOMEM)),
        (HOLE, PAGE, MADV_DONTNEED, Err(Errno::ENOMEM)),
        (END, PAGE, MADV_DONTNEED, Err(Errno::ENOMEM)),
        (KERNEL, PAGE, MADV_DONTNEED, Err(Errno::ENOMEM)),
        (there, PAGE, MADV_FREE, Ok(())),
        (shared, PAGE, MADV_FREE, Err(Errno::EINVAL)),
        (file, PAGE, MADV_FREE, Err(Errno::EINVAL)),
        (shared, PAGE, MADV_REMOVE, Ok(())),
        (there, PAGE, MADV_REMOVE, Err(Errno::EINVAL)),
        (file, PAGE, MADV_REMOVE, Err(Errno::EACCES)),
        (shared, PAGE, MADV_WIPEONFORK, Err(Errno::EINVAL)),
        (file, PAGE, MADV_WIPEONFORK, Err(Errno::EINVAL)),
        (there, PAGE, MADV_HUGEPAGE, Ok(())),
        (there, PAGE, MADV_MERGEABLE, Ok(())),
        (there, PAGE, MADV_COLD, Ok(())),
        (there, PAGE, MADV_PAGEOUT, Ok(())),
        (there, PAGE, MADV_COLLAPSE, Err(Errno::EINVAL)),
        (HOLE, PAGE, MADV_POPULATE_READ, Err(Errno::ENOMEM)),
        (file, PAGE, MADV_POPULATE_WRITE, Err(Errno::EINVAL)),
        (there, PAGE, MADV_HWPOISON, Err(Errno::EINVAL)),
        (there, PAGE, MADV_DODUMP, Ok(())),
        (there, PAGE, MADV_WILLNEED, Ok(())),
        (HOLE, PAGE, MADV_WILLNEED, Err(Errno::ENOMEM)),
    ] {
        assert_eq!(space.advise(at_, len, advice), expected, "{at_:?} {len:#x} {advice}");
    }
}

#[test]
fn msync_refuses_what_linux_refuses() {
    let space = space();
    let there = anonymous(&space, PAGE);
    let flags = MsyncFlags::from_bits_retain;
    for (at_, len, bits, expected) in [
        (at(there, 1), PAGE, 4, Err(Errno::EINVAL)),
        (there, PAGE, 5, Err(Errno::EINVAL)),
        (there, PAGE, 64, Err(Errno::EINVAL)),
        (there, PAGE, 0, Ok(())),
        (HOLE, PAGE, 4, Err(Errno::ENOMEM)),
        (HOLE, 0, 4, Ok(())),
        (there, HUGE, 4, Ok(())),
        (there, HALF, 4, Err(Errno::ENOMEM)),
        (END, PAGE, 4, Err(Errno::ENOMEM)),
    ] {
        assert_eq!(space.sync(at_, len, flags(bits)), expected, "{at_:?} {len:#x} {bits}");
    }
    space.lock_range(there, PAGE, false).unwrap();
    assert_eq!(space.sync(there, PAGE, MsyncFlags::INVALIDATE | MsyncFlags::SYNC), Err(Errno::EBUSY));
}

#[test]
fn mlock_and_its_family_refuse_what_linux_refuses() {
    let space = space();
    let there = anonymous(&space, PAGE);
    let barred = map(&space, 0, PAGE, NONE, MapKind::Private, Backing::Anonymous, MapFlags::empty()).unwrap();
    for (at_, len, expected) in [
        (HOLE, PAGE, Err(Errno::ENOMEM)),
        (there, HUGE, Ok(())),
        (there, HALF, Err(Errno::ENOMEM)),
        (there, 0, Ok(())),
        (KERNEL, PAGE, Err(Errno::ENOMEM)),
        (END, PAGE, Err(Errno::ENOMEM)),
        (barred, PAGE, Err(Errno::ENOMEM)),
    ] {
        assert_eq!(space.lock_range(at_, len, false), expected, "{at_:?} {len:#x}");
    }
    assert_eq!(space.unlock_range(HOLE, PAGE), Err(Errno::ENOMEM));
    assert_eq!(space.unlock_range(there, HUGE), Ok(()));
    for bits in [0, 8, 4] {
        assert_eq!(space.lock_all(MlockallFlags::from_bits_retain(bits)), Err(Errno::EINVAL));
    }
    space.unlock_all().unwrap();
    space.lock_range(there, PAGE, false).unwrap();
    for (advice, expected) in
        [(MADV_DONTNEED, Err(Errno::EINVAL)), (MADV_DONTNEED_LOCKED, Ok(())), (MADV_COLD, Err(Errno::EINVAL))]
    {
        assert_eq!(space.advise(there, PAGE, advice), expected, "{advice}");
    }
    assert_eq!(space.statistics().locked_pages, 1);
}

#[test]
fn the_limit_for_locked_memory_is_kept() {
    let space = space();
    let there = anonymous(&space, 4 * PAGE);
    space.set_limits(Limits { locked: 0, ..Limits::NONE });
    assert_eq!(space.lock_range(there, PAGE, false), Err(Errno::EPERM));
    assert_eq!(space.lock_all(MlockallFlags::CURRENT), Err(Errno::EPERM));
    space.set_limits(Limits { locked: 2 * PAGE as u64, ..Limits::NONE });
    assert_eq!(space.lock_range(there, 3 * PAGE, false), Err(Errno::ENOMEM));
    assert_eq!(space.lock_range(there, 2 * PAGE, false), Ok(()));
    assert_eq!(space.lock_range(there, 2 * PAGE, false), Ok(()), "what is locked counts once");
    assert_eq!(private(&space, UserAddress::NULL, PAGE, MapFlags::LOCKED), Err(Errno::EAGAIN));
    assert_eq!(space.lock_all(MlockallFlags::CURRENT), Err(Errno::ENOMEM));
    assert_eq!(space.lock_all(MlockallFlags::FUTURE), Ok(()));
    assert_eq!(private(&space, UserAddress::NULL, PAGE, MapFlags::empty()), Err(Errno::EAGAIN));
    space.unlock_all().unwrap();
    assert_eq!(space.statistics().locked_pages, 0);
}

#[test]
fn locked_memory_is_brought_in_and_not_inherited() {
    let space = space();
    let there = private(&space, UserAddress::NULL, 4 * PAGE, MapFlags::LOCKED).unwrap();
    assert_eq!(space.statistics().anonymous_pages, 4);
    assert_eq!(space.statistics().locked_pages, 4);
    let child = space.fork().unwrap();
    assert_eq!(child.statistics().locked_pages, 0);
    assert_eq!(child.advise(there, PAGE, MADV_DONTNEED), Ok(()));
}

#[test]
fn mincore_tells_what_is_in_memory() {
    let space = space();
    let there = anonymous(&space, 4 * PAGE);
    store(&space, at(there, PAGE), 1).unwrap();
    let (object, _) = disk_object(4);
    let file = map(&space, 0, 4 * PAGE, READ, MapKind::Shared, of(&object, 0), MapFlags::empty()).unwrap();
    object.page(2).unwrap();
    let residency = |start, len| {
        let mut all = Vec::new();
        space.residency(start, len, |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(all)
    };
    assert_eq!(residency(there, 4 * PAGE), Ok(vec![0, 1, 0, 0]));
    assert_eq!(residency(file, 3 * PAGE + 1), Ok(vec![0, 0, 1, 0]));
    assert_eq!(residency(at(there, 1), PAGE), Err(Errno::EINVAL));
    for (start, len) in [(HOLE, PAGE), (there, HUGE), (END, PAGE), (there, 5 * PAGE)] {
        assert_eq!(residency(start, len), Err(Errno::ENOMEM));
    }
    assert_eq!(residency(HOLE, 0), Ok(vec![]));
}

#[test]
fn limits_for_size_and_data_are_kept() {
    let space = space();
    let old = anonymous(&space, PAGE);
    space.set_limits(Limits { data: 1 << 20, ..Limits::NONE });
    let big = 64 << 20;
    assert_eq!(private(&space, UserAddress::NULL, big, MapFlags::empty()), Err(Errno::ENOMEM));
    let read_only =
        map(&space, 0, big, READ, MapKind::Private, Backing::Anonymous, MapFlags::empty()).unwrap();
    assert_eq!(space.protect(read_only, big, READ_WRITE), Err(Errno::ENOMEM));
    space.set_limits(Limits { address_space: (big + PAGE + (1 << 20)) as u64, ..Limits::NONE });
    assert_eq!(
        map(&space, 0, big, READ, MapKind::Private, Backing::Anonymous, MapFlags::empty()),
        Err(Errno::ENOMEM)
    );
    assert_eq!(space.remap(old, PAGE, big, MremapFlags::MAYMOVE, UserAddress::NULL), Err(Errno::ENOMEM));
    // What a fixed mapping replaces makes room for it.
    let again = map(&space, read_only.0, big, READ, MapKind::Private, Backing::Anonymous, MapFlags::FIXED);
    assert_eq!(again, Ok(read_only));
}

#[test]
fn a_request_larger_than_memory_is_refused_unless_it_asks_for_no_promise() {
    let space = space();
    let size = (machine::frame::total() + 1) * PAGE;
    assert_eq!(private(&space, UserAddress::NULL, size, MapFlags::empty()), Err(Errno::ENOMEM));
    assert_eq!(
        map(&space, 0, size, READ_WRITE, MapKind::Shared, Backing::Anonymous, MapFlags::empty()),
        Err(Errno::ENOMEM)
    );
    let unpromised = private(&space, UserAddress::NULL, size, MapFlags::NORESERVE).unwrap();
    assert_eq!(memory::overcommit::committed(), 0);
    store(&space, unpromised, 1).unwrap();
    memory::overcommit::set_mode(memory::overcommit::Mode::Never);
    let half = machine::frame::total() / 2 * PAGE;
    let kept = private(&space, UserAddress::NULL, half - PAGE, MapFlags::empty()).unwrap();
    assert_eq!(private(&space, UserAddress::NULL, 2 * PAGE, MapFlags::NORESERVE), Err(Errno::ENOMEM));
    assert_eq!(space.fork().map(|_| ()), Err(Errno::ENOMEM));
    space.unmap(kept, half).unwrap();
    assert_eq!(memory::overcommit::committed(), 0);
}

#[test]
fn too_many_areas_are_refused() {
    let space = space();
    let base = 0x1000_0000_0000;
    let whole = 2 * 65_540 * PAGE;
    let flags = MapFlags::FIXED | MapFlags::NORESERVE;
    let there = map(&space, base, whole, NONE, MapKind::Private, Backing::Anonymous, flags).unwrap();
    let mut outcome = Ok(());
    for index in 0.. {
        outcome = space.protect(at(there, (2 * index + 1) * PAGE), PAGE, READ);
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(Errno::ENOMEM));
    assert!(areas(&space) <= memory::space::MAX_AREAS && areas(&space) > memory::space::MAX_AREAS - 3);
    assert_eq!(space.unmap(there, whole), Ok(()));
    assert_eq!(areas(&space), 0);
}

#[test]
fn the_heap_moves_its_end_and_stops_before_others() {
    let space = space();
    assert_eq!(space.brk(UserAddress(0x50_0000)), UserAddress(0), "no heap before there is a program");
    space.set_heap_start(UserAddress(0x40_0123));
    let start = space.brk(UserAddress::NULL);
    assert_eq!(start, UserAddress(0x40_1000));
    assert_eq!(space.brk(at(start, 5000)), at(start, 5000));
    store(&space, at(start, 8191), 9).unwrap();
    assert_eq!(store(&space, at(start, 8192), 9), Err(FaultError::Unmapped));
    private(&space, at(start, 16 * PAGE), PAGE, MapFlags::FIXED).unwrap();
    assert_eq!(space.brk(at(start, 16 * PAGE)), at(start, 5000), "a page stays free above");
    assert_eq!(space.brk(at(start, 15 * PAGE)), at(start, 15 * PAGE));
    assert_eq!(space.brk(UserAddress(HUGE)), at(start, 15 * PAGE));
    assert_eq!(space.brk(UserAddress(HALF)), at(start, 15 * PAGE));
    assert_eq!(space.brk(at(start, 1)), at(start, 1));
    assert_eq!(space.statistics().data_pages, 2);
    assert_eq!(load(&space, at(start, PAGE)), Err(FaultError::Unmapped));
    space.set_limits(Limits { data: 4 * PAGE as u64, ..Limits::NONE });
    assert_eq!(space.brk(at(start, 5 * PAGE)), at(start, 1));
}

#[test]
fn the_stack_grows_to_its_limit_and_no_further() {
    let space = space();
    let limit = 1 << 20;
    space.set_limits(Limits { stack: limit, ..Limits::NONE });
    let top = space.map_stack(READ_WRITE).unwrap();
    assert_eq!(space.statistics().stack_pages, 33);
    let below = |bytes: usize| UserAddress(top.0 - bytes);
    store(&space, below(1), 1).unwrap();
    store(&space, below(500_000), 1).unwrap();
    assert_eq!(space.statistics().stack_pages, 500_000 / PAGE + 1);
    store(&space, below(limit as usize), 1).unwrap();
    assert_eq!(store(&space, below(limit as usize + 1), 1), Err(FaultError::Unmapped));
    space.set_limits(Limits { stack: 2 << 20, ..Limits::NONE });
    store(&space, below(limit as usize + 1), 1).unwrap();
    let child = space.fork().unwrap();
    store(&child, below(2 << 20), 1).unwrap();
    assert_eq!(child.statistics().stack_pages, 512);
    assert_eq!(space.statistics().stack_pages, 257, "the child's stack grew alone");
}

#[test]
fn mappings_keep_their_distance_from_a_stack_that_grows() {
    let space = space();
    let top = space.map_stack(READ_WRITE).unwrap();
    let near = anonymous(&space, PAGE);
    assert!(near.0 + PAGE + memory::STACK_GUARD_BYTES + (128 << 20) <= top.0);
    // What is forced into the room is respected by the stack, with the guard gap between.
    let forced = UserAddress(top.0 - (4 << 20));
    private(&space, forced, PAGE, MapFlags::FIXED_NOREPLACE).unwrap();
    let lowest = forced.0 + PAGE + memory::STACK_GUARD_BYTES;
    store(&space, UserAddress(lowest), 1).unwrap();
    assert_eq!(store(&space, UserAddress(lowest - 1), 1), Err(FaultError::Unmapped));
    store(&space, forced, 1).unwrap();
}

#[test]
fn a_mapping_that_grows_down_does() {
    let space = space();
    let base = UserAddress(0x1000_0000_0000);
    private(&space, base, PAGE, MapFlags::FIXED | MapFlags::GROWSDOWN).unwrap();
    store(&space, UserAddress(base.0 - 10 * PAGE), 1).unwrap();
    assert_eq!(space.statistics().stack_pages, 11);
    assert_eq!(areas(&space), 1);
    private(&space, UserAddress(base.0 - 300 * PAGE), PAGE, MapFlags::FIXED).unwrap();
    assert_eq!(store(&space, UserAddress(base.0 - 200 * PAGE), 1), Err(FaultError::Unmapped));
}

#[test]
fn pages_without_rights_keep_their_contents() {
    let space = space();
    let there = anonymous(&space, PAGE);
    store(&space, there, 5).unwrap();
    for protection in [NONE, READ, Protection::all()] {
        space.protect(there, PAGE, protection).unwrap();
    }
    assert_eq!(load(&space, there), Ok(5));
    space.protect(there, PAGE, NONE).unwrap();
    assert_eq!(load(&space, there), Err(FaultError::Protection));
    let mut byte = [0];
    assert_eq!(space.read_remote(there, &mut byte, true), Ok(1));
    assert_eq!(byte, [5]);
}

#[test]
fn a_debugger_writes_to_read_only_memory_without_changing_the_file() {
    let space = space();
    let (object, _) = disk_object(2);
    let there = map(&space, 0, 2 * PAGE, READ, MapKind::Private, of(&object, 0), MapFlags::empty()).unwrap();
    assert_eq!(space.write_remote(there, &[0xcc], false), Err(Errno::EFAULT));
    assert_eq!(space.write_remote(at(there, PAGE - 1), &[0xcc; 2], true), Ok(2));
    assert_eq!(load(&space, at(there, PAGE)), Ok(0xcc));
    assert_eq!(store(&space, there, 1), Err(FaultError::Protection));
    let mut byte = [0];
    object.read(PAGE as u64, &mut memory::KernelSink::new(&mut byte)).unwrap();
    assert_eq!(byte, [2]);
    let shared = map(&space, 0, PAGE, READ, MapKind::Shared, of(&object, 0), MapFlags::empty()).unwrap();
    assert_eq!(space.write_remote(shared, &[1], true), Err(Errno::EFAULT));
}

#[test]
fn remote_copies_stop_at_the_first_page_that_is_missing() {
    let space = space();
    let there = anonymous(&space, 2 * PAGE);
    space.unmap(at(there, PAGE), PAGE).unwrap();
    assert_eq!(space.write_remote(at(there, PAGE - 10), &[1; 20], false), Ok(10));
    assert_eq!(space.write_remote(at(there, PAGE), &[1; 20], false), Err(Errno::EFAULT));
    assert_eq!(space.write_remote(there, &[], false), Ok(0));
    let mut bytes = [0; 8];
    assert_eq!(space.read_remote(UserAddress(usize::MAX - 3), &mut bytes, true), Err(Errno::EFAULT));
}

#[test]
fn shared_words_have_one_futex_key_and_private_words_their_own() {
    let space = space();
    let shared = shared(&space, 2 * PAGE);
    let private = anonymous(&space, PAGE);
    let child = space.fork().unwrap();
    assert_eq!(space.futex_key(at(shared, 4100), false), child.futex_key(at(shared, 4100), false));
    assert_ne!(space.futex_key(shared, false), space.futex_key(at(shared, 4), false));
    assert_ne!(space.futex_key(private, true), child.futex_key(private, true));
    assert_eq!(space.futex_key(private, true), space.futex_key(private, false));
    assert_eq!(space.futex_key(HOLE, false), Err(Errno::EFAULT));
}
