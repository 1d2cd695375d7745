//! The line discipline: what is typed, what is shown, what can be read. Expectations are Linux's.

use alloc::string::String;
use alloc::vec::Vec;

use abi::termios::*;
use proptest::prelude::*;

use super::discipline::{Discipline, Effects, Flow, INPUT_MAX, TerminalSignal};

fn with(change: impl FnOnce(&mut Termios)) -> Discipline {
    let mut termios = Termios::DEFAULT;
    change(&mut termios);
    Discipline::new(termios)
}

fn type_in(discipline: &mut Discipline, bytes: &[u8]) -> Effects {
    let mut effects = Effects::default();
    for &byte in bytes {
        discipline.receive(byte, &mut effects);
    }
    effects
}

fn read(discipline: &mut Discipline, len: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0; len];
    let (count, _) = discipline.take(&mut bytes);
    bytes.truncate(count);
    bytes
}

/// What is shown and what is read for what is typed.
fn session(discipline: &mut Discipline, typed: &[u8]) -> (String, Vec<u8>) {
    let shown = type_in(discipline, typed).echo;
    (String::from_utf8_lossy(&shown).into_owned(), read(discipline, 4096))
}

#[test]
fn lines_are_edited_before_they_are_read() {
    for (typed, shown, line) in [
        (&b"hello\r"[..], "hello\r\n", &b"hello\n"[..]),
        (b"helx\x7flo\n", "helx\x08 \x08lo\r\n", b"hello\n"),
        (b"a b\x17c\n", "a b\x08 \x08c\r\n", b"a c\n"),
        (b"one two  \x17x\n", "one two  \x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08x\r\n", b"one x\n"),
        (b"ab\x15c\n", "ab\x08 \x08\x08 \x08c\r\n", b"c\n"),
        (b"\x7f\x17\x15x\n", "x\r\n", b"x\n"),
        (b"\x01\x7f\n", "^A\x08 \x08\x08 \x08\r\n", b"\n"),
        (b"a\x16\x03b\n", "a^\x08^Cb\r\n", b"a\x03b\n"),
        (b"ab\x12c\n", "ab^R\r\nabc\r\n", b"abc\n"),
        (b"a\tb\x7f\x7fc\n", "a\tb\x08 \x08\x08\x08\x08\x08\x08\x08\x08c\r\n", b"ac\n"),
    ] {
        assert_eq!(session(&mut with(|_| ()), typed), (shown.into(), line.into()), "{typed:?}");
    }
}

#[test]
fn an_unfinished_line_cannot_be_read_and_end_of_file_ends_a_read_without_a_byte() {
    let mut terminal = with(|_| ());
    type_in(&mut terminal, b"abc");
    assert!(!terminal.is_readable());
    assert_eq!(read(&mut terminal, 10), b"");
    type_in(&mut terminal, b"\x04");
    assert_eq!(read(&mut terminal, 3), b"abc");
    assert!(!terminal.is_readable(), "the end of file went with the bytes before it");
    type_in(&mut terminal, b"\x04");
    assert!(terminal.is_readable());
    assert_eq!(read(&mut terminal, 10), b"");
}

#[test]
fn a_read_ends_at_a_line_and_a_short_one_leaves_the_rest() {
    let mut terminal = with(|_| ());
    type_in(&mut terminal, b"one\ntwo\n");
    assert_eq!(read(&mut terminal, 2), b"on");
    assert_eq!(read(&mut terminal, 100), b"e\n");
    assert_eq!(read(&mut terminal, 100), b"two\n");
}

#[test]
fn signal_characters_flush_and_are_shown() {
    let mut terminal = with(|_| ());
    let effects = type_in(&mut terminal, b"abc\n def\x03");
    assert_eq!(effects.signals, [TerminalSignal::Interrupt]);
    assert!(effects.flush_output);
    assert_eq!(effects.echo, b"^C");
    assert!(!terminal.has_input(), "what was typed before is gone");
    let mut keeps = with(|termios| termios.c_lflag |= LocalFlags::NOFLSH.bits());
    let effects = type_in(&mut keeps, b"abc\n\x1c\x1a");
    assert_eq!(effects.signals, [TerminalSignal::Quit, TerminalSignal::Suspend]);
    assert_eq!(read(&mut keeps, 10), b"abc\n");
}

#[test]
fn without_isig_control_characters_are_bytes() {
    let mut terminal = with(|termios| termios.c_lflag &= !LocalFlags::ISIG.bits());
    assert_eq!(session(&mut terminal, b"\x03\n"), ("^C\r\n".into(), b"\x03\n".into()));
}

#[test]
fn flow_control_stops_and_starts_output() {
    let mut terminal = with(|_| ());
    assert_eq!(type_in(&mut terminal, b"\x13").flow, Some(Flow::Stop));
    assert!(terminal.is_stopped());
    assert_eq!(type_in(&mut terminal, b"\x11").flow, Some(Flow::Start));
    let mut any = with(|termios| termios.c_iflag |= InputFlags::IXANY.bits());
    type_in(&mut any, b"\x13x");
    assert!(!any.is_stopped());
}

