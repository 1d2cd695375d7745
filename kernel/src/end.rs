//! The end of the machine: off, again, halt; and what a panic tells the host.

use core::panic::PanicInfo;

use drivers::{power, report};

use crate::options;

/// Sees to it that a panic is told.
pub fn start() {
    machine::set_panic_hook(tell_panic);
}

fn tell_panic(info: &PanicInfo<'_>) {
    if !report::is_open() {
        return;
    }
    report::panic_line(format_args!("panic {info}"));
    let mut lines = report::LogLines::default();
    machine::write_backtrace(&mut lines);
    report::panic_line(format_args!("end"));
    if let Some(0) = options::get().panic_seconds {
        machine::power::reset();
    }
}

/// Turns the machine off; where it cannot be, stops it.
pub fn power_off() -> ! {
    finish("power off");
    machine::power::debug_exit(0);
    power::off();
    kernel_log::error!("this machine cannot be turned off by software; it is safe to do so by hand");
    machine::power::stop()
}

/// Starts the machine again.
pub fn restart() -> ! {
    finish("restart");
    power::reset()
}

/// Stops the machine, which stays on.
pub fn halt() -> ! {
    finish("halt");
    machine::power::stop()
}

fn finish(what: &str) {
    kernel_log::info!("{what}");
    drivers::serial::flush_all();
}
