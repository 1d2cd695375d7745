//! The processor's own state: registers, flags, handlers, time.

/// Flag bits.
pub const FLAG_Z: u32 = 1;
pub const FLAG_C: u32 = 2;
pub const FLAG_I: u32 = 4;
pub const FLAG_E: u32 = 8;

/// Number of the stack pointer and of the instruction pointer.
pub(crate) const SP: usize = 14;
pub(crate) const IP: usize = 15;

/// Which of the two register banks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bank {
    /// What a program runs in.
    #[default]
    Generic,
    /// What an interrupt handler runs in.
    Interrupt,
}

/// Whether instructions are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    #[default]
    Running,
    /// The program waits for an interrupt to become pending; cycles pass without instructions.
    Asleep,
    /// The program has switched the machine off, with this exit status. Only a reset starts it again.
    Off(u32),
}

/// Everything that the processor remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub(crate) banks: [[u32; 16]; 2],
    pub(crate) bank: Bank,
    pub(crate) flags: u32,
    pub(crate) exception_handlers: [Option<u32>; 16],
    pub(crate) interrupt_handlers: [Option<u32>; 16],
    pub(crate) power: Power,
    /// Steps since power-on. It is the machine's only time, so a reset leaves it alone.
    pub(crate) cycle: u64,
}

impl Cpu {
    /// The registers of the bank in use.
    pub fn registers(&self) -> &[u32; 16] {
        &self.banks[self.bank as usize]
    }

    pub(crate) fn registers_mut(&mut self) -> &mut [u32; 16] {
        &mut self.banks[self.bank as usize]
    }

    /// The registers of one bank.
    pub fn bank_registers(&self, bank: Bank) -> &[u32; 16] {
        &self.banks[bank as usize]
    }

    /// The bank in use.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// The flags: [`FLAG_Z`], [`FLAG_C`], [`FLAG_I`], [`FLAG_E`].
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Address of the next instruction.
    pub fn ip(&self) -> u32 {
        self.registers()[IP]
    }

    /// The stack pointer of the bank in use.
    pub fn sp(&self) -> u32 {
        self.registers()[SP]
    }

    /// Steps since power-on.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Whether instructions are executed.
    pub fn power(&self) -> Power {
        self.power
    }

    /// Where exceptions are handled, by number.
    pub fn exception_handlers(&self) -> &[Option<u32>; 16] {
        &self.exception_handlers
    }

    /// Where interrupts are handled, by number.
    pub fn interrupt_handlers(&self) -> &[Option<u32>; 16] {
        &self.interrupt_handlers
    }
}
