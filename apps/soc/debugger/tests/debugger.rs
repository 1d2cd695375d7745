//! The debugger forwards and backwards.

use proptest::prelude::*;
use soc_assembler::{NoFiles, Options, assemble};
use soc_debugger::{Access, Answer, Debugger, Expression, Goal, HISTORY_BYTES, Progress, Stopped, execute};
use soc_machine::{Input, Machine, Quirks};
use std::collections::BTreeMap;

fn debugger(text: &str) -> Debugger {
    let assembly = assemble("test.asm", text, Options::default(), &mut NoFiles);
    let findings = assembly.render();
    let program = assembly.program.unwrap_or_else(|| panic!("{findings}"));
    let machine = Machine::new(&program.image, Quirks::default(), 5).unwrap();
    Debugger::new(machine, program.symbols, program.lines)
}

fn go(debugger: &mut Debugger, goal: Goal) -> Stopped {
    debugger.start(goal);
    debugger.finish()
}

fn say(debugger: &mut Debugger, line: &str) -> String {
    match execute(debugger, line) {
        Ok(Answer::Text(text)) => text,
        Ok(Answer::Goal(goal)) => {
            debugger.start(goal);
            debugger.finish().to_string()
        }
        Err(reason) => format!("error: {reason}"),
    }
}

const COUNTER: &str = "\
    mov r14, 0x8000
loop:
    add r1, 1
    st32 0x6000, r1
    call work
    cmp r1, 100
    jmp.nz loop
    break
work:
    call deeper
    ret
deeper:
    add r2, 2
    ret
";

#[test]
fn breakpoints_stop_before_their_instruction_and_conditions_choose() {
    let mut debugger = debugger(COUNTER);
    let plain = debugger.set_breakpoint(debugger.symbols().get("work").unwrap().value, None);
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Breakpoint(plain));
    assert_eq!(debugger.machine().cpu().registers()[1], 1);
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Breakpoint(plain));
    assert_eq!(debugger.machine().cpu().registers()[1], 2);
    assert!(debugger.delete(plain));
    let condition = Expression::parse("r1 == 40 && [0x6000] == r1", debugger.symbols()).unwrap();
    let chosen = debugger.set_breakpoint(debugger.symbols().get("deeper").unwrap().value, Some(condition));
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Breakpoint(chosen));
    assert_eq!(debugger.machine().cpu().registers()[1], 40);
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Exception(0));
}

#[test]
fn steps_go_in_over_and_out() {
    let mut debugger = debugger(COUNTER);
    let label = |debugger: &Debugger, name: &str| debugger.symbols().get(name).unwrap().value;
    go(&mut debugger, Goal::Step(3));
    go(&mut debugger, Goal::Step(1));
    assert_eq!(debugger.machine().cpu().ip(), label(&debugger, "work"));
    go(&mut debugger, Goal::Step(1));
    assert_eq!(debugger.machine().cpu().ip(), label(&debugger, "deeper"));
    let places: Vec<u32> = debugger.frames().iter().map(|frame| frame.address).collect();
    assert_eq!(places, [label(&debugger, "deeper"), label(&debugger, "work"), 0x18]);
    go(&mut debugger, Goal::StepOut);
    assert_eq!(debugger.machine().cpu().ip(), label(&debugger, "work") + 8);
    go(&mut debugger, Goal::StepOut);
    assert_eq!(debugger.machine().cpu().ip(), 0x20);
    go(&mut debugger, Goal::RunTo(0x18));
    go(&mut debugger, Goal::StepOver);
    assert_eq!(debugger.machine().cpu().ip(), 0x20);
    assert_eq!(debugger.machine().cpu().registers()[2], 4);
}

#[test]
fn reverse_continue_finds_the_last_stop_before() {
    let mut debugger = debugger(COUNTER);
    go(&mut debugger, Goal::Continue);
    let id = debugger.set_breakpoint(debugger.symbols().get("deeper").unwrap().value, None);
    for expected in [100, 99, 98] {
        assert_eq!(go(&mut debugger, Goal::ReverseContinue), Stopped::Breakpoint(id));
        assert_eq!(debugger.machine().cpu().registers()[1], expected);
    }
    debugger.delete(id);
    assert_eq!(go(&mut debugger, Goal::ReverseContinue), Stopped::Beginning);
    assert_eq!(debugger.machine().cpu().cycle(), 0);
}

