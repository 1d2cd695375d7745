//! The time-stamp counter, processes and mappings: what safe wrappers do not offer.
#![expect(unsafe_code, reason = "fork, execve, mmap and RDTSC have no safe wrapper")]

use rustix::io::{Errno, Result};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::arch::asm;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::AtomicU64;

/// Bytes of a page.
pub const PAGE: usize = 4096;

// Numbers of arch/x86/entry/syscalls/syscall_64.tbl.
const SYS_FORK: usize = 57;
const SYS_EXECVE: usize = 59;
const SYS_EXIT_GROUP: usize = 231;

/// The time-stamp counter, read after the instructions before it (Intel SDM volume 2B, RDTSC).
pub fn ticks() -> u64 {
    // SAFETY: both instructions exist on every x86-64 processor and touch no memory.
    unsafe {
        std::arch::x86_64::_mm_lfence();
        std::arch::x86_64::_rdtsc()
    }
}

/// A child process.
#[derive(Debug)]
pub struct Child(Pid);

impl Child {
    /// Forks; the child runs `work` and exits, with status 1 if that failed. `work` may not allocate or take locks: a thread that held one is not there.
    pub fn start(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        // SAFETY: fork takes no argument; the child has a copy of this thread's stack and goes on below.
        let result = unsafe { call(SYS_FORK, [0; 3]) };
        if result == 0 {
            exit(work().is_err().into());
        }
        let id = i32::try_from(result).map_err(|_| Errno::INVAL)?;
        Pid::from_raw(id)
            .filter(|_| id > 0)
            .map(Self)
            .ok_or_else(|| Errno::from_raw_os_error(id.wrapping_neg()))
    }

    /// Waits for the child's end; ECHILD when it failed.
    pub fn wait(self) -> Result<()> {
        match waitpid(Some(self.0), WaitOptions::empty())? {
            Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
            _ => Err(Errno::CHILD),
        }
    }

    /// Ends the child and waits for it.
    pub fn end(self) -> Result<()> {
        kill_process(self.0, Signal::KILL)?;
        waitpid(Some(self.0), WaitOptions::empty()).map(|_| ())
    }
}

/// Replaces this program by the one at `path` with one argument after its name and an empty environment. Returns only when
/// that fails.
pub fn execute(path: &CStr, argument: &CStr) -> Result<()> {
    let arguments = [path.as_ptr(), argument.as_ptr(), ptr::null()];
    let environment = [ptr::null::<c_void>()];
    // SAFETY: three pointers to zero-ended sequences that live until the call returns, if it does.
    let result = unsafe {
        call(SYS_EXECVE, [path.as_ptr() as usize, arguments.as_ptr() as usize, environment.as_ptr() as usize])
    };
    Err(Errno::from_raw_os_error(i32::try_from(-result).unwrap_or(0)))
}

/// Ends this process without the program's own clean-up, which belongs to the parent.
fn exit(status: usize) -> ! {
    loop {
        // SAFETY: exit_group takes a number and does not return.
        unsafe { call(SYS_EXIT_GROUP, [status, 0, 0]) };
    }
}

/// A system call of up to three arguments.
///
/// # Safety
/// As the call demands of its arguments.
unsafe fn call(number: usize, arguments: [usize; 3]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; SYSCALL changes rax, rcx and r11 alone.
    unsafe {
        asm!("syscall", inlateout("rax") number => result,
             in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
             lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// A number, zero at first, that this process and its later children share until they end.
pub fn shared_number() -> Result<&'static AtomicU64> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: without an address the kernel chooses one that nothing uses.
    let start = unsafe { mmap_anonymous(ptr::null_mut(), PAGE, protection, MapFlags::SHARED) }?;
    // SAFETY: the page is zeroed, aligned, never unmapped, and reached through this reference alone.
    Ok(unsafe { &*start.cast::<AtomicU64>() })
}

/// Anonymous private memory; dropped without a call, so that [`Mapping::unmap`] can be measured.
#[derive(Debug)]
pub struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes, a multiple of [`PAGE`].
    pub fn new(len: usize) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: without an address the kernel chooses one that nothing uses.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE) }?;
        Ok(Self { start: start.cast(), len })
    }

    /// Keeps the kernel from filling more than one page a fault.
    pub fn with_small_pages(self) -> Result<Self> {
        // SAFETY: the range is this mapping's; the advice changes no contents.
        match unsafe { madvise(self.start.cast(), self.len, Advice::LinuxNoHugepage) } {
            // A kernel without huge pages knows no such advice.
            Ok(()) | Err(Errno::INVAL) => Ok(self),
            Err(error) => Err(error),
        }
    }

    /// Stores a byte into each page.
    pub fn touch(&mut self) {
        for offset in (0..self.len).step_by(PAGE) {
            // SAFETY: the offset is inside the mapping, which nothing else refers to.
            unsafe { self.start.add(offset).write_volatile(1) };
        }
    }

    /// Gives the memory back.
    pub fn unmap(self) -> Result<()> {
        // SAFETY: the range is this mapping's, and the mapping ends here.
        unsafe { munmap(self.start.cast(), self.len) }
    }
}
