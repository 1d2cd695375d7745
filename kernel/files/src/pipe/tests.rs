//! The ring alone: what goes in comes out in order, whatever the pieces.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use memory::{KernelSink, KernelSource};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::ring::Ring;

fn check(steps: Vec<(bool, usize)>, places: usize) {
    let mut ring = Ring::new(places);
    let mut model: VecDeque<u8> = VecDeque::new();
    let mut next = 0u8;
    for (writes, len) in steps {
        if writes {
            let bytes: Vec<u8> = (0..len).map(|index| next.wrapping_add(index as u8)).collect();
            let done = ring.write(&mut KernelSource::new(&bytes), true, false).unwrap();
            assert!(done == len || ring.len() == places, "all that there is room for is taken");
            assert!(done == len || len > 4096 || done == 0, "PIPE_BUF bytes go in whole or not at all");
            model.extend(&bytes[..done]);
            next = next.wrapping_add(done as u8);
        } else {
            let mut bytes = alloc::vec![0; len];
            let done = ring.read(&mut KernelSink::new(&mut bytes)).unwrap();
            assert_eq!(done, len.min(model.len()));
            assert!(bytes[..done].iter().copied().eq(model.drain(..done)));
        }
        assert_eq!(ring.bytes(), model.len());
    }
}

#[test]
fn bytes_come_out_as_they_went_in() {
    threads::hosted::run(1, 1, || {
        let steps = proptest::collection::vec((any::<bool>(), 0usize..9000), 1..40);
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
        runner
            .run(&(steps, 1usize..20), |(steps, places)| {
                check(steps, places);
                Ok(())
            })
            .unwrap();
    });
}