#[test]
fn watchpoints_tell_who_touches_memory_in_both_directions() {
    let mut debugger = debugger(COUNTER);
    let id = debugger.set_watchpoint(0x6002, 1, Access::Write);
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Watchpoint(id, 0x6000));
    assert_eq!(debugger.machine().cpu().ip(), 0x18, "after the store");
    go(&mut debugger, Goal::Continue);
    assert_eq!(debugger.machine().peek32(0x6000), Some(2));
    assert_eq!(go(&mut debugger, Goal::ReverseContinue), Stopped::Watchpoint(id, 0x6000));
    assert_eq!((debugger.machine().cpu().ip(), debugger.machine().peek32(0x6000)), (0x10, Some(1)));
    assert_eq!(go(&mut debugger, Goal::ReverseContinue), Stopped::Watchpoint(id, 0x6000));
    assert_eq!(debugger.machine().peek32(0x6000), Some(0));
}

#[test]
fn an_edit_in_the_past_cuts_the_future_and_is_repeated_by_travel() {
    let mut debugger = debugger(COUNTER);
    go(&mut debugger, Goal::Step(50));
    debugger.give(Input::Key(b'x'));
    go(&mut debugger, Goal::Step(50));
    go(&mut debugger, Goal::GoTo(20));
    assert_eq!(debugger.inputs().len(), 1);
    assert_eq!(debugger.known_time(), (0, 100));
    debugger.set_register(2, 0x1000);
    assert_eq!(debugger.known_time(), (0, 20));
    assert_eq!(debugger.inputs().len(), 1, "the key of the old future is gone");
    go(&mut debugger, Goal::Step(10));
    let changed = debugger.machine().save();
    go(&mut debugger, Goal::ReverseStep(15));
    assert!(debugger.machine().cpu().registers()[2] < 0x1000);
    go(&mut debugger, Goal::GoTo(30));
    assert!(debugger.machine().save() == changed, "the edit happens again at its cycle");
    assert!(!debugger.set_memory(0x0FFF_FFFF, &[1]), "there is no memory");
}

#[test]
fn output_follows_time() {
    let mut debugger =
        debugger(".include \"soc.inc\"\nmov r1, 'a'\nl: st32 UART_DATA, r1\nadd r1, 1\njmp l\n");
    go(&mut debugger, Goal::Step(10));
    assert_eq!(debugger.output(), b"abc");
    go(&mut debugger, Goal::GoTo(4));
    assert_eq!(debugger.output(), b"a");
    go(&mut debugger, Goal::Step(6));
    assert_eq!(debugger.output(), b"abc");
    go(&mut debugger, Goal::GoTo(4));
    debugger.set_register(1, u32::from(b'x'));
    go(&mut debugger, Goal::Step(6));
    assert_eq!(debugger.output(), b"axy");
}

#[test]
fn a_long_search_can_be_watched_and_cancelled() {
    let mut debugger = debugger("loop: add r1, 1\njmp loop\n");
    go(&mut debugger, Goal::Step(30_000_000));
    debugger.set_breakpoint(0x8000, None);
    let before = debugger.machine().save();
    debugger.start(Goal::ReverseContinue);
    let mut last = -1.0;
    for _ in 0..3 {
        match debugger.advance(3_000_000) {
            Progress::Running(Some(done)) => {
                assert!((0.0..=1.0).contains(&done) && done >= last);
                last = done;
            }
            other => panic!("{other:?}"),
        }
    }
    debugger.cancel();
    assert!(debugger.machine().save() == before);
    assert_eq!(debugger.last_stop(), Stopped::Cancelled);
    debugger.start(Goal::ReverseContinue);
    assert_eq!(debugger.finish(), Stopped::Beginning);
}

