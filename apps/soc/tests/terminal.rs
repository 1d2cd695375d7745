//! The terminal's picture and its keys, on a screen in memory.

use ratatui::Terminal as Screen;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use soc::terminal::{SourceText, Terminal};
use soc_assembler::{NoFiles, Options, assemble};
use soc_debugger::Debugger;
use soc_machine::{Machine, Quirks};

fn terminal(text: &str) -> Terminal {
    let assembly = assemble("t.asm", text, Options::default(), &mut NoFiles);
    let program = assembly.program.clone().unwrap();
    let machine = Machine::new(&program.image, Quirks::default(), 0).unwrap();
    Terminal::new(Debugger::new(machine, program.symbols, program.lines), SourceText::new(Some(assembly)))
}

fn press(terminal: &mut Terminal, code: KeyCode) {
    terminal.key(KeyEvent::new(code, KeyModifiers::NONE));
    while terminal.advance() {}
}

fn say(terminal: &mut Terminal, line: &str) {
    line.chars().for_each(|letter| press(terminal, KeyCode::Char(letter)));
    press(terminal, KeyCode::Enter);
}

fn picture(terminal: &Terminal) -> String {
    let mut screen = Screen::new(TestBackend::new(140, 40)).unwrap();
    screen.draw(|frame| terminal.draw(frame)).unwrap();
    let buffer = screen.backend().buffer().clone();
    let width = usize::from(buffer.area.width);
    let rows: Vec<String> = buffer
        .content
        .chunks(width)
        .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
        .collect();
    rows.join("\n")
}

const PROGRAM: &str = "start: mov r1, 0x1234 ; a comment\nadd r1, 1\nl: jmp l\n";

#[test]
fn everything_is_on_the_screen() {
    let mut terminal = terminal(PROGRAM);
    press(&mut terminal, KeyCode::F(7));
    press(&mut terminal, KeyCode::F(9));
    let shown = picture(&terminal);
    for part in [
        "start:",
        "mov r1, 0x1234",
        "a comment",
        "●▶00000008  add r1, 0x1",
        "r1 00001234",
        "cycle 1",
        "(soc)",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
}

#[test]
fn keys_and_commands_drive_the_debugger() {
    let mut terminal = terminal(PROGRAM);
    say(&mut terminal, "break l");
    press(&mut terminal, KeyCode::F(5));
    assert!(picture(&terminal).contains("breakpoint 1"));
    assert!(picture(&terminal).contains("r1 00001235"));
    terminal.key(KeyEvent::new(KeyCode::F(7), KeyModifiers::SHIFT));
    while terminal.advance() {}
    assert!(picture(&terminal).contains("r1 00001234"));
    say(&mut terminal, "print r1");
    assert!(picture(&terminal).contains("4660 0x1234"));
    press(&mut terminal, KeyCode::Up);
    assert!(picture(&terminal).contains("(soc) print r1"));
}

#[test]
fn keys_reach_a_machine_that_sleeps_and_wake_it() {
    let mut terminal = terminal(include_str!("../programs/examples/editor.asm"));
    press(&mut terminal, KeyCode::F(5));
    press(&mut terminal, KeyCode::F(2));
    "Hi there".chars().for_each(|letter| press(&mut terminal, KeyCode::Char(letter)));
    press(&mut terminal, KeyCode::Backspace);
    assert!(picture(&terminal).contains("Hi ther_"));
    press(&mut terminal, KeyCode::Esc);
    say(&mut terminal, "rc");
    assert!(!picture(&terminal).contains("Hi"));
}

#[test]
fn a_small_or_empty_window_is_no_harm() {
    let terminal = terminal(PROGRAM);
    for (width, height) in [(1, 1), (3, 5), (20, 8)] {
        let mut screen = Screen::new(TestBackend::new(width, height)).unwrap();
        screen.draw(|frame| terminal.draw(frame)).unwrap();
    }
}
