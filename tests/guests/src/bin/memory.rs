//! Memory: mapping, protection, moving and growing, files mapped shared and private, what a child shares, brk.
#![expect(unsafe_code, reason = "mapping memory is what safe code cannot do")]

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::{Errno, pread, pwrite};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MremapFlags, MsyncFlags, ProtFlags, madvise, mmap, mmap_anonymous,
    mprotect, mremap, msync, munmap,
};
use std::arch::asm;
use std::ffi::c_void;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{null_mut, read_volatile, write_volatile};

const PAGE: usize = 4096;
const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

fn main() -> io::Result<()> {
    anonymous()?;
    refused();
    remapped()?;
    files()?;
    sealed()?;
    pages_for_a_pipe()?;
    brk();
    many_areas()?;
    children()
}

/// So many areas with so long a name that /proc tells several mebibytes of them.
fn many_areas() -> io::Result<()> {
    const AREAS: usize = 16_000;
    let file = memfd_create("n".repeat(240), MemfdFlags::CLOEXEC)?;
    ftruncate(&file, PAGE as u64)?;
    let mut all = Vec::with_capacity(AREAS);
    for _ in 0..AREAS {
        // SAFETY: the memory is this function's own, and not used.
        all.push(unsafe { mmap(null_mut(), PAGE, ProtFlags::READ, MapFlags::SHARED, &file, 0) }?);
    }
    let maps = std::fs::read("/proc/self/maps")?;
    let named = maps.split(|&byte| byte == b'\n').filter(|line| line.ends_with(b"nnn (deleted)"));
    println!("areas: {} told, over 4 MiB: {}", named.count(), maps.len() > 4 << 20);
    for at in all {
        // SAFETY: as above.
        unsafe { munmap(at, PAGE) }?;
    }
    Ok(())
}

/// `len` bytes of fresh memory.
fn map(len: usize, flags: MapFlags) -> Result<*mut c_void, Errno> {
    // SAFETY: without an address given nothing that is in use is replaced.
    unsafe { mmap_anonymous(null_mut(), len, READ_WRITE, flags) }
}

/// The byte at `at`, which must be mapped by this program.
fn get(at: *mut c_void, offset: usize) -> u8 {
    // SAFETY: callers pass memory that they have mapped and not yet given back.
    unsafe { read_volatile(at.cast::<u8>().add(offset)) }
}

fn set(at: *mut c_void, offset: usize, value: u8) {
    // SAFETY: callers pass memory that they have mapped writable and not yet given back.
    unsafe { write_volatile(at.cast::<u8>().add(offset), value) }
}

fn anonymous() -> io::Result<()> {
    let len = 64 * PAGE;
    let at = map(len, MapFlags::PRIVATE)?;
    println!("fresh memory is zero: {}", (0..len).step_by(512).all(|offset| get(at, offset) == 0));
    for page in 0..64 {
        set(at, page * PAGE, page as u8);
    }
    // SAFETY: the ranges lie in the mapping made above, which nothing else uses.
    unsafe {
        munmap(at.add(8 * PAGE), 8 * PAGE)?;
        println!("a hole cannot be protected: {:?}", mprotect(at, len, MprotectFlags::READ));
        println!("nor advised: {:?}", madvise(at, len, Advice::Normal));
        println!("a hole can be unmapped again: {:?}", munmap(at.add(4 * PAGE), 16 * PAGE));
        mprotect(at.add(20 * PAGE), 8 * PAGE, MprotectFlags::READ)?;
        mprotect(at.add(22 * PAGE), PAGE, MprotectFlags::READ | MprotectFlags::WRITE)?;
        madvise(at.add(30 * PAGE), 2 * PAGE, Advice::LinuxDontNeed)?;
    }
    set(at, 22 * PAGE, 99);
    println!("protected parts: {:?}", [20, 21, 22, 23, 28].map(|page| get(at, page * PAGE)));
    println!("given up: {:?}", [29, 30, 31, 32].map(|page| get(at, page * PAGE)));
    let fixed = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: as above; the mapping replaces a part of this program's own.
    unsafe {
        let over = mmap_anonymous(at.add(32 * PAGE), PAGE, READ_WRITE, fixed)?;
        println!("mapped over: {}", over == at.add(32 * PAGE));
        let kept = mmap_anonymous(
            at.add(33 * PAGE),
            PAGE,
            READ_WRITE,
            MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE,
        );
        println!("not mapped over: {:?}", kept.err());
    }
    println!("replaced: {:?}", [31, 32, 33].map(|page| get(at, page * PAGE)));
    // SAFETY: nothing uses the memory afterwards.
    unsafe { munmap(at, len)? };
    Ok(())
}

