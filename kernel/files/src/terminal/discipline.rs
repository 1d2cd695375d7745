//! The line discipline as a state machine without any waiting: bytes typed go in, bytes to show and signals come out,
//! lines or bytes to read pile up (termios(3); what Linux's N_TTY does).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::termios::*;

use super::output::Output;
use machine::frame::OutOfMemory;
use machine::heap::Grow;

/// The most input that is kept, in bytes. A line longer than this loses its end, but can always be finished.
pub const INPUT_MAX: usize = 4096;

/// What a control character means for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalSignal {
    /// VINTR: SIGINT.
    Interrupt,
    /// VQUIT: SIGQUIT.
    Quit,
    /// VSUSP: SIGTSTP.
    Suspend,
}

/// What came of some input.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Bytes to show, already processed for output.
    pub echo: Vec<u8>,
    /// Signals for the foreground job, in order.
    pub signals: Vec<TerminalSignal>,
    /// Whether output that has not been shown yet is thrown away.
    pub flush_output: bool,
    /// Whether output is to stop or to go on.
    pub flow: Option<Flow>,
}

/// Output stops or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// VSTOP.
    Stop,
    /// VSTART.
    Start,
}

/// The end of a line in [`Discipline::input`]; the byte is part of it.
const END: u16 = 0x100;
/// The end of a line or of the file, without a byte (VEOF).
const END_OF_FILE: u16 = 0x200;

/// What a terminal knows about what is typed.
pub struct Discipline {
    termios: Termios,
    input: VecDeque<u16>,
    /// How many bytes at the end of `input` belong to the line that is being edited.
    editing: usize,
    /// The next byte is taken as it is (VLNEXT).
    takes_next_literally: bool,
    /// Erased characters are being shown between `\` and `/` (ECHOPRT).
    shows_erased: bool,
    /// Output has been stopped by VSTOP.
    is_stopped: bool,
    output: Output,
    /// The column in which the line being edited began.
    line_column: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}

impl Discipline {
    /// A discipline with these settings.
    pub fn new(termios: Termios) -> Self {
        Self {
            termios,
            input: VecDeque::new(),
            editing: 0,
            takes_next_literally: false,
            shows_erased: false,
            is_stopped: false,
            output: Output::default(),
            line_column: 0,
        }
    }

    /// Room for as much input as is kept, with what a marked byte adds: interrupts bring it, and cannot wait for memory.
    pub fn reserve_input(&mut self) -> Result<(), OutOfMemory> {
        self.input.try_grow_exact(INPUT_MAX + 2)
    }

