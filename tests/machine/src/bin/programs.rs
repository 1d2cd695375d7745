//! Programs: entering them, every way out of them, their registers and their memory.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use machine::address::UserAddress;
use machine::clock;
use machine::context::{Access, Exception, Trap, UserContext};
use machine::frame::{Frame, Owner};
use machine::paging::{Gather, Protection, Space};
use machine::sync::{Once, Rank, SpinLock};
use machine::task::{Task, set_deadline_hook};
use machine::user;
use machine_tests::{Thread, expect, first_thread, switch_to};

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    machine_tests::run(&[
        ("a_call_returns_with_its_registers", || in_program(calls)),
        ("registers_survive_calls_and_interrupts", || in_program(registers)),
        ("faults_name_address_and_access", || in_program(faults)),
        ("exceptions_name_their_vector", || in_program(exceptions)),
        ("made_up_registers_harm_nobody", || in_program(hostile_registers)),
        ("copies_stop_exactly_at_the_first_bad_byte", || in_program(copies)),
        ("words_are_exchanged_or_fault", || in_program(words)),
        ("vector_state_belongs_to_its_program", || in_program(vector_state)),
        ("a_garbled_vector_state_is_refused", || in_program(garbled_state)),
        ("the_timer_interrupts_a_program_that_never_calls", || in_program(timer)),
        ("protection_changes_count_after_the_flush", || in_program(protection)),
    ]);
}

type Body = fn(&Arc<Space>) -> Result<(), String>;

static BODY: SpinLock<Option<(Body, Arc<Space>)>> = SpinLock::new(Rank::Table, None);
static RESULT: SpinLock<Option<Result<(), String>>> = SpinLock::new(Rank::Table, None);
static FIRST: Once<Arc<Thread>> = Once::new();

/// Where programs' code and data are.
const CODE: usize = 0x40_0000;
const DATA: usize = 0x80_0000;

/// Runs a test on a thread with an address space of its own: one page of code, one of data.
fn in_program(body: Body) -> Result<(), String> {
    let _ = FIRST.set(first_thread());
    let space = Space::new().map_err(|error| format!("{error}"))?;
    map(&space, CODE, Protection::READ | Protection::EXECUTE)?;
    map(&space, DATA, Protection::READ | Protection::WRITE)?;
    *BODY.lock() = Some((body, Arc::clone(&space)));
    let task = Task::new(thread_main, Some(space)).map_err(|error| format!("{error}"))?;
    switch_to(Thread::new(task));
    RESULT.lock().take().unwrap_or_else(|| Err(String::from("no result")))
}

fn thread_main() {
    let body = BODY.lock().take();
    let result = match body {
        Some((body, space)) => body(&space),
        None => Err(String::from("no body")),
    };
    *RESULT.lock() = Some(result);
    if let Some(first) = FIRST.get() {
        switch_to(Arc::clone(first));
    }
}

fn map(space: &Space, at: usize, protection: Protection) -> Result<(), String> {
    let frame = Frame::new(Owner::User).map_err(|error| format!("{error}"))?;
    let mut cursor = space.cursor(UserAddress(at)).map_err(|error| format!("{error}"))?;
    cursor.map(UserAddress(at), frame, protection).map_err(|_| String::from("mapped already"))
}

/// Puts code at the start of the code page.
fn load(space: &Space, code: &[u8]) {
    if let Some(frame) = space.find(UserAddress(CODE)).and_then(|cursor| cursor.frame(UserAddress(CODE))) {
        frame.write(0, code);
    }
}

fn context() -> Result<UserContext, String> {
    let mut context = UserContext::new().map_err(|error| format!("{error}"))?;
    context.registers_mut().rip = CODE as u64;
    context.registers_mut().rsp = (DATA + 4096) as u64;
    Ok(context)
}

/// Runs until something other than an interrupt comes.
fn run(context: &mut UserContext) -> Trap {
    loop {
        match context.run(|| false) {
            Trap::Interrupt => {}
            trap => return trap,
        }
    }
}

/// Loads the code and runs it once from the start.
fn run_code(space: &Space, code: &[u8]) -> Result<(Trap, UserContext), String> {
    load(space, code);
    let mut context = context()?;
    let trap = run(&mut context);
    Ok((trap, context))
}

const SYSCALL: [u8; 2] = [0x0f, 0x05];

