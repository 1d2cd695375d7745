//! A program's registers, and the function of a test that plays the processor running it.

use std::boxed::Box;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use super::processor::here;
use super::world;
use crate::address::USER_END;
use crate::context::{Registers, Trap};
use crate::frame::OutOfMemory;

/// Bytes of the x87 and SSE state (Intel SDM vol. 1, 10.5.1, table 10-2).
const EXTENDED_LEN: usize = 512;

/// The floating-point and vector registers of a program, as bytes.
#[derive(Clone)]
pub struct ExtendedState {
    bytes: Box<[u8; EXTENDED_LEN]>,
}

impl ExtendedState {
    fn new() -> Self {
        Self { bytes: Box::new([0; EXTENDED_LEN]) }
    }

    /// The state as the processor stores it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..]
    }

    /// The components that the area can carry, as a mask; 0: only the legacy area.
    pub fn components(&self) -> u64 {
        0
    }

    /// Puts everything into its reset form.
    pub fn reset(&mut self) {
        self.bytes.fill(0);
    }

    /// Puts other bytes in; refused with `false` when they are not as many.
    pub fn replace(&mut self, from: &[u8]) -> bool {
        let is_same_len = from.len() == EXTENDED_LEN;
        if is_same_len {
            self.bytes.copy_from_slice(from);
        }
        is_same_len
    }
}

type Program = Box<dyn Fn(&mut Registers) -> Trap + Send + Sync>;

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// Sets what plays the processor in user mode: called for each entry, with the registers to change, it
/// returns why the program stopped. It runs as the current thread, so it can use the program's memory
/// through [`user`](crate::user). A test that has several programs tells them apart by `rip`. Called once.
pub fn set_program(program: impl Fn(&mut Registers) -> Trap + Send + Sync + 'static) {
    assert!(PROGRAM.set(Box::new(program)).is_ok(), "a second player of programs");
}

pub(crate) struct Context {
    registers: Registers,
    extended: ExtendedState,
    fs_base: u64,
    gs_base: u64,
}

/// Interrupts enabled, and the bit that is always one (Intel SDM vol. 1, 3.4.3).
const RESET_FLAGS: u64 = 0x202;

impl Context {
    pub fn new() -> Result<Self, OutOfMemory> {
        let registers = Registers { rflags: RESET_FLAGS, ..Registers::default() };
        Ok(Self { registers, extended: ExtendedState::new(), fs_base: 0, gs_base: 0 })
    }

    pub fn duplicate(&mut self) -> Result<Self, OutOfMemory> {
        let extended = self.extended.clone();
        Ok(Self { registers: self.registers.clone(), extended, fs_base: self.fs_base, gs_base: self.gs_base })
    }

    pub fn reset(&mut self) {
        *self = Self {
            registers: Registers { rflags: RESET_FLAGS, ..Registers::default() },
            extended: ExtendedState::new(),
            fs_base: 0,
            gs_base: 0,
        };
    }

    pub fn run(&mut self, has_work: impl Fn() -> bool) -> Trap {
        assert!(!super::is_atomic(), "entering user mode with a guard or lock held");
        world::point();
        if has_work() {
            return Trap::Interrupt;
        }
        here().quiescent.fetch_add(1, Relaxed);
        let Some(program) = PROGRAM.get() else {
            panic!("no program to run: see machine::hosted::set_program")
        };
        program(&mut self.registers)
    }

    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    pub fn registers_mut(&mut self) -> &mut Registers {
        &mut self.registers
    }

    pub fn extended(&mut self) -> &mut ExtendedState {
        &mut self.extended
    }

    pub fn fs_base(&mut self) -> u64 {
        self.fs_base
    }

    pub fn set_fs_base(&mut self, base: u64) -> bool {
        set_base(&mut self.fs_base, base)
    }

    pub fn gs_base(&mut self) -> u64 {
        self.gs_base
    }

    pub fn set_gs_base(&mut self, base: u64) -> bool {
        set_base(&mut self.gs_base, base)
    }
}

fn set_base(place: &mut u64, base: u64) -> bool {
    let is_user = base < USER_END as u64;
    if is_user {
        *place = base;
    }
    is_user
}