#[test]
fn history_stays_within_its_room_and_dense_near_the_present() {
    // Every interval writes to every page of memory.
    let mut debugger = debugger(
        "mov r1, 0x800\nl: st32 r1, r2\nadd r2, 1\nadd r1, 4096\nand r1, 0xFF000\nor r1, 0x800\njmp l\n",
    );
    go(&mut debugger, Goal::Step(150_000_000));
    let (snapshots, bytes) = debugger.history_size();
    assert!(bytes <= HISTORY_BYTES && snapshots > 30, "{snapshots} snapshots in {bytes} bytes");
    let before = debugger.machine().save();
    go(&mut debugger, Goal::ReverseStep(1));
    go(&mut debugger, Goal::Step(1));
    assert!(debugger.machine().save() == before);
    go(&mut debugger, Goal::GoTo(1_234_567));
    assert_eq!(debugger.machine().cpu().cycle(), 1_234_567);
}

#[test]
fn a_sleeping_machine_says_so_and_wakes_for_an_input() {
    let text = ".include \"soc.inc\"\nmov r1, 1\nst32 UART_CONTROL, r1\nst32 SYSTEM_WAIT, r1\nld32 r2, UART_DATA\nbreak\n";
    let mut debugger = debugger(text);
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Asleep);
    debugger.give(Input::Serial(7));
    assert_eq!(go(&mut debugger, Goal::Continue), Stopped::Exception(0));
    assert_eq!(debugger.machine().cpu().registers()[2], 7);
}

#[test]
fn the_console_speaks_every_command() {
    let mut debugger = debugger(COUNTER);
    assert_eq!(say(&mut debugger, "break work if r1 == 3"), "breakpoint 1 at 00000038 work\n");
    assert_eq!(say(&mut debugger, "c"), "breakpoint 1");
    assert_eq!(say(&mut debugger, "print r1 + 0x10"), "19 0x13\n");
    assert_eq!(say(&mut debugger, "print 'A' + '\u{e4}'"), "293 0x125\n");
    assert_eq!(say(&mut debugger, "stack"), "#0 00000038 work\n#1 00000018 loop+0x10\n");
    assert!(say(&mut debugger, "regs").contains("r1 00000003"));
    assert!(say(&mut debugger, "disas work 1").contains(">*00000038  call deeper"));
    assert!(say(&mut debugger, "mem 0x6000 4").starts_with("00006000  03 00 00 00"));
    say(&mut debugger, "set r5 0x55");
    say(&mut debugger, "set [0x6000] 9");
    assert_eq!(say(&mut debugger, "print [0x6000] + r5"), "94 0x5e\n");
    assert!(say(&mut debugger, "trace 3").lines().count() == 3);
    assert!(say(&mut debugger, "profile").contains("loop"));
    assert_eq!(say(&mut debugger, "rs 2"), "stopped");
    assert_eq!(say(&mut debugger, "points"), "1 break 00000038 work if r1 == 3\n");
    assert_eq!(say(&mut debugger, "delete 1"), "point 1 deleted\n");
    assert_eq!(say(&mut debugger, "watch 0x6000 4 w"), "watchpoint 2 at 00006000\n");
    assert_eq!(say(&mut debugger, "c"), "watchpoint 2: 0x00006000 was touched");
    for wrong in [
        "",
        "bogus",
        "break",
        "break nowhere",
        "set r16 1",
        "set",
        "delete 77",
        "print (1",
        "print 'AB'",
        "print '",
        "print 1 1",
        "watch",
        "key \\q",
    ] {
        assert!(say(&mut debugger, wrong).starts_with("error: "), "{wrong}");
    }
}

