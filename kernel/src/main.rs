//! Hob's kernel: the order in which the house is lit.
//!
//! ```text
//!   machine ──► main ──► threads ──► light ──► drivers, root, first program
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `options` | the words of the command line |
//! | `log` | lines on the console, and the log that programs read |
//! | `root` | the first file system: the initramfs unpacked, /proc, /dev and the like mounted |
//! | `job` | what is started first, as the host of an emulator describes it |
//! | `input` | the job's standard input, where the host passes its own on |
//! | `end` | the end of the machine: off, again, halt, panic |

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "what is made here is made before the first program starts, or after it has ended"
)]

extern crate alloc;

mod end;
mod input;
mod job;
mod light;
mod log;
mod options;
mod root;

#[cfg(target_os = "none")]
machine::entry!(main);

/// Called by the machine, on the processor that booted. What can be done before there are threads
/// is done here; the rest is a thread like any other.
fn main() {
    kernel_log::init();
    let options = options::get();
    log::start(options);
    end::start();
    light::say_machine();
    threads::start();
    if let Err(error) = threads::Builder::new(b"light").spawn(light::light) {
        panic!("the first thread could not be made: {error}");
    }
    machine::cpu::release_others(threads::run_processor);
    threads::run_processor();
}