/// What mmap(2), munmap(2) and mremap(2) must refuse.
fn refused() {
    println!("no length: {:?}", map(0, MapFlags::PRIVATE).err());
    println!("all of memory: {:?}", map(usize::MAX, MapFlags::PRIVATE).err());
    println!("neither private nor shared: {:?}", map(PAGE, MapFlags::empty()).err());
    let fixed = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: every call is refused before anything is changed.
    unsafe {
        println!("crooked: {:?}", mmap_anonymous(9 as *mut c_void, PAGE, READ_WRITE, fixed).err());
        let kernel = 0xffff_8000_0000_0000_u64 as *mut c_void;
        println!("the kernel's half: {:?}", mmap_anonymous(kernel, PAGE, READ_WRITE, fixed).err());
        println!("unmap nothing: {:?}", munmap(PAGE as *mut c_void, 0));
        println!("unmap crooked: {:?}", munmap(null_mut::<c_void>().wrapping_byte_add(1), PAGE));
        println!("unmap the kernel: {:?}", munmap(kernel, PAGE));
        println!("protect nothing: {:?}", mprotect(PAGE as *mut c_void, 0, MprotectFlags::READ));
        println!("protect what is not there: {:?}", mprotect(null_mut(), PAGE, MprotectFlags::READ));
        println!("move nothing: {:?}", mremap(null_mut(), PAGE, PAGE, MremapFlags::MAYMOVE).err());
        println!("sync what is not there: {:?}", msync(null_mut(), PAGE, MsyncFlags::SYNC));
    }
}

fn remapped() -> io::Result<()> {
    let at = map(4 * PAGE, MapFlags::PRIVATE)?;
    for page in 0..4 {
        set(at, page * PAGE, page as u8 + 1);
    }
    // SAFETY: only this function's own mapping is moved; the old addresses are not used again.
    unsafe {
        mmap_anonymous(at.add(3 * PAGE), PAGE, READ_WRITE, MapFlags::SHARED | MapFlags::FIXED)?;
        println!(
            "in place over a neighbour: {:?}",
            mremap(at, 3 * PAGE, 8 * PAGE, MremapFlags::empty()).err()
        );
        let moved = mremap(at, 3 * PAGE, 300 * PAGE, MremapFlags::MAYMOVE)?;
        println!("moved: {}", moved != at);
        println!("content: {:?}", [0, 1, 2, 3, 299].map(|page| get(moved, page * PAGE)));
        let shrunk = mremap(moved, 300 * PAGE, 2 * PAGE, MremapFlags::empty())?;
        println!("shrunk in place: {}", shrunk == moved);
        println!("the rest is gone: {:?}", mprotect(moved.add(2 * PAGE), PAGE, MprotectFlags::READ));
        println!("the old place too: {:?}", mprotect(at, PAGE, MprotectFlags::READ));
        munmap(moved, 2 * PAGE)?;
        munmap(at.add(3 * PAGE), PAGE)?;
    }
    Ok(())
}

/// What seals forbid to mappings, and mappings to seals.
fn sealed() -> io::Result<()> {
    for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE] {
        let file = memfd_create("sealed", MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, PAGE as u64)?;
        // SAFETY: fresh mappings of a file that only this function knows.
        let map = |protection, flags| unsafe { mmap(null_mut(), PAGE, protection, flags, &file, 0) };
        let shared = map(READ_WRITE, MapFlags::SHARED)?;
        println!("sealed while it is mapped: {:?}", fcntl_add_seals(&file, seal));
        // SAFETY: nobody uses it any more.
        unsafe { munmap(shared, PAGE) }?;
        println!("sealed: {:?}", fcntl_add_seals(&file, seal));
        println!("mapped to write: {:?}", map(READ_WRITE, MapFlags::SHARED).err());
        println!("a copy: {:?}", map(READ_WRITE, MapFlags::PRIVATE).err());
        let shared = map(ProtFlags::READ, MapFlags::SHARED)?;
        // SAFETY: only what may be done with the memory changes.
        let changed = unsafe { mprotect(shared, PAGE, MprotectFlags::READ | MprotectFlags::WRITE) };
        println!("made writable: {changed:?}");
    }
    Ok(())
}

/// vmsplice gives a pipe what there is room for, and waits only for the first byte.
fn pages_for_a_pipe() -> io::Result<()> {
    const VMSPLICE: usize = 278;
    let (reader, writer) = rustix::pipe::pipe()?;
    // SAFETY: fresh memory.
    let memory = unsafe { mmap_anonymous(null_mut(), 40 * PAGE, READ_WRITE, MapFlags::PRIVATE) }?;
    let segment = [memory as usize, 40 * PAGE];
    let give = |flags| {
        let arguments = [writer.as_raw_fd() as usize, segment.as_ptr() as usize, 1, flags, 0, 0];
        // SAFETY: the call reads memory that stays as it is.
        unsafe { guests::call(VMSPLICE, arguments) }
    };
    println!("pages that a pipe takes: {}", give(0));
    println!("that a full one takes: {}", give(2));
    println!("taken: {:?}", rustix::io::read(&reader, &mut [0; 3 * PAGE]));
    println!("that one with room takes: {}", give(0));
    drop(reader);
    // SAFETY: only the kernel looked at it.
    unsafe { munmap(memory, 40 * PAGE) }?;
    Ok(())
}

