//! The few files of /sys that programs look for: how many processors there are, and which clock.

use files::pseudo::{Node, Tree};
use machine::{clock, cpu};

use super::put;

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
    root.add_directory("kernel");
    root.add_directory("fs").add_directory("cgroup");
    root.add_directory("class");
    root.add_directory("block");
    root.add_directory("bus");
}