fn calls(space: &Arc<Space>) -> Result<(), String> {
    // inc rax; syscall; jmp back
    load(space, &[0x48, 0xff, 0xc0, 0x0f, 0x05, 0xeb, 0xf9]);
    let mut context = context()?;
    for count in 1..=10_000 {
        expect("trap", run(&mut context), Trap::Call)?;
        expect("rax", context.registers().rax, count)?;
        expect("rip", context.registers().rip, CODE as u64 + 5)?;
    }
    Ok(())
}

fn registers(space: &Arc<Space>) -> Result<(), String> {
    // syscall; pause; dec rax; jnz -; syscall
    load(space, &[0x0f, 0x05, 0xf3, 0x90, 0x48, 0xff, 0xc8, 0x75, 0xf9, 0x0f, 0x05]);
    let mut context = context()?;
    {
        let registers = context.registers_mut();
        registers.rbx = 1;
        registers.rdx = 2;
        registers.rsi = 3;
        registers.rdi = 4;
        registers.rbp = 5;
        registers.r8 = 6;
        registers.r9 = 7;
        registers.r10 = 8;
        registers.r12 = 9;
        registers.r13 = 10;
        registers.r14 = 11;
        registers.r15 = u64::MAX;
    }
    let before = context.registers().clone();
    expect("trap", run(&mut context), Trap::Call)?;
    context.registers_mut().rax = 200_000;
    // However slow the machine is: after fifty interruptions the program is left alone and gets to its end.
    let mut interruptions = 0;
    let trap = loop {
        if interruptions < 50 {
            clock::set_deadline(Some(clock::now_ns() + 1));
        }
        match context.run(|| false) {
            Trap::Interrupt => interruptions += 1,
            trap => break trap,
        }
    };
    expect("trap", trap, Trap::Call)?;
    let after = context.registers();
    expect("rax", after.rax, 0)?;
    let pick = |r: &machine::context::Registers| {
        [r.rbx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r12, r.r13, r.r14, r.r15, r.rsp]
    };
    expect("the others", pick(after), pick(&before))
}

fn faults(space: &Arc<Space>) -> Result<(), String> {
    let fault = |address: usize, access, is_protection| Trap::Fault {
        address: UserAddress(address),
        access,
        is_protection,
    };
    // mov rax, [0x1234]
    let (trap, _) = run_code(space, &[0x48, 0x8b, 0x04, 0x25, 0x34, 0x12, 0, 0])?;
    expect("load of nothing", trap, fault(0x1234, Access::Read, false))?;
    // mov [CODE], rax
    let (trap, _) = run_code(space, &[0x48, 0x89, 0x04, 0x25, 0, 0, 0x40, 0])?;
    expect("store to code", trap, fault(CODE, Access::Write, true))?;
    // jmp to the data page: mov eax, DATA; jmp rax
    let (trap, _) = run_code(space, &[0xb8, 0, 0, 0x80, 0, 0xff, 0xe0])?;
    expect("running data", trap, fault(DATA, Access::Execute, true))?;
    // mov rax, [kernel address]
    let (trap, _) = run_code(space, &[0x48, 0xb8, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0x48, 0x8b, 0])?;
    expect("load of the kernel", trap, fault(0xffff_8000_0000_0000, Access::Read, true))
}

fn exceptions(space: &Arc<Space>) -> Result<(), String> {
    let cases: [(&str, &[u8], u8); 8] = [
        ("division by zero", &[0x31, 0xc9, 0xf7, 0xf1], 0),
        ("breakpoint", &[0xcc], 3),
        ("ud2", &[0x0f, 0x0b], 6),
        ("hlt", &[0xf4], 13),
        ("cli", &[0xfa], 13),
        ("in from a port", &[0xe4, 0x60], 13),
        ("int 0x80", &[0xcd, 0x80], 13),
        ("a non-canonical load", &[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x48, 0x8b, 0], 13),
    ];
    for (name, code, vector) in cases {
        let (trap, context) = run_code(space, code)?;
        match trap {
            Trap::Exception(Exception { vector: found, .. }) => expect(name, found, vector)?,
            trap => return Err(format!("{name}: {trap:?} at {:#x}", context.registers().rip)),
        }
    }
    Ok(())
}

