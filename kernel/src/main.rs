//! Hob's kernel: the order in which the house is lit.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use core::fmt::Write;

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    let mut console = machine::console::Console::new();
    let _ = writeln!(
        console,
        "hello {} cpus, {} free frames",
        machine::cpu::count(),
        machine::frame::count(machine::frame::Owner::Free)
    );
    let _ = writeln!(console, "{:?} {}", machine::boot::info().command_line, machine::cpu::brand());
    let _ = writeln!(console, "{:?} {:?}", machine::boot::processors(), machine::clock::boot_time_ns());
    let t = machine::clock::now_ns();
    let _ = writeln!(console, "{t}");
    panic!("end");
}
