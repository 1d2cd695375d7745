//! A kernel stack that runs over hits its guard and says so.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;

use machine::task::Task;
use machine_tests::{Thread, first_thread, switch_to};

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    machine_tests::run(&[("a_stack_that_runs_over_is_caught", overflow)]);
}

fn overflow() -> Result<(), String> {
    let _ = first_thread();
    let task = Task::new(overflow_stack, None).map_err(|error| alloc::format!("{error}"))?;
    switch_to(Thread::new(task));
    Err(String::from("it came back"))
}

fn overflow_stack() {
    core::hint::black_box(recurse(1));
}

#[expect(unconditional_recursion, reason = "that is the test")]
fn recurse(depth: u64) -> u64 {
    let mut words = [depth; 64];
    words[(depth % 64) as usize] += 1;
    core::hint::black_box(&mut words);
    recurse(depth + 1) + words[0]
}
