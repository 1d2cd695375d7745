//! The machine on x86-64 processors, from the first instruction.
//!
//! ```text
//!   boot      loader -> long mode -> `start`        smp        the other processors, the same way
//!   local     what each processor keeps behind GS   descriptors GDT, TSS, IDT
//!   traps     every way into the kernel             context    into a program and back
//!   task      switching stacks                      tlb        other processors' translations
//!   memory    the direct map and the kernel's area  apic, ioapic, vectors, clock, ports, usercopy
//! ```

mod apic;
mod boot;
mod clock;
pub(crate) mod context;
mod cpuid;
mod descriptors;
mod firmware;
mod instructions;
mod ioapic;
mod local;
mod memory;
mod ports;
mod smp;
mod stack;
mod task;
mod tlb;
mod traps;
mod usercopy;
mod vdso;
mod vectors;

pub(crate) use apic::send_reschedule;
pub(crate) use clock::{
    boot_time_ns, clock_reference_name, clock_source_name, cycles, now_ns, refine as refine_clock,
    set_deadline, set_wall_offset_ns, tsc_scale, wall_offset_ns,
};
pub(crate) use cpuid::{cpu_brand, has_meltdown_flaw, random_u64};
pub(crate) use firmware::{acpi_tables, read_firmware};
pub(crate) use local::{
    cpu_index, idle, interrupts_pop_off, interrupts_push_off, is_atomic, is_idle, preempt_disable,
    preempt_enable, quiescent_count, rank_enter, rank_enter_unordered, rank_leave, request_reschedule,
    spin_wait, take_reschedule_request,
};
pub(crate) use memory::{IoMapping, copy_kernel_half, map_io, physical_to_pointer, pointer_to_physical};
pub(crate) use ports::{
    console_write, debug_exit, port_in_u8, port_in_u16, port_in_u32, port_out_u8, port_out_u16, port_out_u32,
    release_ports, reset, stop, take_ports,
};
pub(crate) use smp::release as release_others;
pub(crate) use stack::{stop_others, walk_stack};
pub(crate) use task::{
    Task, adopt, current_thread, set_deadline_hook, set_reschedule_hook, set_space, switch_to,
};
pub(crate) use tlb::{evict_space, shoot_down};
pub(crate) use usercopy::{
    compare_exchange_user, copy, copy_from_user, copy_to_user, load_user, zero, zero_user,
};
pub(crate) use vdso::vdso;
pub(crate) use vectors::{
    InterruptRegistration, for_each_interrupt_count, register_isa, register_line, register_message,
};
