//! The GDB remote protocol: scripted packets, and packets of chance.
#![cfg(feature = "gdb")]

use proptest::prelude::*;
use soc_assembler::{NoFiles, Options, assemble};
use soc_debugger::{Debugger, gdb};
use soc_machine::{Machine, Quirks};
use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// A gdb that says what it was told to and then hangs up. It lets the machine have one slice before it interrupts.
struct Script {
    says: VecDeque<u8>,
    hears: Vec<u8>,
    is_waited_for: bool,
    has_waited: bool,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_waited_for && !std::mem::replace(&mut self.has_waited, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match (self.says.pop_front(), buffer.first_mut()) {
            (Some(byte), Some(place)) => {
                *place = byte;
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hears.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl gdb::Stream for Script {
    fn set_waiting(&mut self, is_waiting: bool) -> io::Result<()> {
        self.has_waited &= !is_waiting;
        self.is_waited_for = is_waiting;
        Ok(())
    }
}

fn session(bytes: Vec<u8>) -> (Debugger, String) {
    let text = "mov r14, 0x8000\nloop: add r1, 1\nst32 0x6000, r1\njmp loop\n";
    let program = assemble("t.asm", text, Options::default(), &mut NoFiles).program.unwrap();
    let machine = Machine::new(&program.image, Quirks::default(), 0).unwrap();
    let mut debugger = Debugger::new(machine, program.symbols, program.lines);
    let mut script = Script { says: bytes.into(), hears: Vec::new(), is_waited_for: true, has_waited: false };
    let _ = gdb::serve(&mut debugger, &mut script);
    (debugger, String::from_utf8_lossy(&script.hears).into_owned())
}

fn packet(content: &str) -> Vec<u8> {
    let sum = content.bytes().fold(0u8, u8::wrapping_add);
    format!("${content}#{sum:02x}").into_bytes()
}

#[test]
fn registers_and_memory_are_read_and_written() {
    let content = ["m0,8", "M6100,2:abcd", "m6100,2", "mffffff,4", "g"].map(packet).concat();
    let (debugger, answers) = session(content);
    assert_eq!(debugger.machine().peek(0x6101), Some(0xCD));
    assert!(answers.contains("$1cee03"), "{answers}");
    assert!(answers.contains("$abcd") && answers.contains("$E0e"), "{answers}");
    assert_eq!(debugger.inputs().len(), 1, "the write is an edit");
}

#[test]
fn the_description_borrows_arm_and_reverse_execution_is_offered() {
    let content =
        ["qSupported:xmlRegisters=arm", "qXfer:features:read:target.xml:0,fff"].map(packet).concat();
    let (_, answers) = session(content);
    for part in ["ReverseStep+", "ReverseContinue+", "<architecture>arm</architecture>"] {
        assert!(answers.contains(part), "{part} is not in {answers}");
    }
}

#[test]
fn a_monitor_command_that_would_move_the_machine_leaves_it_where_it_is() {
    let monitor = |line: &str| {
        packet(&line.bytes().fold("qRcmd,".to_owned(), |hex, byte| hex + &format!("{byte:02x}")))
    };
    let steps = ["s", "s", "s", "s"].map(packet).concat();
    let (debugger, _) = session([steps, monitor("rs 2"), monitor("goto 0"), monitor("rc")].concat());
    assert_eq!(debugger.machine().cpu().cycle(), 4);
}

proptest! {
    #[test]
    fn no_bytes_make_the_session_panic(
        noise in prop::collection::vec(any::<u8>(), 0..40),
        commands in prop::collection::vec("[gGmMpPzZqQvbHX?sTD!][0-9a-fs,;:]{0,16}", 0..12),
    ) {
        let mut bytes: Vec<u8> = commands.iter().filter(|command| !command.starts_with('v')).flat_map(|command| packet(command)).collect();
        bytes.extend(noise);
        session(bytes);
    }
}
