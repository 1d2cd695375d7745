//! Entering a program, and its extended state.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::boxed::Box;
use core::arch::asm;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::cpuid::features;
use super::local::{is_reschedule_due, local, note_quiescent};
use super::{descriptors, instructions, task, traps};
use crate::address::{USER_END, UserAddress};
use crate::context::{Access, Exception, Registers, Trap};
use crate::frame::OutOfMemory;
use crate::heap::{request, try_box};

const MSR_FS_BASE: u32 = 0xc000_0100;
const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;

/// Reset values (Intel SDM vol. 1, 8.1.5 and 10.2.3): x87 control word and MXCSR.
const FCW: u16 = 0x37f;
const MXCSR: u32 = 0x1f80;
/// Length of the legacy region, which FXSAVE writes, and of the header that XSAVE adds.
const LEGACY: usize = 512;
const HEADER: usize = 64;

/// What stays in the processor when a program enters the kernel: x87, SSE, AVX state and the two segment
/// bases. Filled when another program's thread takes the processor over, or on demand.
pub struct Extended {
    area: NonNull<u8>,
    fs_base: u64,
    gs_base: u64,
}

/// The extended state in memory, in the processor's XSAVE format (standard form), as signal frames carry it.
pub struct ExtendedState {
    extended: Extended,
}

// SAFETY: the area is an allocation of its own, used through the one owner.
unsafe impl Send for Extended {}
// SAFETY: a shared reference only reads the area.
unsafe impl Sync for Extended {}

fn layout() -> Layout {
    match Layout::from_size_align(features().xsave_len, 64) {
        Ok(layout) => layout,
        Err(_) => unreachable!("the area is a few kilobytes"),
    }
}

impl Extended {
    fn new() -> Result<Self, OutOfMemory> {
        request()?;
        // SAFETY: the layout has a size.
        let area = NonNull::new(unsafe { alloc_zeroed(layout()) }).ok_or(OutOfMemory)?;
        let mut extended = Self { area, fs_base: 0, gs_base: 0 };
        extended.reset();
        Ok(extended)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the area has that length, is initialised, and nobody writes it while `self` is borrowed:
        // the processor's copy is written back only by `save`, which owners keep apart (see `Context`).
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), layout().size()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, uniquely borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.area.as_ptr(), layout().size()) }
    }

    fn reset(&mut self) {
        self.reset_bytes();
        self.fs_base = 0;
        self.gs_base = 0;
    }

    fn reset_bytes(&mut self) {
        let bytes = self.bytes_mut();
        bytes.fill(0);
        bytes[0..2].copy_from_slice(&FCW.to_le_bytes());
        bytes[24..28].copy_from_slice(&MXCSR.to_le_bytes());
    }

    /// Puts the processor's state here.
    ///
    /// # Safety
    /// `this` is alive and nobody looks at it; the state in the processor is its own.
    unsafe fn save(this: *mut Self) {
        let features = features();
        // SAFETY: the area is large enough for all of XCR0 and aligned; bits asked for are enabled. The bases
        // are read by instructions that exist (or from their registers).
        unsafe {
            let area = (*this).area.as_ptr();
            let (low, high) = (features.xcr0 as u32, (features.xcr0 >> 32) as u32);
            if features.xsaveopt {
                asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, preserves_flags));
            } else if features.xsave {
                asm!("xsave64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, preserves_flags));
            } else {
                asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags));
            }
            if features.fsgsbase {
                // Programs may have changed the bases themselves.
                asm!("rdfsbase {}", out(reg)(*this).fs_base, options(nomem, nostack, preserves_flags));
                (*this).gs_base = instructions::read_msr(MSR_KERNEL_GS_BASE);
            }
        }
    }

    /// Puts the state kept here into the processor.
    fn load(&self) {
        let features = features();
        // SAFETY: the area holds what `save`, `reset` or the checked `ExtendedState::replace` put there,
        // which the processor accepts. The bases were checked to be canonical user addresses, or came from
        // the processor.
        unsafe {
            let area = self.area.as_ptr();
            if features.xsave {
                let (low, high) = (features.xcr0 as u32, (features.xcr0 >> 32) as u32);
                asm!("xrstor64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack, preserves_flags));
            } else {
                asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
            }
            if features.fsgsbase {
                asm!("wrfsbase {}", in(reg) self.fs_base, options(nomem, nostack, preserves_flags));
            } else {
                instructions::write_msr(MSR_FS_BASE, self.fs_base);
            }
            instructions::write_msr(MSR_KERNEL_GS_BASE, self.gs_base);
        }
    }
}

