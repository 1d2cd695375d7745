//! Our registers in the clothes of 32-bit Arm's.

use gdbstub::arch::{Arch, Registers};

/// gdb's number of each of our registers: r13 and r14 change places, so that gdb finds the stack pointer in `sp`.
const FROM_GDB: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 13, 15];

/// The borrowed architecture.
pub(super) enum BorrowedArm {}

impl Arch for BorrowedArm {
    type Usize = u32;
    type Registers = CoreRegisters;
    type BreakpointKind = usize;
    type RegId = ();

    fn target_description_xml() -> Option<&'static str> {
        Some(
            r#"<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0"><architecture>arm</architecture><feature name="org.gnu.gdb.arm.core"><reg name="r0" bitsize="32" type="uint32"/><reg name="r1" bitsize="32" type="uint32"/><reg name="r2" bitsize="32" type="uint32"/><reg name="r3" bitsize="32" type="uint32"/><reg name="r4" bitsize="32" type="uint32"/><reg name="r5" bitsize="32" type="uint32"/><reg name="r6" bitsize="32" type="uint32"/><reg name="r7" bitsize="32" type="uint32"/><reg name="r8" bitsize="32" type="uint32"/><reg name="r9" bitsize="32" type="uint32"/><reg name="r10" bitsize="32" type="uint32"/><reg name="r11" bitsize="32" type="uint32"/><reg name="r12" bitsize="32" type="uint32"/><reg name="sp" bitsize="32" type="data_ptr"/><reg name="lr" bitsize="32" type="uint32"/><reg name="pc" bitsize="32" type="code_ptr"/><reg name="cpsr" bitsize="32" type="uint32" regnum="25"/></feature></target>"#,
        )
    }
}

/// Our sixteen registers, in our order, and the flags.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CoreRegisters {
    pub registers: [u32; 16],
    pub flags: u32,
}

impl Registers for CoreRegisters {
    type ProgramCounter = u32;

    fn pc(&self) -> u32 {
        self.registers[15]
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        let values = FROM_GDB.iter().map(|&number| self.registers[number]).chain([self.flags]);
        for byte in values.flat_map(u32::to_le_bytes) {
            write_byte(Some(byte));
        }
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let mut words = bytes
            .chunks_exact(4)
            .map(|word| word.iter().rev().fold(0u32, |all, &byte| all << 8 | u32::from(byte)));
        for number in FROM_GDB {
            self.registers[number] = words.next().ok_or(())?;
        }
        self.flags = words.next().ok_or(())?;
        Ok(())
    }
}