fn files() -> io::Result<()> {
    let file = memfd_create("mapped", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, (2 * PAGE + 10) as u64)?;
    pwrite(&file, b"content", 0)?;
    // SAFETY: fresh mappings of a file that only this function knows.
    let (shared, private) = unsafe {
        (
            mmap(null_mut(), 3 * PAGE, READ_WRITE, MapFlags::SHARED, &file, 0)?,
            mmap(null_mut(), 3 * PAGE, READ_WRITE, MapFlags::PRIVATE, &file, 0)?,
        )
    };
    println!("read: {} {}", get(shared, 0), get(private, 0));
    set(private, 0, b'P');
    set(shared, 1, b'S');
    set(shared, PAGE, b'T');
    let mut bytes = [0; 4];
    pread(&file, &mut bytes, 0)?;
    println!("in the file: {}", bytes.escape_ascii());
    println!(
        "private sees its own and, on other pages, the file's: {} {}",
        get(private, 0),
        get(private, PAGE)
    );
    pwrite(&file, b"written", PAGE as u64)?;
    println!("a write is seen: {} {}", get(shared, PAGE), get(private, PAGE));
    println!("behind the end: {}", get(shared, 2 * PAGE + 100));
    ftruncate(&file, 0)?;
    ftruncate(&file, PAGE as u64)?;
    println!("truncated: {} {}", get(shared, 0), get(shared, 1));
    // SAFETY: the calls fail, or give back what is not used again.
    unsafe {
        println!(
            "crooked offset: {:?}",
            mmap(null_mut(), PAGE, READ_WRITE, MapFlags::SHARED, &file, 12).err()
        );
        println!("synced: {:?}", msync(shared, PAGE, MsyncFlags::SYNC));
        munmap(shared, 3 * PAGE)?;
        munmap(private, 3 * PAGE)?;
    }
    let reader = std::fs::File::open("/proc/self/exe")?;
    // SAFETY: the call is refused.
    let refused = unsafe { mmap(null_mut(), PAGE, READ_WRITE, MapFlags::SHARED, &reader, 0).err() };
    println!("a file open for reading, shared and writable: {refused:?}");
    Ok(())
}

/// A call without pointers that this program has to keep valid.
fn call(number: usize, arguments: [usize; 4]) -> isize {
    let result: isize;
    // SAFETY: used for brk above the end of the heap, fork, exit and wait4 only.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") arguments[0], in("rsi") arguments[1],
             in("rdx") arguments[2], in("r10") arguments[3], lateout("rcx") _, lateout("r11") _);
    }
    result
}

fn brk() {
    const SYS_BRK: usize = 12;
    let start = call(SYS_BRK, [0; 4]) as usize;
    let aligned = start.next_multiple_of(PAGE);
    println!("grown: {}", call(SYS_BRK, [aligned + 100 * PAGE, 0, 0, 0]) as usize == aligned + 100 * PAGE);
    let at = aligned as *mut c_void;
    println!("zero: {}", (0..100).all(|page| get(at, page * PAGE) == 0));
    set(at, 50 * PAGE, 1);
    println!("shrunk: {}", call(SYS_BRK, [aligned + 10, 0, 0, 0]) as usize == aligned + 10);
    println!(
        "grown again: {}",
        call(SYS_BRK, [aligned + 60 * PAGE, 0, 0, 0]) as usize == aligned + 60 * PAGE
    );
    println!("zero again: {}", get(at, 50 * PAGE));
    println!("too far: {}", call(SYS_BRK, [1 << 62, 0, 0, 0]) as usize == aligned + 60 * PAGE);
    println!("below its start: {}", call(SYS_BRK, [PAGE, 0, 0, 0]) as usize == aligned + 60 * PAGE);
}

/// What a child writes is seen in shared memory and nowhere else.
fn children() -> io::Result<()> {
    const SYS_FORK: usize = 57;
    const SYS_EXIT_GROUP: usize = 231;
    const SYS_WAIT4: usize = 61;
    let shared = map(64 * PAGE, MapFlags::SHARED)?;
    let private = map(64 * PAGE, MapFlags::PRIVATE)?;
    set(private, 0, 5);
    for child in 1..=8 {
        if call(SYS_FORK, [0; 4]) == 0 {
            for page in 0..64 {
                set(shared, page * PAGE + child, child as u8 + get(private, page * PAGE));
                set(private, page * PAGE, 77);
            }
            call(SYS_EXIT_GROUP, [child, 0, 0, 0]);
        }
    }
    let ended = (0..8).filter(|_| call(SYS_WAIT4, [usize::MAX, 0, 0, 0]) > 0).count();
    println!("ended: {ended}, one more: {}", call(SYS_WAIT4, [usize::MAX, 0, 0, 0]));
    for page in [0, 1, 63] {
        println!("shared page {page}: {:?}", [1, 2, 7, 8, 9].map(|byte| get(shared, page * PAGE + byte)));
    }
    println!("private: {:?}", [0, 1, 63].map(|page| get(private, page * PAGE)));
    Ok(())
}