    /// The settings.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    fn input_flags(&self) -> InputFlags {
        InputFlags::from_bits_retain(self.termios.c_iflag)
    }

    fn local(&self, flag: LocalFlags) -> bool {
        LocalFlags::from_bits_retain(self.termios.c_lflag).contains(flag)
    }

    fn is_canonical(&self) -> bool {
        self.local(LocalFlags::ICANON)
    }

    /// Whether `byte` is the control character at `place`, which is not disabled (zero).
    fn is(&self, byte: u8, place: usize) -> bool {
        let set = self.termios.c_cc.get(place).copied().unwrap_or(0);
        set != 0 && byte == set
    }

    /// Changes the settings. Bytes that were typed stay: going raw, an unfinished line can be read at once; going canonical,
    /// what is there counts as a line.
    pub fn set_termios(&mut self, termios: Termios) {
        let was_canonical = self.is_canonical();
        self.termios = termios;
        if was_canonical == self.is_canonical() {
            return;
        }
        self.takes_next_literally = false;
        self.shows_erased = false;
        if was_canonical {
            self.input.retain(|item| item & END_OF_FILE == 0);
            for item in &mut self.input {
                *item &= 0xff;
            }
        } else if let Some(last) = self.input.back_mut() {
            *last |= END;
        }
        self.editing = 0;
    }

    /// Throws away what was typed and not read.
    pub fn flush_input(&mut self) {
        self.input.clear();
        self.editing = 0;
        self.takes_next_literally = false;
        self.shows_erased = false;
    }

    /// Bytes that can be read: finished lines only, in canonical mode (FIONREAD).
    pub fn readable(&self) -> usize {
        let finished = self.input.len() - self.editing;
        if self.is_canonical() {
            self.input.iter().take(finished).filter(|&&item| item & END_OF_FILE == 0).count()
        } else {
            finished
        }
    }

    /// Whether a read of the smallest useful size would not wait.
    pub fn is_readable(&self) -> bool {
        let finished = self.input.len() - self.editing;
        if self.is_canonical() {
            return finished > 0;
        }
        let minimum = usize::from(self.minimum());
        let wanted = if self.time_ns() == 0 && minimum > 0 { minimum } else { 1 };
        finished >= wanted
    }

    /// Whether anything at all can be read.
    pub fn has_input(&self) -> bool {
        self.input.len() > self.editing
    }

    /// VMIN.
    pub fn minimum(&self) -> u8 {
        self.termios.c_cc[VMIN]
    }

    /// VTIME in nanoseconds.
    pub fn time_ns(&self) -> u64 {
        u64::from(self.termios.c_cc[VTIME]) * 100_000_000
    }

    /// Whether reads give lines.
    pub fn reads_lines(&self) -> bool {
        self.is_canonical()
    }

    /// Whether no more input is wanted until some is read (for IXOFF and ptys).
    pub fn is_full(&self) -> bool {
        self.input.len() >= INPUT_MAX && self.has_input()
    }

    /// How many more bytes of input are kept.
    pub fn room(&self) -> usize {
        if self.is_canonical() && !self.has_input() {
            // The line being edited can always be finished or erased.
            INPUT_MAX
        } else {
            INPUT_MAX.saturating_sub(self.input.len())
        }
    }

    /// Whether output has been stopped by the user.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Stops or starts output (tcflow(3)).
    pub fn set_stopped(&mut self, is_stopped: bool) {
        self.is_stopped = is_stopped;
    }

    /// Takes bytes out for a read, up to the end of a line in canonical mode. The second value says whether that end was
    /// met, so that the read is over; an end of file with no bytes before it is a read of nothing.
    pub fn take(&mut self, into: &mut [u8]) -> (usize, bool) {
        let mut done = 0;
        let is_canonical = self.is_canonical();
        while self.has_input() {
            let Some(&item) = self.input.front() else { break };
            if item & END_OF_FILE != 0 {
                self.input.pop_front();
                return (done, true);
            }
            let Some(place) = into.get_mut(done) else {
                break;
            };
            *place = item as u8;
            done += 1;
            self.input.pop_front();
            if is_canonical && item & END != 0 {
                return (done, true);
            }
        }
        // A line whose bytes were all taken ends here, if what follows is only its end of file: the next read begins behind it.
        if is_canonical
            && done > 0
            && self.input.front().is_some_and(|item| item & END_OF_FILE != 0)
            && self.has_input()
        {
            self.input.pop_front();
            return (done, true);
        }
        (done, false)
    }

    /// Processes bytes that a program writes; appends them as they are to be shown.
    pub fn process_output(&mut self, byte: u8, shown: &mut Vec<u8>) {
        let flags = OutputFlags::from_bits_retain(self.termios.c_oflag);
        self.output.put(byte, flags, self.input_flags(), shown);
        if byte == b'\n' {
            self.line_column = self.output.column();
        }
    }

    /// Takes one byte that was typed.
    pub fn receive(&mut self, byte: u8, effects: &mut Effects) {
        let flags = self.input_flags();
        let mut byte = if flags.contains(InputFlags::ISTRIP) { byte & 0x7f } else { byte };
        if flags.contains(InputFlags::IUCLC) && self.local(LocalFlags::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.takes_next_literally) {
            self.receive_plain(byte, effects);
            return;
        }
        if flags.contains(InputFlags::IXON) && (self.is(byte, VSTART) || self.is(byte, VSTOP)) {
            self.is_stopped = !self.is(byte, VSTART);
            effects.flow = Some(if self.is_stopped { Flow::Stop } else { Flow::Start });
            return;
        }
        if self.local(LocalFlags::ISIG)
            && let Some(signal) = self.signal(byte)
        {
            self.receive_signal(byte, signal, effects);
            return;
        }
        if self.is_stopped && flags.contains(InputFlags::IXON | InputFlags::IXANY) {
            self.is_stopped = false;
            effects.flow = Some(Flow::Start);
        }
        match byte {
            b'\r' if flags.contains(InputFlags::IGNCR) => return,
            b'\r' if flags.contains(InputFlags::ICRNL) => byte = b'\n',
            b'\n' if flags.contains(InputFlags::INLCR) => byte = b'\r',
            _ => {}
        }
        if self.is_canonical() && self.receive_canonical(byte, effects) {
            return;
        }
        self.receive_plain(byte, effects);
    }

    fn signal(&self, byte: u8) -> Option<TerminalSignal> {
        if self.is(byte, VINTR) {
            Some(TerminalSignal::Interrupt)
        } else if self.is(byte, VQUIT) {
            Some(TerminalSignal::Quit)
        } else if self.is(byte, VSUSP) {
            Some(TerminalSignal::Suspend)
        } else {
            None
        }
    }

    fn receive_signal(&mut self, byte: u8, signal: TerminalSignal, effects: &mut Effects) {
        if !self.local(LocalFlags::NOFLSH) {
            self.flush_input();
            effects.echo.clear();
            effects.flush_output = true;
        }
        if self.input_flags().contains(InputFlags::IXON) {
            self.is_stopped = false;
            effects.flow = Some(Flow::Start);
        }
        if self.local(LocalFlags::ECHO) {
            self.echo(byte, effects);
        }
        effects.signals.push(signal);
    }

    /// Takes a byte that edits or ends a line; false for an ordinary one.
    fn receive_canonical(&mut self, byte: u8, effects: &mut Effects) -> bool {
        let is_extended = self.local(LocalFlags::IEXTEN);
        let echoes = self.local(LocalFlags::ECHO);
        if self.is(byte, VERASE) {
            self.erase(Erase::Character, effects);
        } else if self.is(byte, VKILL) {
            self.erase(Erase::Line, effects);
        } else if is_extended && self.is(byte, VWERASE) {
            self.erase(Erase::Word, effects);
        } else if is_extended && self.is(byte, VLNEXT) {
            self.takes_next_literally = true;
            if echoes {
                self.finish_erasing(effects);
                if self.local(LocalFlags::ECHOCTL) {
                    self.echo_raw(b'^', effects);
                    self.echo_raw(0x08, effects);
                }
            }
        } else if is_extended && echoes && self.is(byte, VREPRINT) {
            self.finish_erasing(effects);
            self.echo(byte, effects);
            self.echo_raw(b'\n', effects);
            for index in self.input.len() - self.editing..self.input.len() {
                let byte = self.input.get(index).map_or(0, |item| *item as u8);
                self.echo(byte, effects);
            }
        } else if byte == b'\n' {
            if echoes || self.local(LocalFlags::ECHONL) {
                self.echo_raw(b'\n', effects);
            }
            self.finish_line(u16::from(b'\n') | END);
        } else if self.is(byte, VEOF) {
            self.finish_line(END_OF_FILE);
        } else if self.is(byte, VEOL) || is_extended && self.is(byte, VEOL2) {
            if echoes {
                self.note_line_start();
                self.echo(byte, effects);
            }
            self.finish_line(u16::from(byte) | END);
        } else {
            return false;
        }
        true
    }

    fn finish_line(&mut self, end: u16) {
        self.input.push_back(end);
        self.editing = 0;
    }

    fn note_line_start(&mut self) {
        if self.editing == 0 {
            self.line_column = self.output.column();
        }
    }

    /// Takes a byte that is kept and shown.
    fn receive_plain(&mut self, byte: u8, effects: &mut Effects) {
        // One place is left for the byte that ends the line.
        if self.input.len() + 1 >= INPUT_MAX {
            if self.input_flags().contains(InputFlags::IMAXBEL) {
                self.echo_raw(0x07, effects);
            }
            return;
        }
        if self.local(LocalFlags::ECHO) {
            self.finish_erasing(effects);
            if byte == b'\n' {
                self.echo_raw(b'\n', effects);
            } else {
                self.note_line_start();
                self.echo(byte, effects);
            }
        }
        // A byte that could be taken for a mark is doubled (PARMRK, termios(3)).
        if byte == 0xff && self.input_flags().contains(InputFlags::PARMRK) {
            self.push(byte);
        }
        self.push(byte);
    }

    fn push(&mut self, byte: u8) {
        self.input.push_back(u16::from(byte));
        if self.is_canonical() {
            self.editing += 1;
        }
    }

    /// A break on the line, which is a NUL, a signal or nothing.
    pub fn receive_break(&mut self, effects: &mut Effects) {
        let flags = self.input_flags();
        if flags.contains(InputFlags::IGNBRK) {
            return;
        }
        if flags.contains(InputFlags::BRKINT) {
            self.flush_input();
            effects.flush_output = true;
            effects.signals.push(TerminalSignal::Interrupt);
            return;
        }
        if flags.contains(InputFlags::PARMRK) {
            self.push(0xff);
            self.push(0);
        }
        self.push(0);
    }

    fn erase(&mut self, what: Erase, effects: &mut Effects) {
        if self.editing == 0 {
            return;
        }
        let echoes = self.local(LocalFlags::ECHO);
        let shows_line = self.local(LocalFlags::ECHOK | LocalFlags::ECHOKE | LocalFlags::ECHOE);
        if what == Erase::Line && (!echoes || !shows_line) {
            self.input.truncate(self.input.len() - self.editing);
            self.editing = 0;
            if echoes {
                self.finish_erasing(effects);
                self.echo(self.termios.c_cc[VKILL], effects);
                if self.local(LocalFlags::ECHOK) {
                    self.echo_raw(b'\n', effects);
                }
            }
            return;
        }
        let mut has_seen_word = false;
        while self.editing > 0 {
            let Some((byte, len)) = self.last_character() else { break };
            if what == Erase::Word {
                if is_word(byte) {
                    has_seen_word = true;
                } else if has_seen_word {
                    break;
                }
            }
            let start = self.input.len() - len;
            let prints = echoes && self.local(LocalFlags::ECHOPRT);
            if prints {
                self.print_erased(byte, start, effects);
            }
            self.input.truncate(start);
            self.editing -= len;
            if echoes && !prints {
                self.echo_erased(what, byte, effects);
            }
            if what == Erase::Character {
                break;
            }
        }
        if self.editing == 0 && echoes {
            self.finish_erasing(effects);
        }
    }

    /// The first byte of the last character of the line, and how many bytes it has: more than one with IUTF8.
    fn last_character(&self) -> Option<(u8, usize)> {
        let is_utf8 = self.input_flags().contains(InputFlags::IUTF8);
        let mut len = 0;
        loop {
            if len == self.editing {
                // Continuation bytes with nothing before them are not erased in part.
                return None;
            }
            len += 1;
            let byte = *self.input.get(self.input.len() - len)? as u8;
            if !(is_utf8 && is_continuation(byte)) {
                return Some((byte, len));
            }
        }
    }

    /// Shows what is erased, the input from `start` on, as on paper (ECHOPRT).
    fn print_erased(&mut self, byte: u8, start: usize, effects: &mut Effects) {
        if !self.shows_erased {
            self.echo_raw(b'\\', effects);
            self.shows_erased = true;
        }
        self.echo(byte, effects);
        for place in start + 1..self.input.len() {
            if let Some(&more) = self.input.get(place) {
                self.echo_raw(more as u8, effects);
            }
        }
    }

    /// Takes what has been erased off the screen.
    fn echo_erased(&mut self, what: Erase, byte: u8, effects: &mut Effects) {
        if what == Erase::Character && !self.local(LocalFlags::ECHOE) {
            self.echo(self.termios.c_cc[VERASE], effects);
        } else if byte == b'\t' {
            let column = self.column_of_line_end();
            while self.output.column() > column {
                self.echo_raw(0x08, effects);
            }
        } else {
            let shows_control = self.local(LocalFlags::ECHOCTL);
            let width = if is_control(byte) { if shows_control { 2 } else { 0 } } else { 1 };
            for _ in 0..width {
                for shown in [0x08, b' ', 0x08] {
                    self.echo_raw(shown, effects);
                }
            }
        }
    }

    /// Where the cursor belongs after the line as it is now.
    fn column_of_line_end(&self) -> usize {
        let is_utf8 = self.input_flags().contains(InputFlags::IUTF8);
        let shows_control = self.local(LocalFlags::ECHOCTL);
        let line = self.input.iter().skip(self.input.len() - self.editing);
        line.fold(self.line_column, |column, item| match *item as u8 {
            b'\t' => (column | 7) + 1,
            byte if is_control(byte) => column + if shows_control { 2 } else { 0 },
            byte if is_utf8 && is_continuation(byte) => column,
            _ => column + 1,
        })
    }

    fn finish_erasing(&mut self, effects: &mut Effects) {
        if core::mem::take(&mut self.shows_erased) {
            self.echo_raw(b'/', effects);
        }
    }

    /// Shows a byte; a control character as `^X` with ECHOCTL.
    fn echo(&mut self, byte: u8, effects: &mut Effects) {
        if self.local(LocalFlags::ECHOCTL) && is_control(byte) && byte != b'\t' {
            self.echo_raw(b'^', effects);
            self.echo_raw(byte ^ 0x40, effects);
        } else {
            self.echo_raw(byte, effects);
        }
    }

    fn echo_raw(&mut self, byte: u8, effects: &mut Effects) {
        self.process_output(byte, &mut effects.echo);
    }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Whether `byte` is not the first of a character in UTF-8.
pub(super) fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// What VWERASE takes for part of a word: letters (those of Latin-1 too, as Linux's table has them), digits, underscores.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || matches!(byte, 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..)
}