#[test]
fn characters_of_several_bytes_are_erased_whole_with_iutf8() {
    let mut terminal = with(|termios| termios.c_iflag |= InputFlags::IUTF8.bits());
    let typed = "aä€\x7f\x7fb\n".as_bytes();
    let (shown, line) = session(&mut terminal, typed);
    assert_eq!((shown.as_str(), &line[..]), ("aä€\x08 \x08\x08 \x08b\r\n", &b"ab\n"[..]));
    // Continuation bytes alone are not erased in part.
    let (_, line) = session(&mut terminal, b"\x80\x80\x7f\n");
    assert_eq!(line, b"\x80\x80\n");
}

#[test]
fn kill_without_visual_erasing_begins_a_new_line() {
    let mut terminal = with(|termios| termios.c_lflag &= !LocalFlags::ECHOKE.bits());
    assert_eq!(session(&mut terminal, b"abc\x15d\n"), ("abc^U\r\nd\r\n".into(), b"d\n".into()));
}

#[test]
fn carriage_return_and_newline_follow_the_input_flags() {
    for (flags, typed, line) in [
        (InputFlags::ICRNL, &b"a\r"[..], &b"a\n"[..]),
        (InputFlags::IGNCR, b"a\r\n", b"a\n"),
        (InputFlags::IGNCR.union(InputFlags::ICRNL), b"a\r\n", b"a\n"),
    ] {
        let mut terminal = with(|termios| termios.c_iflag = flags.bits());
        assert_eq!(session(&mut terminal, typed).1, line, "{flags:?}");
    }
    let mut raw = with(|termios| {
        termios.c_iflag = InputFlags::INLCR.bits();
        termios.c_lflag = 0;
    });
    assert_eq!(session(&mut raw, b"a\n").1, b"a\r");
}

#[test]
fn without_echo_only_a_newline_may_be_shown() {
    let mut terminal = with(|termios| {
        termios.c_lflag &= !LocalFlags::ECHO.bits();
        termios.c_lflag |= LocalFlags::ECHONL.bits();
    });
    assert_eq!(session(&mut terminal, b"secret\x7f\n"), ("\r\n".into(), b"secre\n".into()));
}

#[test]
fn raw_mode_gives_bytes_when_there_are_enough() {
    let mut terminal = with(|termios| {
        termios.c_lflag = 0;
        termios.c_cc[VMIN] = 3;
        termios.c_cc[VTIME] = 0;
    });
    type_in(&mut terminal, b"\x03\x7f");
    assert!(terminal.has_input() && !terminal.is_readable());
    type_in(&mut terminal, b"\x04");
    assert!(terminal.is_readable());
    assert_eq!(read(&mut terminal, 10), b"\x03\x7f\x04");
}

#[test]
fn changing_the_mode_keeps_what_was_typed() {
    let mut terminal = with(|_| ());
    type_in(&mut terminal, b"half");
    let mut raw = Termios::DEFAULT;
    raw.c_lflag &= !LocalFlags::ICANON.bits();
    terminal.set_termios(raw);
    assert_eq!(read(&mut terminal, 2), b"ha");
    terminal.set_termios(Termios::DEFAULT);
    assert_eq!(read(&mut terminal, 10), b"lf");
}

#[test]
fn output_flags_change_what_is_shown() {
    let show = |flags: OutputFlags, text: &[u8]| {
        let mut terminal = with(|termios| termios.c_oflag = flags.bits());
        let mut shown = Vec::new();
        for &byte in text {
            terminal.process_output(byte, &mut shown);
        }
        shown
    };
    let post = OutputFlags::OPOST;
    assert_eq!(show(post | OutputFlags::ONLCR, b"a\nb"), b"a\r\nb");
    assert_eq!(show(OutputFlags::ONLCR, b"a\nb"), b"a\nb");
    assert_eq!(show(post | OutputFlags::XTABS, b"ab\tc"), b"ab      c");
    assert_eq!(show(post | OutputFlags::OCRNL, b"a\rb"), b"a\nb");
    assert_eq!(show(post | OutputFlags::ONOCR, b"\ra\r"), b"a\r");
    assert_eq!(show(post | OutputFlags::OLCUC, b"aB1"), b"AB1");
}

#[test]
fn a_line_that_is_too_long_loses_its_end_but_can_be_finished() {
    let mut terminal = with(|termios| termios.c_lflag &= !LocalFlags::ECHO.bits());
    type_in(&mut terminal, &[b'x'; 10_000]);
    type_in(&mut terminal, b"\n");
    let line = read(&mut terminal, 20_000);
    assert_eq!((line.len(), line.last()), (INPUT_MAX, Some(&b'\n')));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_input_and_no_settings_break_the_discipline(
        typed in proptest::collection::vec(any::<u8>(), 0..600),
        iflag in any::<u32>(), oflag in any::<u32>(), lflag in any::<u32>(),
        cc in any::<[u8; NCCS]>(), second in any::<u32>(), at in 0usize..600,
    ) {
        let mut termios = Termios { c_iflag: iflag, c_oflag: oflag, c_lflag: lflag, c_cc: cc, ..Termios::DEFAULT };
        let mut terminal = Discipline::new(termios);
        let mut effects = Effects::default();
        for (index, &byte) in typed.iter().enumerate() {
            if index == at {
                termios.c_lflag = second;
                terminal.set_termios(termios);
            }
            terminal.receive(byte, &mut effects);
            if byte % 7 == 0 {
                let (count, _) = terminal.take(&mut [0; 5]);
                prop_assert!(count <= 5);
            }
            prop_assert!(terminal.readable() <= INPUT_MAX);
        }
    }
}