/// Words that mostly mean something, as in the machine's own tests but through the assembler's text.
fn program() -> impl Strategy<Value = String> {
    let register = || (0u8..8).prop_map(|number| format!("r{number}"));
    let line = prop_oneof![
        (register(), any::<u16>()).prop_map(|(r, x)| format!("mov {r}, {x}")),
        (register(), register()).prop_map(|(r, x)| format!("add {r}, {x}")),
        (register(), register()).prop_map(|(r, x)| format!("cmp {r}, {x}")),
        (0u32..16, 0usize..7).prop_map(|(word, condition)| {
            format!("jmp.{} {}", ["al", "z", "nz", "ae", "a", "be", "bl"][condition], word * 8)
        }),
        (register(), 0u32..64).prop_map(|(r, x)| format!("st32 {}, {r}", 0x100 + x)),
        (register(), 0u32..64).prop_map(|(r, x)| format!("ld16 {r}, {}", 0x100 + x)),
        register().prop_map(|r| format!("push {r}")),
        register().prop_map(|r| format!("pop {r}")),
        register().prop_map(|r| format!("ld32 {r}, RANDOM_VALUE")),
        register().prop_map(|r| format!("ld8 {r}, KEYBOARD+1")),
        Just("ud".to_owned()),
        Just("ret".to_owned()),
    ];
    prop::collection::vec(line, 4..20)
        .prop_map(|lines| format!(".include \"soc.inc\"\nmov r14, 0x1000\n{}\n", lines.join("\n")))
}

#[test]
fn devices_and_handlers_can_be_looked_at_without_touching_them() {
    let mut debugger = debugger(
        ".include \"soc.inc\"\nmov r1, 2\nireg r1, tick\nmov r1, 100\nst32 TIMER_PERIOD, r1\nmov r1, 5\nst32 TIMER_CONTROL, r1\n\
         tick: ld8 r2, KEYBOARD + 1\nld32 r3, UART_DATA\nld32 r4, TIMER_REMAINING\nbreak\n",
    );
    go(&mut debugger, Goal::Step(6));
    debugger.give(Input::Key(65));
    debugger.give(Input::Serial(66));
    let before = debugger.machine().save();
    assert_eq!(say(&mut debugger, "handlers"), "interrupt  2  00000030 tick\n");
    for (line, shows) in [
        ("mem 0xF3000000 4", "f3000000  01 41 -- --"),
        ("mem 0xF4000000 12", "f4000000  05 00 00 00 64 00 00 00 64 00 00 00"),
        ("mem 0xF5000000 8", "f5000000  42 00 00 00 03 00 00 00"),
        ("mem 0xF6000000 4", "f6000000  -- -- -- --"),
        ("mem 0xF9000008 4", "f9000008  06 00 00 00"),
    ] {
        assert!(say(&mut debugger, line).starts_with(shows), "{line}: {}", say(&mut debugger, line));
    }
    assert!(debugger.machine().save() == before);
    // What was looked at is what the program then reads.
    go(&mut debugger, Goal::Step(3));
    assert_eq!(debugger.machine().cpu().registers()[2..5], [65, 66, 98]);
}

/// One thing that a person does with a debugger.
#[derive(Clone, Debug)]
enum Act {
    Go(Goal),
    /// Runs for a while, then has enough.
    Run,
    Give(Input),
    Break(u32),
    Watch(u32),
    Look,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1u64..300).prop_map(|count| Act::Go(Goal::Step(count))),
        3 => (1u64..300).prop_map(|count| Act::Go(Goal::ReverseStep(count))),
        3 => (0u64..2000).prop_map(|cycle| Act::Go(Goal::GoTo(cycle))),
        1 => Just(Act::Go(Goal::StepOver)),
        2 => Just(Act::Go(Goal::ReverseContinue)),
        2 => Just(Act::Run),
        2 => any::<u8>().prop_map(|key| Act::Give(Input::Key(key))),
        1 => (0u32..0x200, any::<u8>()).prop_map(|(address, byte)| Act::Give(Input::Memory { address, bytes: vec![byte] })),
        1 => (0u32..24).prop_map(|word| Act::Break(word * 8)),
        1 => (0x100u32..0x140).prop_map(Act::Watch),
        1 => Just(Act::Look),
    ]
}