fn hostile_registers(space: &Arc<Space>) -> Result<(), String> {
    load(space, &SYSCALL);
    for rip in [0x8000_0000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, u64::MAX, 1 << 63] {
        let mut context = context()?;
        context.registers_mut().rip = rip;
        expect("a wild rip", run(&mut context), Trap::Exception(Exception { vector: 13, code: 0 }))?;
    }
    for rsp in [0, u64::MAX, 0x8000_0000_0000, 0xffff_8000_0000_0000] {
        let mut context = context()?;
        context.registers_mut().rsp = rsp;
        expect("a wild rsp", run(&mut context), Trap::Call)?;
    }
    // Every flag at once: trap flag wins, one instruction later; I/O privilege and the rest are masked.
    let mut context = context()?;
    context.registers_mut().rflags = u64::MAX & !(1 << 8);
    expect("all flags", run(&mut context), Trap::Call)?;
    expect("I/O privilege", context.registers().rflags >> 12 & 3, 0)?;
    expect("interrupts", context.registers().rflags >> 9 & 1, 1)?;
    let mut context = self::context()?;
    load(space, &[0x90, 0x90, 0x0f, 0x05]);
    context.registers_mut().rflags |= 1 << 8;
    for step in 1..=2 {
        expect("single step", run(&mut context), Trap::Exception(Exception { vector: 1, code: 0 }))?;
        expect("rip after a step", context.registers().rip, CODE as u64 + step)?;
    }
    Ok(())
}

fn copies(space: &Arc<Space>) -> Result<(), String> {
    let end = DATA + 4096;
    let mut bytes = [0x5a; 64];
    user::write(UserAddress(DATA), &[1, 2, 3]).map_err(|fault| format!("{fault:?}"))?;
    for missing in 1..=40 {
        let at = end - (40 - missing);
        let wanted =
            Err(user::CopyFault { address: UserAddress(end), access: Access::Read, done: 40 - missing });
        expect("read", user::read(UserAddress(at), &mut bytes[..40]), wanted)?;
        let wanted =
            Err(user::CopyFault { address: UserAddress(end), access: Access::Write, done: 40 - missing });
        expect("write", user::write(UserAddress(at), &bytes[..40]), wanted)?;
        expect("zero", user::zero(UserAddress(at), 40), wanted)?;
    }
    let is_refused = |address: usize, len: usize| {
        user::zero(UserAddress(address), len)
            .is_err_and(|fault| fault.done == 0 && fault.address.0 == usize::MAX)
    };
    for (address, len) in [
        (0x7fff_ffff_f000, 1),
        (0x7fff_ffff_efff, 2),
        (usize::MAX, 1),
        (1, usize::MAX),
        (0xffff_8000_0000_0000, 8),
        (8, usize::MAX - 8),
    ] {
        expect("a range outside user space", is_refused(address, len), true)?;
    }
    expect("a store to code", user::write(UserAddress(CODE), &[1]).is_err(), true)?;
    let frame = Frame::new(Owner::User).map_err(|error| format!("{error}"))?;
    frame.write(4000, &[9; 96]);
    expect("from a frame", user::write_frame(UserAddress(DATA + 10), &frame, 4000, 96), Ok(()))?;
    expect("to a frame", user::read_frame(UserAddress(DATA + 10), &frame, 0, 96), Ok(()))?;
    let mut back = [0; 96];
    frame.read(0, &mut back);
    let _ = space;
    expect("there and back", back, [9; 96])
}

fn words(_: &Arc<Space>) -> Result<(), String> {
    let at = UserAddress(DATA + 8);
    user::write(at, &5u32.to_ne_bytes()).map_err(|fault| format!("{fault:?}"))?;
    expect("add", user::update_u32(at, |old| Some(old + 1)), Ok(5))?;
    expect("leave", user::update_u32(at, |_| None), Ok(6))?;
    expect("load", user::load_u32(at), Ok(6))?;
    expect("unaligned", user::load_u32(UserAddress(DATA + 1)).is_err(), true)?;
    expect("unmapped", user::update_u32(UserAddress(0x1000), |_| Some(1)).is_err(), true)?;
    expect("read only", user::update_u32(UserAddress(CODE), |_| Some(1)).is_err(), true)?;
    expect("kernel", user::update_u32(UserAddress(0xffff_8000_0000_0000), |_| Some(1)).is_err(), true)
}

