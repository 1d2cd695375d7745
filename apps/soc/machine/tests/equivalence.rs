//! The quick loop against the slow step: the same state, whatever the program.

use proptest::prelude::*;
use soc_machine::encoding::Word;
use soc_machine::isa::INSTRUCTIONS;
use soc_machine::{Input, Machine, Quirks, Stop, Unobserved};

/// Words that mostly mean something: real opcodes, small addresses, some devices.
fn word() -> impl Strategy<Value = [u8; 8]> {
    let opcode = prop_oneof![30 => (0..INSTRUCTIONS.len()).prop_map(|row| INSTRUCTIONS[row].opcode()), 1 => any::<u8>()];
    let operand = || prop_oneof![12 => 0u8..14, 1 => 14u8..16, 10 => Just(31u8), 1 => 16u8..32];
    let condition = prop_oneof![6 => Just(0u8), 6 => 0u8..7, 1 => 0u8..16];
    let immediate = prop_oneof![
        6 => (0u32..64).prop_map(|word| word * 8),
        3 => 0u32..0x400,
        1 => any::<u32>(),
        1 => (0u32..10, 0u32..0x20).prop_map(|(device, offset)| 0xF000_0000 + (device << 24) + offset),
    ];
    (opcode, operand(), operand(), condition, immediate).prop_map(
        |(opcode, first, second, condition, immediate)| {
            Word { opcode, first, second, condition, immediate }.encode()
        },
    )
}

fn image() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(word(), 8..64).prop_map(|words| {
        // A stack, handlers for the frequent exceptions and for the timer, then chance.
        let start: [[u8; 8]; 5] = [
            Word { opcode: 0x1C, first: 14, second: 31, condition: 0, immediate: 0x3F8 }.encode(),
            Word { opcode: 0x30, first: 14, second: 31, condition: 0, immediate: 0x5F8 }.encode(),
            Word { opcode: 0x1C, first: 1, second: 31, condition: 0, immediate: 2 }.encode(),
            Word { opcode: 0x2B, first: 1, second: 31, condition: 0, immediate: 0x80 }.encode(),
            Word { opcode: 0x2D, first: 1, second: 31, condition: 0, immediate: 0x60 }.encode(),
        ];
        start.into_iter().chain(words).flatten().collect()
    })
}

/// Runs by single steps; goes on after every stop, as the quick run does.
fn walk(machine: &mut Machine, until: u64) {
    while machine.cpu().cycle() < until {
        if let Some(Stop::Off(_)) = machine.step(&mut Unobserved) {
            machine.apply(&Input::Reset);
        }
    }
}

fn sprint(machine: &mut Machine, until: u64) {
    loop {
        match machine.run(until) {
            Stop::Cycle => return,
            Stop::Asleep => return machine.pass(until),
            Stop::Off(_) => machine.apply(&Input::Reset),
            _ => {}
        }
    }
}

fn quirks() -> impl Strategy<Value = Quirks> {
    prop_oneof![
        Just(Quirks::default()),
        Just(Quirks::ORIGINAL),
        (0u8..128).prop_map(|bits| Quirks::from_bits(bits).unwrap_or_default())
    ]
}

proptest! {
    #[test]
    fn running_and_stepping_end_in_the_same_state(image in image(), quirks in quirks(), length in 1u64..600) {
        let mut quick = Machine::new(&image, quirks, 7).unwrap();
        let mut slow = Machine::new(&image, quirks, 7).unwrap();
        for part in 1..=4 {
            for machine in [&mut quick, &mut slow] {
                machine.apply(&Input::Key(part as u8));
                machine.apply(&Input::Pins(part as u32));
            }
            sprint(&mut quick, length * part);
            walk(&mut slow, length * part);
            prop_assert_eq!(quick.cpu(), slow.cpu());
        }
        prop_assert!(quick.has_same_state(&slow));
        prop_assert_eq!(quick.take_output(), slow.take_output());
    }

    #[test]
    fn a_snapshot_restored_and_run_again_repeats_the_run(image in image(), length in 1u64..400) {
        let mut machine = Machine::new(&image, Quirks::default(), 1).unwrap();
        sprint(&mut machine, length);
        let (snapshot, _) = machine.snapshot();
        sprint(&mut machine, 2 * length);
        let first = machine.save();
        machine.restore(&snapshot);
        sprint(&mut machine, 2 * length);
        prop_assert!(first == machine.save());
    }

    #[test]
    fn a_saved_state_goes_on_like_the_machine_it_was_made_from(image in image(), quirks in quirks(), length in 1u64..400) {
        let mut machine = Machine::new(&image, quirks, 3).unwrap();
        machine.apply(&Input::Key(65));
        sprint(&mut machine, length);
        let mut loaded = Machine::load(&machine.save()).unwrap();
        prop_assert!(loaded.has_same_state(&machine));
        sprint(&mut machine, 2 * length);
        sprint(&mut loaded, 2 * length);
        prop_assert!(loaded.has_same_state(&machine));
    }
}