impl Drop for Extended {
    fn drop(&mut self) {
        // SAFETY: the area came from the allocator with this layout.
        unsafe { dealloc(self.area.as_ptr(), layout()) };
    }
}

impl ExtendedState {
    /// The bytes: the 512-byte legacy area, and where the processor has XSAVE a 64-byte header and the
    /// components.
    pub fn bytes(&self) -> &[u8] {
        self.extended.bytes()
    }

    /// The components that the area can carry, as a mask (XCR0); 0 without XSAVE.
    pub fn components(&self) -> u64 {
        if features().xsave { features().xcr0 } else { 0 }
    }

    /// Puts everything into its reset form, as a signal handler or a new program finds it.
    pub fn reset(&mut self) {
        self.extended.reset_bytes();
    }

    /// Takes over bytes that a program made up: 512 of them, or as many as [`bytes`](Self::bytes) has. What
    /// the processor would refuse is masked or makes the answer `false`, and then nothing has changed.
    pub fn replace(&mut self, from: &[u8]) -> bool {
        let len = self.extended.bytes().len();
        if from.len() != len && from.len() != LEGACY {
            return false;
        }
        if from.len() >= LEGACY + HEADER {
            // XSTATE_BV may name enabled components only; XCOMP_BV and the rest of the header must be zero
            // (SDM vol. 1, 13.8).
            let word =
                |at: usize| from[at..at + 8].iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
            if word(LEGACY) & !features().xcr0 != 0
                || from[LEGACY + 8..LEGACY + HEADER].iter().any(|&byte| byte != 0)
            {
                return false;
            }
        }
        let bytes = self.extended.bytes_mut();
        bytes[..from.len()].copy_from_slice(from);
        if from.len() == LEGACY && len > LEGACY {
            bytes[LEGACY..].fill(0);
            bytes[LEGACY] = 3; // x87 and SSE are in the legacy area
        }
        let mxcsr = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
        bytes[24..28].copy_from_slice(&(mxcsr & 0xffff).to_le_bytes());
        true
    }
}

/// The state of a program's thread.
///
/// `extended` may be "live": its content is in the registers of the processor whose `Local::live` points to
/// it, which is always the one that the thread runs on (a switch to another thread saves it). Then the bytes
/// here are out of date, and only `save_live` may write them.
pub struct Context {
    registers: Registers,
    extended: Box<ExtendedState>,
}

impl Context {
    pub fn new() -> Result<Self, OutOfMemory> {
        let mut context = Self {
            registers: Registers::default(),
            extended: try_box(ExtendedState { extended: Extended::new()? })?,
        };
        context.reset_registers();
        Ok(context)
    }

    fn reset_registers(&mut self) {
        self.registers = Registers {
            cs: u64::from(descriptors::USER_CODE),
            ss: u64::from(descriptors::USER_DATA),
            rflags: instructions::FLAG_INTERRUPT | 2,
            ..Registers::default()
        };
    }

    pub fn duplicate(&mut self) -> Result<Self, OutOfMemory> {
        let mut copy = Extended::new()?;
        let mine = &self.extended().extended;
        copy.bytes_mut().copy_from_slice(mine.bytes());
        copy.fs_base = mine.fs_base;
        copy.gs_base = mine.gs_base;
        Ok(Self { registers: self.registers.clone(), extended: try_box(ExtendedState { extended: copy })? })
    }

    pub fn reset(&mut self) {
        self.reset_registers();
        self.extended().extended.reset();
    }

    #[inline]
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    #[inline]
    pub fn registers_mut(&mut self) -> &mut Registers {
        &mut self.registers
    }

    /// The extended state, brought up to date in memory; the next `run` loads it again.
    pub fn extended(&mut self) -> &mut ExtendedState {
        let pointer = &raw mut self.extended.extended;
        let flags = instructions::flags();
        instructions::disable_interrupts();
        if local().live.load(Ordering::Relaxed) == pointer {
            save_live();
        }
        if flags & instructions::FLAG_INTERRUPT != 0 {
            instructions::enable_interrupts();
        }
        &mut self.extended
    }

