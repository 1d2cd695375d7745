//! What programs do with their memory.
#![expect(unsafe_code, reason = "memory is mapped, moved and touched")]

use crate::Operation;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{Errno, pwrite};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect,
    mremap, munmap,
};
use std::ffi::c_void;
use std::ptr::null_mut;

const PAGE: usize = 4096;
const LEN: usize = 16 * PAGE;

pub const OPERATIONS: &[(&str, Operation)] = &[
    ("a mapping that is touched", |_| with_mapping(|at| touch(at, LEN))),
    ("a mapping that moves", |_| moved()),
    ("a mapping in parts", |_| {
        with_mapping(|at| {
            touch(at, LEN)?;
            // SAFETY: pages in the middle, which are not used.
            unsafe { mprotect(at.wrapping_byte_add(4 * PAGE), PAGE, MprotectFlags::READ) }?;
            // SAFETY: as above.
            unsafe { munmap(at.wrapping_byte_add(8 * PAGE), PAGE) }
        })
    }),
    ("a mapping that is locked and given back", |_| {
        with_mapping(|at| {
            // SAFETY: pages of the mapping, whose contents do not matter.
            unsafe {
                mlock(at, 4 * PAGE)?;
                rustix::mm::munlock(at, 4 * PAGE)?;
                madvise(at, LEN, Advice::LinuxDontNeed)
            }
        })
    }),
    ("shared memory", |_| {
        // SAFETY: the memory is this function's own and used within its length.
        unsafe {
            let at = mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)?;
            touch(at, LEN)?;
            unmap(at, LEN)
        }
    }),
    ("a file that is mapped", |_| {
        let file = memfd_create("mapped", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, LEN as u64)?;
        for flags in [MapFlags::SHARED, MapFlags::PRIVATE] {
            // SAFETY: as above; the file is as long as the mapping.
            unsafe {
                let at = mmap(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, flags, &file, 0)?;
                touch(at, LEN)?;
                unmap(at, LEN)?;
            }
        }
        Ok(())
    }),
    ("a shared file", |_| {
        let file = memfd_create("shared", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, 40_000)?;
        pwrite(&file, &[3; 9000], 20_000).map(|_| ())
    }),
];

/// Stores to each page. A store for which there is no memory is tried again by the kernel.
fn touch(at: *mut c_void, len: usize) -> Result<(), Errno> {
    for offset in (0..len).step_by(PAGE) {
        // SAFETY: callers have mapped as much there.
        unsafe { at.cast::<u8>().add(offset).write_volatile(1) };
    }
    Ok(())
}

/// Takes a mapping away. An order to fail may hit this too, but not twice.
///
/// # Safety
/// As for munmap.
unsafe fn unmap(at: *mut c_void, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { munmap(at, len).or_else(|_| munmap(at, len)) }
}

fn with_mapping(body: impl FnOnce(*mut c_void) -> Result<(), Errno>) -> Result<(), Errno> {
    // SAFETY: nothing else uses the memory.
    let at =
        unsafe { mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }?;
    let result = body(at);
    // SAFETY: as above.
    unsafe { unmap(at, LEN) }?;
    result
}

fn moved() -> Result<(), Errno> {
    const LEN: usize = 16 << 10;
    // SAFETY: the memory is this function's own; the old place is not used after the memory has moved.
    unsafe {
        let mut at = mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        at.cast::<u8>().write_volatile(9);
        let mut len = LEN;
        let result = mremap(at, LEN, 4 << 20, MremapFlags::MAYMOVE).map(|new| (at, len) = (new, 4 << 20));
        assert_eq!(at.cast::<u8>().read_volatile(), 9);
        unmap(at, len)?;
        result
    }
}
