//! The few files of /sys that programs look for: how many processors there are, and which clock.

use abi::Errno;
use files::pseudo::{Node, Text, Tree};
use machine::failure::{self, Plan};
use machine::sync::atomic::{AtomicBool, Ordering};
use machine::{clock, cpu};

use super::put;

static OFFERS_FAILURES: AtomicBool = AtomicBool::new(false);

/// Shows /sys/kernel/debug/fail and heap in what is mounted from now on: for tests, which have requests for memory fail by it.
pub fn offer_failures() {
    // Whose requests fail: those of threads that asked for it and their descendants, and of the kernel's own threads.
    failure::set_subject(|| threads::try_current().is_none_or(|thread| thread.fails()));
    OFFERS_FAILURES.store(true, Ordering::Relaxed);
}

/// How requests fail: `after N`, `one in N from SEED`, `off`; and `mine` and `not mine` for those of the writing thread and whom it makes.
/// It says how many have failed since there was an order.
fn fail() -> Node {
    let shown = |text: &mut Text| {
        put!(text, "{}\n", failure::refused());
        Ok(())
    };
    Node::setting(shown, |bytes| {
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        let mut words = text.split_ascii_whitespace();
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok()).ok_or(Errno::EINVAL);
        match (words.next(), words.next()) {
            (Some("off"), None) => failure::plan(Plan::Never),
            (Some("after"), count) => failure::plan(Plan::After(number(count)?)),
            (Some("one"), Some("in")) => {
                let count = number(words.next())?;
                let seed = number(words.nth(1))?;
                failure::plan(Plan::OneIn(count, seed.into()));
            }
            (Some("mine"), None) => threads::current().set_fails(true),
            (Some("not"), Some("mine")) => threads::current().set_fails(false),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    })
    .permissions(0o600)
}

/// Bytes that the kernel's heap has given out, exactly.
fn heap() -> Node {
    Node::text(|text| {
        machine::heap::trim();
        put!(text, "{}\n", machine::heap::used_bytes());
        Ok(())
    })
}

/// Registers everything.
#[expect(clippy::disallowed_macros, reason = "made at boot")]
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
        let debug = kernel.add_directory("debug");
        debug.add("fail", fail());
        debug.add("heap", heap());
    }
    root.add_directory("fs").add_directory("cgroup");
    root.add_directory("class");
    root.add_directory("block");
    root.add_directory("bus");
}
