//! The few files of /sys that programs look for: how many processors there are, and which clock.

use files::pseudo::{Node, Text, Tree};
use machine::sync::atomic::{AtomicBool, Ordering};
use machine::{clock, cpu, frame};

use super::put;

static OFFERS_FAILURES: AtomicBool = AtomicBool::new(false);

/// Shows /sys/kernel/debug/fail_frame in what is mounted from now on: for tests, which have allocations fail by it.
pub fn offer_failures() {
    OFFERS_FAILURES.store(true, Ordering::Relaxed);
}

/// A number that is written to it is how many allocations of a frame go well before one fails, anything else takes that back; it says whether the failure is still to come.
fn fail_frame() -> Node {
    let shown = |text: &mut Text| {
        put!(text, "{}\n", if frame::failure_is_pending() { "pending" } else { "none" });
        Ok(())
    };
    Node::setting(shown, |bytes| {
        let number = core::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok());
        frame::fail_after(number);
        Ok(())
    })
    .permissions(0o600)
}

/// Registers everything.
pub fn register(root: &Tree) {
    let devices = root.add_directory("devices");
    let system = devices.add_directory("system");
    let processors = system.add_directory("cpu");
    for name in ["online", "possible", "present"] {
        processors.add(
            name,
            Node::text(|text| {
                match cpu::count() - 1 {
                    0 => put!(text, "0\n"),
                    last => put!(text, "0-{last}\n"),
                }
                Ok(())
            }),
        );
    }
    processors.add(
        "kernel_max",
        Node::text(|text| {
            put!(text, "{}\n", cpu::MAX_CPUS - 1);
            Ok(())
        }),
    );
    for number in 0..cpu::count() {
        processors.add_directory(&alloc::format!("cpu{number}"));
    }
    let source = system.add_directory("clocksource").add_directory("clocksource0");
    for name in ["current_clocksource", "available_clocksource"] {
        source.add(
            name,
            Node::text(|text| {
                put!(text, "{}\n", clock::source_name());
                Ok(())
            }),
        );
    }
    let kernel = root.add_directory("kernel");
    if OFFERS_FAILURES.load(Ordering::Relaxed) {
        kernel.add_directory("debug").add("fail_frame", fail_frame());
    }
    root.add_directory("fs").add_directory("cgroup");
    root.add_directory("class");
    root.add_directory("block");
    root.add_directory("bus");
}
