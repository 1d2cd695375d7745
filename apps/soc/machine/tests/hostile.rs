//! Images, saved states and recordings that mean no good.

use proptest::prelude::*;
use soc_machine::{Input, Machine, Quirks, Recording, StateError, Stop, Unobserved};

/// FNV-1a, as the specification has it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Makes the checksum right again, so that the content is looked at.
fn seal(file: &mut [u8]) {
    if let Some((content, sum)) = file.split_last_chunk_mut::<8>() {
        *sum = checksum(content).to_le_bytes();
    }
}

fn run(machine: &mut Machine, cycles: u64) {
    let until = machine.cpu().cycle() + cycles;
    for _ in 0..100 {
        match machine.run(until) {
            Stop::Cycle => break,
            Stop::Asleep => machine.pass(until),
            Stop::Off(_) => machine.apply(&Input::Reset),
            _ => {}
        }
    }
    machine.step(&mut Unobserved);
}

fn state() -> Vec<u8> {
    let mut machine = Machine::new(&[0x19, 0xDE, 3, 0, 0, 0, 0, 0], Quirks::default(), 1).unwrap();
    machine.apply(&Input::Key(7));
    machine.apply(&Input::Serial(8));
    machine.step(&mut Unobserved);
    machine.save()
}

#[test]
fn a_file_that_is_none_is_told_from_a_damaged_and_a_newer_one() {
    let good = state();
    assert!(Machine::load(&good).is_ok());
    assert_eq!(Machine::load(b"").err(), Some(StateError::NotOne));
    assert_eq!(Machine::load(b"SOCSTATE").err(), Some(StateError::Malformed));
    assert_eq!(Recording::load(&good).err(), Some(StateError::NotOne));
    let mut damaged = good.clone();
    damaged[100] ^= 1;
    assert_eq!(Machine::load(&damaged).err(), Some(StateError::Damaged));
    let mut newer = good;
    newer[8] = 9;
    assert_eq!(Machine::load(&newer).err(), Some(StateError::Version(9)));
}

#[test]
fn an_image_larger_than_memory_is_refused() {
    assert!(Machine::new(&vec![0; 0x10_0000], Quirks::default(), 0).is_ok());
    let error = Machine::new(&vec![0; 0x10_0001], Quirks::default(), 0).err().unwrap();
    assert!(error.to_string().contains("1048577 bytes"));
}

proptest! {
    #[test]
    fn any_image_runs_without_harm(image in prop::collection::vec(any::<u8>(), 0..400), keys: [u8; 4]) {
        let mut machine = Machine::new(&image, Quirks::default(), 0).unwrap();
        for key in keys {
            run(&mut machine, 100);
            machine.apply(&Input::Key(key));
        }
    }

    #[test]
    fn a_changed_state_is_refused_or_runs(changes in prop::collection::vec((0usize..1200, any::<u8>()), 1..12), cut in 0usize..2000) {
        let mut file = state();
        let len = file.len();
        for (place, value) in changes {
            file[place % len] = value;
        }
        if cut < 400 {
            file.truncate(len - cut);
        }
        seal(&mut file);
        if let Ok(mut machine) = Machine::load(&file) {
            run(&mut machine, 1000);
            prop_assert!(Machine::load(&machine.save()).is_ok());
        }
    }

    #[test]
    fn a_changed_recording_is_refused_or_replayed(changes in prop::collection::vec((12usize..120, any::<u8>()), 0..6)) {
        let inputs = vec![
            (1, Input::Key(1)), (2, Input::Memory { address: 8, bytes: vec![1, 2, 3] }), (3, Input::Pins(9)), (3, Input::Reset),
        ];
        let recording = Recording { image: vec![0x19, 0xDE, 3, 0, 0, 0, 0, 0], inputs, end: 50, ..Recording::default() };
        let mut file = recording.save();
        let loaded = Recording::load(&file);
        prop_assert_eq!(loaded.as_ref(), Ok(&recording));
        let len = file.len();
        for (place, value) in changes {
            file[place % len] = value;
        }
        seal(&mut file);
        // How long it takes is the recording's affair; that it is understood or refused is ours.
        if let Ok(loaded) = Recording::load(&file) && loaded.end < 10_000 {
            loaded.replay(&mut loaded.machine().unwrap());
        }
    }
}