/// Programs of chance that are interrupted every fifty cycles, and may sleep or switch themselves off. The interrupt bank's
/// r5 grows by the cycle of each key, so a key that comes at another cycle is never forgotten.
fn interrupted_program() -> impl Strategy<Value = String> {
    let rare =
        prop::sample::select(vec!["nop", "nop", "st32 SYSTEM_WAIT, r1", "st32 SYSTEM_EXIT, r2", "cli"]);
    (program(), rare).prop_map(|(program, rare)| {
        program.replacen(
            "mov r14, 0x1000\n",
            "mov r14, 0x1000\nmovsi r14, 0x2000\nmov r1, 1\nireg r1, key\nmov r1, 2\nireg r1, tick\nmov r1, 50\nst32 TIMER_PERIOD, r1\n\
             mov r1, 7\nst32 TIMER_CONTROL, r1\nsti\n",
            1,
        ) + rare + "\njmp 0x58\ntick: mov r1, 1\nst32 TIMER_STATUS, r1\niret\n\
             key: ld8 r4, KEYBOARD + 1\nld32 r4, SYSTEM_CYCLE_LOW\nadd r5, r4\niret\n"
    })
}

fn do_act(debugger: &mut Debugger, act: Act) {
    match act {
        Act::Go(goal) => {
            debugger.start(goal);
            // A step over a call that never returns would have no end either.
            debugger.advance(3000);
            while debugger.is_busy() && !matches!(goal, Goal::StepOver) {
                debugger.advance(3000);
            }
            debugger.cancel();
        }
        Act::Run => {
            debugger.start(Goal::Continue);
            debugger.advance(700);
            debugger.cancel();
        }
        Act::Give(input) => debugger.give(input),
        Act::Break(address) => drop(debugger.set_breakpoint(address, None)),
        Act::Watch(address) => drop(debugger.set_watchpoint(address, 2, Access::Both)),
        Act::Look => drop((debugger.trace(20), debugger.profile(100, 3))),
    }
}

proptest! {
    #[test]
    fn a_cycle_has_one_state_whichever_way_it_is_reached(
        text in interrupted_program(), acts in prop::collection::vec(act(), 1..10),
    ) {
        let mut debugger = debugger(&text);
        let mut seen = BTreeMap::new();
        for act in acts {
            let is_edit = matches!(act, Act::Give(_));
            do_act(&mut debugger, act.clone());
            let now = debugger.machine().cpu().cycle();
            let state = debugger.machine().save();
            if is_edit {
                seen.retain(|&cycle, _| cycle < now);
            }
            // A breakpoint where a sleeping machine wakes stops within the cycle: it is awake, and nothing is executed yet.
            if !matches!(debugger.last_stop(), Stopped::Breakpoint(_)) {
                let first = seen.entry(now).or_insert_with(|| state.clone());
                prop_assert!(*first == state, "cycle {} is another after {:?}", now, act);
            }
        }
        // And once more, backwards.
        for (cycle, state) in seen.into_iter().rev() {
            go(&mut debugger, Goal::GoTo(cycle));
            prop_assert!(debugger.machine().save() == state, "cycle {} is another in the end", cycle);
        }
    }

    #[test]
    fn a_step_reversed_leaves_everything_as_it_was(text in program(), warm in 0u64..200, keys in any::<[u8; 3]>()) {
        let mut debugger = debugger(&text);
        for key in keys {
            let cycle = debugger.machine().cpu().cycle() + warm / 3;
            go(&mut debugger, Goal::GoTo(cycle));
            debugger.give(Input::Key(key));
        }
        let before = debugger.machine().save();
        for count in [1, 1, 7] {
            let cycle = debugger.machine().cpu().cycle();
            go(&mut debugger, Goal::GoTo(cycle + count));
            go(&mut debugger, Goal::ReverseStep(count));
            prop_assert!(debugger.machine().save() == before);
        }
    }

    #[test]
    fn no_line_makes_the_console_panic(lines in prop::collection::vec("\\PC{0,24}", 1..8), words in prop::collection::vec(
        prop::sample::select(vec!["set", "r1", "[", "]", "break", "if", "print", "-", "~", "0x", "(", "mem", "99999999999", "disas", "watch", "rw", "trace"]), 0..8)) {
        let mut debugger = debugger("nop\nbreak\n");
        for line in lines {
            say(&mut debugger, &line);
        }
        say(&mut debugger, &words.join(" "));
    }
}
