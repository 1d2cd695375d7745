//! Running a test on the hosted machine with the scheduler lit.

use machine::cpu;

use crate::builder::Builder;
use crate::processor::is_lit;

/// Starts a machine of `cpus` processors, lights all of them, runs `body` as a thread, and ends the machine
/// when that returns. A panic on any thread ends it too, and goes on in the caller. Equal seeds give equal
/// runs. One machine a process: the runner is `cargo nextest`.
pub fn run(cpus: usize, seed: u64, body: impl FnOnce() + Send + 'static) {
    machine::hosted::run(cpus, seed, move || {
        crate::start();
        let spawned = Builder::new(b"test").spawn(move || {
            while !(0..cpu::count()).all(is_lit) {
                crate::yield_now();
            }
            body();
            machine::hosted::finish();
        });
        assert!(spawned.is_ok(), "no memory for the thread of the test");
        cpu::release_others(crate::run_processor);
        crate::run_processor()
    });
}
