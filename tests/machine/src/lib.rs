//! What every test kernel does: run its tests one after the other, and report each on the second serial port as
//! docs/testing.md says. A test fails by returning an error or by panicking.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::panic::PanicInfo;

use machine::io::IoPorts;
use machine::sync::{Irq, Once, Rank, SpinLock};
use machine::task::{self, Schedulable, Task};

/// A test's name, and what it does.
pub type Test = (&'static str, fn() -> Result<(), String>);

/// The second serial port.
const REPORT: u16 = 0x2f8;

static PORT: Once<SpinLock<IoPorts, Irq>> = Once::new();

/// Writes a line of the report.
fn report(line: &str) {
    if let Some(port) = PORT.get() {
        let port = port.lock();
        for byte in line.bytes().chain([b'\n']) {
            while port.read_u8(5) & 1 << 5 == 0 {
                core::hint::spin_loop();
            }
            port.write_u8(0, byte);
        }
    }
}

fn report_panic(info: &PanicInfo<'_>) {
    report(&format!("panic {info}").replace('\n', " "));
    report("end");
}

/// Runs the tests and ends the machine.
pub fn run(tests: &[Test]) {
    if let Ok(ports) = IoPorts::take(REPORT, 8) {
        // Called once.
        let _ = PORT.set(SpinLock::new(Rank::Device, ports));
    }
    machine::set_panic_hook(report_panic);
    report("hob-report 1");
    let mut has_failed = false;
    for (name, test) in tests {
        report(&format!("begin {name}"));
        match test() {
            Ok(()) => report(&format!("result {name} pass")),
            Err(message) => {
                has_failed = true;
                report(&format!("result {name} fail {}", message.replace('\n', " ")));
            }
        }
    }
    report("end");
    machine::power::debug_exit(has_failed.into());
    machine::power::stop();
}

/// Fails a test unless the two are equal.
pub fn expect<T: PartialEq + core::fmt::Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {wanted:?}")) }
}

/// The simplest thread there can be: a stack.
pub struct Thread {
    task: Task,
}

impl Schedulable for Thread {
    fn task(&self) -> &Task {
        &self.task
    }
}

impl Thread {
    /// A thread around a stack.
    pub fn new(task: Task) -> Arc<Self> {
        Arc::new(Self { task })
    }
}

static FIRST: Once<Arc<Thread>> = Once::new();

/// Makes the boot stack a thread, once, and gives it.
pub fn first_thread() -> Arc<Thread> {
    if FIRST.get().is_none() {
        task::adopt(|task| {
            let thread = Thread::new(task);
            // Called on the boot processor only.
            let _ = FIRST.set(Arc::clone(&thread));
            thread
        });
    }
    match FIRST.get() {
        Some(first) => Arc::clone(first),
        None => panic!("the boot stack was not adopted"),
    }
}

/// Leaves the current thread for `next`.
pub fn switch_to(next: Arc<Thread>) {
    task::switch_to(next, machine::sync::disable_interrupts());
}
