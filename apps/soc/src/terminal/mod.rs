//! The debugger in the terminal: keys, time slices, and the loop that joins them.

mod source;
mod view;

pub use source::SourceText;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use soc_debugger::{Answer, Debugger, Goal, Progress, Stopped, execute};
use soc_machine::Input;
use std::io;
use std::time::Duration;

/// Cycles between two looks at the keyboard: a few milliseconds.
const SLICE: u64 = 2_000_000;
/// Between two looks at the keyboard while the machine stands still.
const PAUSE: Duration = Duration::from_millis(100);
/// Lines of answers that are kept.
const MOST_LINES: usize = 1000;

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    Commands,
    /// To the machine's keyboard.
    Machine,
}

/// Everything that the terminal shows.
pub struct Terminal {
    pub(crate) debugger: Debugger,
    pub(crate) source: SourceText,
    pub(crate) focus: Focus,
    pub(crate) line: String,
    pub(crate) history: Vec<String>,
    pub(crate) recalled: usize,
    pub(crate) answers: Vec<String>,
    pub(crate) memory_at: u32,
    pub(crate) progress: Option<f64>,
    /// Whether a key wakes a run that has fallen asleep.
    is_resumed_by_keys: bool,
    is_over: bool,
}

impl Terminal {
    /// A terminal for this debugger.
    pub fn new(debugger: Debugger, source: SourceText) -> Self {
        let answers = vec![
            "F5 run  F6 over  F7 step  F8 out  F9 breakpoint  Shift+F5 back  Shift+F7 step back".to_owned(),
            "F2 keys to the machine  Esc stop  help lists the commands  quit ends".to_owned(),
        ];
        Self {
            debugger,
            source,
            focus: Focus::Commands,
            line: String::new(),
            history: Vec::new(),
            recalled: 0,
            answers,
            memory_at: 0,
            progress: None,
            is_resumed_by_keys: false,
            is_over: false,
        }
    }

    pub(crate) fn answer(&mut self, text: &str) {
        self.answers.extend(text.lines().map(str::to_owned));
        let surplus = self.answers.len().saturating_sub(MOST_LINES);
        self.answers.drain(..surplus);
    }

    /// Gives the machine its time, if it is running. Whether it is.
    pub fn advance(&mut self) -> bool {
        if !self.debugger.is_busy() {
            return false;
        }
        match self.debugger.advance(SLICE) {
            Progress::Running(progress) => {
                self.progress = progress;
                true
            }
            Progress::Stopped(reason) => {
                self.progress = None;
                // A machine that waits for keys and gets them would say so for each.
                if !(reason == Stopped::Asleep && self.focus == Focus::Machine) {
                    self.answer(&reason.to_string());
                }
                false
            }
        }
    }

    /// Does what a key says.
    pub fn key(&mut self, key: KeyEvent) {
        let is_shift = key.modifiers.contains(KeyModifiers::SHIFT);
        let goal = match key.code {
            KeyCode::F(5) if is_shift => Some(Goal::ReverseContinue),
            KeyCode::F(5) => Some(Goal::Continue),
            KeyCode::F(6) => Some(Goal::StepOver),
            KeyCode::F(7) if is_shift => Some(Goal::ReverseStep(1)),
            KeyCode::F(7) => Some(Goal::Step(1)),
            KeyCode::F(8) => Some(Goal::StepOut),
            _ => None,
        };
        if let Some(goal) = goal {
            return self.start(goal);
        }
        match key.code {
            KeyCode::F(2) => {
                self.focus = if self.focus == Focus::Commands { Focus::Machine } else { Focus::Commands };
            }
            KeyCode::F(9) => self.debugger.toggle_breakpoint(self.debugger.machine().cpu().ip()),
            KeyCode::Esc if self.debugger.is_busy() => {
                self.debugger.cancel();
                self.progress = None;
                self.answer("cancelled");
            }
            KeyCode::Esc => self.focus = Focus::Commands,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => self.is_over = true,
            code if self.focus == Focus::Machine => self.key_to_machine(code),
            code => self.edit(code),
        }
    }

    fn start(&mut self, goal: Goal) {
        self.is_resumed_by_keys = goal == Goal::Continue;
        self.debugger.start(goal);
    }

    fn key_to_machine(&mut self, code: KeyCode) {
        let key = match code {
            KeyCode::Char(letter) => u8::try_from(u32::from(letter)).ok(),
            KeyCode::Enter => Some(13),
            KeyCode::Backspace => Some(8),
            KeyCode::Tab => Some(9),
            _ => None,
        };
        let Some(key) = key else { return };
        self.debugger.give(Input::Key(key));
        let sleeps = !self.debugger.is_busy() && self.debugger.last_stop() == Stopped::Asleep;
        if sleeps && self.is_resumed_by_keys {
            self.debugger.start(Goal::Continue);
        }
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(letter) => self.line.push(letter),
            KeyCode::Backspace => {
                self.line.pop();
            }
            KeyCode::Up if self.recalled > 0 => {
                self.recalled -= 1;
                self.line = self.history[self.recalled].clone();
            }
            KeyCode::Down if self.recalled < self.history.len() => {
                self.recalled += 1;
                self.line = self.history.get(self.recalled).cloned().unwrap_or_default();
            }
            KeyCode::PageDown => self.memory_at = self.memory_at.wrapping_add(0x80),
            KeyCode::PageUp => self.memory_at = self.memory_at.wrapping_sub(0x80),
            KeyCode::Enter => self.command(),
            _ => {}
        }
    }

    fn command(&mut self) {
        let line = std::mem::take(&mut self.line);
        // An empty line repeats the last one, as debuggers do.
        let line =
            if line.trim().is_empty() { self.history.last().cloned().unwrap_or_default() } else { line };
        if line.trim().is_empty() {
            return;
        }
        if self.history.last() != Some(&line) {
            self.history.push(line.clone());
        }
        self.recalled = self.history.len();
        self.answer(&format!("> {line}"));
        if matches!(line.trim(), "q" | "quit" | "exit") {
            self.is_over = true;
            return;
        }
        match execute(&mut self.debugger, &line) {
            Ok(Answer::Text(text)) => self.answer(&text),
            Ok(Answer::Goal(goal)) => self.start(goal),
            Err(reason) => self.answer(&reason),
        }
    }
}

/// Runs the debugger in the terminal until it is left, and gives it back.
pub fn run(debugger: Debugger, source: SourceText) -> io::Result<Debugger> {
    let mut terminal = Terminal::new(debugger, source);
    let mut screen = ratatui::try_init()?;
    let outcome = (|| {
        while !terminal.is_over {
            let is_running = terminal.advance();
            screen.draw(|frame| terminal.draw(frame))?;
            let pause = if is_running { Duration::ZERO } else { PAUSE };
            while event::poll(pause)? {
                if let Event::Key(key) = event::read()?
                    && key.kind != KeyEventKind::Release
                {
                    terminal.key(key);
                }
                if !event::poll(Duration::ZERO)? {
                    break;
                }
            }
        }
        Ok(())
    })();
    ratatui::restore();
    outcome.map(|()| terminal.debugger)
}
