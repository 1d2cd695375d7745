//! The machine on the host's std: the same interface, on which the crates above run their tests.
//!
//! A test asks for a number of virtual processors and a seed, and gets a machine on which exactly one
//! processor executes at a time. Which one, and when an interrupt comes, is decided by a generator started
//! from the seed, at *points*: before a lock is taken, when the last lock or guard of a processor is
//! dropped, while it spins, at the entry to user mode. So a run can be repeated exactly, and other orders
//! are tried by other seeds.
//!
//! | what | here |
//! |---|---|
//! | memory | an arena ([`set_memory`]); frames and page tables are the real code over it |
//! | user memory | found by walking the current thread's tables in software, with the accessed and dirty bits set |
//! | kernel stacks | stacks of their own on one host thread, switched like on the real machine |
//! | time | virtual: a little passes at each point, idling skips to the next deadline, [`advance`] skips any amount |
//! | user mode | a function of the test's ([`set_program`]) plays the processor running a program |
//! | interrupts | [`interrupt`] and [`raise_line`]; delivered at points at which the processor has them enabled |
//! | devices | ports read as all ones, device memory as zero |
//!
//! ```no_run
//! machine::hosted::run(2, 42, || {
//!     // The boot processor's flow of control; the machine ends when this returns.
//! });
//! ```
//!
//! Statics are not reset, so one process runs one machine: `cargo nextest` starts a process for each test.
//! When all processors idle and no deadline is armed, or all that do not idle spin for good, the run
//! panics, which is how a lost wake-up shows.

pub(crate) mod context;
mod devices;
mod memory;
mod processor;
mod stack;
mod task;
mod world;

pub use context::set_program;
pub use devices::{console_output, exit_code, raise_line};
pub use memory::{init_memory, set_memory, shoot_downs};
pub use world::{advance, finish, interrupt, run, set_hand_over_rate, set_time_limit, step};

pub(crate) use devices::{
    InterruptRegistration, IoMapping, acpi_tables, boot_time_ns, clock_reference_name, clock_source_name,
    console_write, cpu_brand, cycles, debug_exit, for_each_interrupt_count, has_meltdown_flaw, map_io,
    port_in_u8, port_in_u16, port_in_u32, port_out_u8, port_out_u16, port_out_u32, random_u64, read_firmware,
    refine_clock, register_isa, register_line, register_message, release_ports, reset, set_wall_offset_ns,
    stop, take_ports, tsc_scale, vdso, wall_offset_ns,
};
pub(crate) use memory::{
    compare_exchange_user, copy, copy_from_user, copy_kernel_half, copy_to_user, evict_space, load_user,
    physical_to_pointer, shoot_down, zero, zero_user,
};
pub(crate) use processor::{
    cpu_index, interrupts_pop_off, interrupts_push_off, is_atomic, is_idle, preempt_disable, preempt_enable,
    quiescent_count, rank_enter, rank_enter_unordered, rank_leave, request_reschedule, send_reschedule,
    set_deadline, take_reschedule_request,
};
pub(crate) use task::{
    Task, adopt, current_thread, set_deadline_hook, set_reschedule_hook, set_space, switch_to,
};
pub(crate) use world::{idle, now_ns, release_others, spin_wait};