    pub fn fs_base(&mut self) -> u64 {
        self.extended().extended.fs_base
    }

    pub fn set_fs_base(&mut self, base: u64) -> bool {
        let is_user = base < USER_END as u64;
        if is_user {
            self.extended().extended.fs_base = base;
        }
        is_user
    }

    pub fn gs_base(&mut self) -> u64 {
        self.extended().extended.gs_base
    }

    pub fn set_gs_base(&mut self, base: u64) -> bool {
        let is_user = base < USER_END as u64;
        if is_user {
            self.extended().extended.gs_base = base;
        }
        is_user
    }

    pub fn run(&mut self, has_work: impl Fn() -> bool) -> Trap {
        let registers = &raw mut self.registers;
        self.registers.rflags =
            self.registers.rflags & Registers::USER_FLAGS | instructions::FLAG_INTERRUPT | 2;
        instructions::disable_interrupts();
        while is_reschedule_due() && task::has_scheduler() {
            instructions::enable_interrupts();
            task::call_reschedule_hook();
            instructions::disable_interrupts();
        }
        if has_work() {
            instructions::enable_interrupts();
            return Trap::Interrupt;
        }
        // After the work: it includes the signal for this, which gives the program another address.
        if self.registers.rip >> 47 != 0 {
            // IRET would refuse the address while still in kernel mode.
            instructions::enable_interrupts();
            return Trap::Exception(Exception { vector: 13, code: 0 });
        }
        let extended = &raw mut self.extended.extended;
        let local = local();
        if local.live.load(Ordering::Relaxed) != extended {
            self.extended.extended.load();
            local.live.store(extended, Ordering::Relaxed);
        }
        note_quiescent();
        // SAFETY: the registers are part of `self`, which is borrowed until `run` returns; their selectors
        // are set by `reset_registers` and private, the flags and the instruction pointer were made
        // acceptable above. The thread's address space is loaded by the switch to it.
        let vector = unsafe { traps::run(registers) };
        if vector == traps::CALL {
            instructions::enable_interrupts();
            return Trap::Call;
        }
        self.trap(vector)
    }

    #[inline(never)]
    fn trap(&self, vector: u64) -> Trap {
        let code = self.registers.code;
        if vector == traps::PAGE_FAULT {
            let address = UserAddress(instructions::read_cr2() as usize);
            instructions::enable_interrupts();
            if code & 1 << 2 == 0 {
                // Not the program's own access, but one that the processor made for it with the kernel's rights
                // (SDM vol. 3, 4.6.1), or an emulator's idea of one: no page that is brought in would help.
                return Trap::Exception(Exception { vector: vector as u8, code });
            }
            let access = match code {
                _ if code & 1 << 4 != 0 => Access::Execute,
                _ if code & 1 << 1 != 0 => Access::Write,
                _ => Access::Read,
            };
            return Trap::Fault { address, access, is_protection: code & 1 != 0 };
        }
        if vector >= 32 {
            traps::interrupt_from_user(vector as u8);
            instructions::enable_interrupts();
            return Trap::Interrupt;
        }
        instructions::enable_interrupts();
        Trap::Exception(Exception { vector: vector as u8, code })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // A thread drops its own context, or one that was never run.
        let pointer = &raw mut self.extended.extended;
        let live = &local().live;
        let _ = live.compare_exchange(pointer, core::ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Saves what is live on this processor; interrupts are off.
pub fn save_live() {
    let live = &local().live;
    let pointer = live.load(Ordering::Relaxed);
    if !pointer.is_null() {
        // SAFETY: the pointer was stored by the `run` of a context that has been neither dropped (its drop
        // clears it) nor moved (it is boxed); the thread that owns it is the current one, here and not in
        // `run`, or is being switched away from.
        unsafe { Extended::save(pointer) };
        live.store(core::ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Prepares a processor: nothing is live on it, its x87 is in reset form.
pub fn init_processor() {
    // SAFETY: initialises the x87 unit; no program's state is in it yet.
    unsafe { asm!("fninit", options(nomem, nostack)) };
}