fn vector_state(space: &Arc<Space>) -> Result<(), String> {
    // movq xmm3, rdi; wrfsbase is not everywhere: fs:[0] is read with the base set by the kernel; syscall; movq rdi, xmm3; syscall
    let code = [0x66, 0x48, 0x0f, 0x6e, 0xdf, 0x0f, 0x05, 0x66, 0x48, 0x0f, 0x7e, 0xdf, 0x0f, 0x05];
    load(space, &code);
    let mut contexts = [context()?, context()?, context()?];
    for (value, context) in (100..).zip(&mut contexts) {
        context.registers_mut().rdi = value;
        expect("trap", run(context), Trap::Call)?;
        expect("a base that is the kernel's", context.set_fs_base(0xffff_8000_0000_0000), false)?;
        expect("a base", context.set_fs_base(DATA as u64), true)?;
    }
    let copy = contexts[1].duplicate().map_err(|error| format!("{error}"))?;
    let [mut a, mut b, mut c] = contexts;
    let mut d = copy;
    for (value, context) in [(100, &mut a), (101, &mut b), (102, &mut c), (101, &mut d)] {
        context.registers_mut().rdi = 0;
        expect("trap", run(context), Trap::Call)?;
        expect("xmm3", context.registers().rdi, value)?;
        expect("fs base", context.fs_base(), DATA as u64)?;
    }
    Ok(())
}

fn garbled_state(space: &Arc<Space>) -> Result<(), String> {
    load(space, &SYSCALL);
    let mut context = context()?;
    let good: alloc::vec::Vec<u8> = context.extended().bytes().into();
    expect("its own bytes", context.extended().replace(&good), true)?;
    if good.len() > 576 {
        for at in (512..520).chain(520..576) {
            let mut bad = good.clone();
            bad[at] = 0xff;
            let is_taken = context.extended().replace(&bad);
            if is_taken {
                expect("an accepted header runs", run(&mut context), Trap::Call)?;
                context.registers_mut().rip = CODE as u64;
            }
        }
    }
    let mut bad = good.clone();
    bad[..512].fill(0xff);
    expect("wild legacy area", context.extended().replace(&bad), true)?;
    expect("a wild legacy area runs", run(&mut context), Trap::Call)?;
    expect("a short one", context.extended().replace(&good[..100]), false)
}

/// The deadline hook has been called.
static HAS_COME: AtomicBool = AtomicBool::new(false);

fn timer(space: &Arc<Space>) -> Result<(), String> {
    load(space, &[0xeb, 0xfe]);
    let mut context = context()?;
    set_deadline_hook(|| HAS_COME.store(true, Ordering::Relaxed));
    for _ in 0..10 {
        HAS_COME.store(false, Ordering::Relaxed);
        let wanted = clock::now_ns() + 1_000_000;
        clock::set_deadline(Some(wanted));
        while clock::now_ns() < wanted {
            // On a slow machine the interrupt may come before the program runs: then there is no other.
            expect("trap", context.run(|| HAS_COME.load(Ordering::Relaxed)), Trap::Interrupt)?;
        }
    }
    expect("work is seen before entering", context.run(|| true), Trap::Interrupt)
}

fn protection(space: &Arc<Space>) -> Result<(), String> {
    let at = UserAddress(DATA);
    expect("a store", user::write(at, &[1]), Ok(()))?;
    let mut gather = Gather::new(space);
    let mut cursor = space.find(at).ok_or("no table")?;
    let mapping = cursor.get(at).ok_or("no mapping")?;
    expect("dirty", mapping.is_dirty, true)?;
    cursor.protect(at, Protection::READ, &mut gather);
    drop(cursor);
    gather.flush();
    expect("a store to a page made read-only", user::write(at, &[1]).is_err(), true)?;
    let mut byte = [0];
    expect("a load from it", user::read(at, &mut byte), Ok(()))?;
    let mut cursor = space.find(at).ok_or("no table")?;
    cursor.protect(at, Protection::empty(), &mut gather);
    drop(cursor);
    gather.flush();
    expect("a load from a page made inaccessible", user::read(at, &mut byte).is_err(), true)?;
    let mut cursor = space.find(at).ok_or("no table")?;
    cursor.protect(at, Protection::READ | Protection::WRITE, &mut gather);
    drop(cursor);
    expect("its content is kept", user::read(at, &mut byte).map(|()| byte), Ok([1]))?;
    let mut cursor = space.find(at).ok_or("no table")?;
    expect("unmapped", cursor.unmap(at, &mut gather).is_some(), true)?;
    drop(cursor);
    gather.flush();
    expect("a load from an unmapped page", user::read(at, &mut byte).is_err(), true)
}
