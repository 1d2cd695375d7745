//! The workbench: a source, a debugger, and the requests that join them.

use crate::examples::EXAMPLES;
use crate::request::{GoalName, Request};
use crate::view::view;
use serde_json::{Value, json};
use soc_assembler::{Class, Language, NoFiles, Options, Program, assemble, highlight};
use soc_debugger::{Answer, Debugger, Goal, Progress, Stopped, execute};
use soc_machine::{Input, Machine, Quirks, Recording};

/// Everything behind the page.
pub struct Workbench {
    debugger: Debugger,
    /// The program that was assembled last, and whether in the original's language.
    program: Program,
    is_compat: bool,
    progress: Option<f64>,
}

impl Default for Workbench {
    fn default() -> Self {
        let program = Program::default();
        Self { debugger: debugger(&program, Quirks::default(), 0), program, is_compat: false, progress: None }
    }
}

fn debugger(program: &Program, quirks: Quirks, seed: u64) -> Debugger {
    let machine = Machine::new(&program.image, quirks, seed).or_else(|_| Machine::new(&[], quirks, seed));
    match machine {
        Ok(machine) => Debugger::new(machine, program.symbols.clone(), program.lines.clone()),
        Err(_) => unreachable!("an empty image always fits"),
    }
}

/// Replays a recording; gives the checksum of the state at its end.
pub(crate) fn replay(recording: &[u8]) -> Result<String, String> {
    let recording = Recording::load(recording).map_err(|error| error.to_string())?;
    let mut machine = recording.machine().map_err(|error| error.to_string())?;
    recording.replay(&mut machine);
    let state = machine.save();
    let sum = state.last_chunk::<8>().copied().unwrap_or_default();
    Ok(format!("{:016x}", u64::from_le_bytes(sum)))
}

impl Workbench {
    /// Answers a request. An error is `{"error": "..."}`.
    pub fn request(&mut self, json: &str) -> String {
        let answer = match serde_json::from_str::<Request>(json) {
            Ok(request) => self.answer(request),
            Err(error) => Err(error.to_string()),
        };
        answer.unwrap_or_else(|reason| json!({ "error": reason })).to_string()
    }

    /// Pursues the goal; gives the cycles that have passed, or a negative number once it has stopped.
    pub fn advance(&mut self, cycles: u64) -> f64 {
        let before = self.debugger.machine().cpu().cycle();
        match self.debugger.advance(cycles) {
            Progress::Running(progress) => {
                self.progress = progress;
                self.debugger.machine().cpu().cycle().abs_diff(before) as f64
            }
            Progress::Stopped(_) => {
                self.progress = None;
                -1.0
            }
        }
    }

    /// The pixels of the graphics screen.
    pub fn pixels(&self) -> &[u8] {
        self.debugger.machine().graphics()
    }

    /// The image of the program that was assembled last.
    pub fn image(&self) -> &[u8] {
        &self.program.image
    }

    fn answer(&mut self, request: Request) -> Result<Value, String> {
        match request {
            Request::Assemble { source, compat } => return Ok(self.assemble(&source, compat)),
            Request::Load { seed } => {
                let quirks = Quirks::chosen(self.is_compat);
                // Breakpoints stay at their addresses.
                let points: Vec<u32> =
                    self.debugger.breakpoints().iter().map(|point| point.address).collect();
                self.debugger = debugger(&self.program, quirks, u64::from(seed));
                for address in points {
                    self.debugger.set_breakpoint(address, None);
                }
                self.progress = None;
            }
            Request::View { memory, memory_rows, code, code_rows } => {
                return Ok(view(&self.debugger, self.progress, (memory, memory_rows), (code, code_rows)));
            }
            Request::Goal { goal, value } => self.debugger.start(goal_of(goal, value)),
            Request::Cancel => {
                self.debugger.cancel();
                self.progress = None;
            }
            Request::ToggleBreakpoint { address } => self.debugger.toggle_breakpoint(address),
            Request::Key { code } => self.debugger.give(Input::Key(code)),
            Request::Serial { text } => text.bytes().for_each(|byte| self.debugger.give(Input::Serial(byte))),
            Request::Pins { levels } => self.debugger.give(Input::Pins(levels)),
            Request::SetRegister { number, value } if number < 16 => {
                self.debugger.set_register(number, value)
            }
            Request::SetRegister { .. } => return Err("there is no such register".to_owned()),
            Request::SetMemory { address, byte } => {
                if !self.debugger.set_memory(address, &[byte]) {
                    return Err("there is no memory".to_owned());
                }
            }
            Request::Console { line } => {
                return match execute(&mut self.debugger, &line)? {
                    Answer::Text(text) => Ok(json!({ "text": text })),
                    Answer::Goal(goal) => {
                        self.debugger.start(goal);
                        Ok(json!({ "started": true }))
                    }
                };
            }
            Request::Format { source } => return Ok(json!({ "source": soc_assembler::format(&source) })),
            Request::Examples => {
                let list = EXAMPLES
                    .iter()
                    .map(|(title, name, text)| json!({ "title": title, "name": name, "text": text }));
                return Ok(json!({ "examples": list.collect::<Vec<_>>() }));
            }
        }
        Ok(json!({}))
    }

    fn assemble(&mut self, source: &str, is_compat: bool) -> Value {
        let language = if is_compat { Language::Original } else { Language::Full };
        let assembly = assemble("program.asm", source, Options { language }, &mut NoFiles);
        // Findings in expansions are shown where the macro is used.
        let mut findings = Vec::new();
        for finding in &assembly.diagnostics {
            let mut span = finding.span;
            while let Some(origin) = assembly.sources.origin(span.file) {
                span = origin;
            }
            let (line, column) = assembly.sources.line_column(span);
            let place = [span.start as usize, span.end as usize];
            findings.push((
                place,
                json!({
                    "line": line, "column": column, "message": finding.message, "hint": finding.hint,
                }),
            ));
        }
        let places: Vec<[usize; 2]> = findings.iter().map(|(place, _)| *place).collect();
        let places = in_utf16(source, &places);
        let findings: Vec<Value> = findings
            .into_iter()
            .zip(places)
            .map(|((_, mut finding), [start, end])| {
                finding["start"] = start.into();
                finding["end"] = end.into();
                finding
            })
            .collect();
        let stretches = highlight(source);
        let places: Vec<[usize; 2]> = stretches.iter().map(|(start, end, _)| [*start, *end]).collect();
        let colours: Vec<Value> = in_utf16(source, &places)
            .into_iter()
            .zip(&stretches)
            .map(|([start, end], (_, _, class))| json!([start, end, class_name(*class)]))
            .collect();
        let is_ok = assembly.program.is_some();
        if let Some(program) = assembly.program {
            self.program = program;
            self.is_compat = is_compat;
        }
        let main = self.program.lines.first().map(|line| line.file);
        let lines: Vec<Value> = self
            .program
            .lines
            .iter()
            .filter(|line| line.is_code && Some(line.file) == main.filter(|_| is_ok))
            .map(|line| json!([line.line, line.address]))
            .collect();
        json!({ "ok": is_ok, "bytes": self.program.image.len(), "findings": findings, "colours": colours, "lines": lines })
    }
}

fn goal_of(goal: GoalName, value: f64) -> Goal {
    // A cast from a float saturates: no number of the page's can do harm.
    let count = value as u64;
    match goal {
        GoalName::Continue => Goal::Continue,
        GoalName::Step => Goal::Step(count),
        GoalName::Over => Goal::StepOver,
        GoalName::Out => Goal::StepOut,
        GoalName::RunTo => Goal::RunTo(count as u32),
        GoalName::ReverseStep => Goal::ReverseStep(count),
        GoalName::ReverseContinue => Goal::ReverseContinue,
        GoalName::GoTo => Goal::GoTo(count),
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Label => "label",
        Class::Mnemonic => "mnemonic",
        Class::Directive => "directive",
        Class::Register => "register",
        Class::Number => "number",
        Class::Text => "text",
        Class::Comment => "comment",
        Class::Name => "name",
    }
}

/// Byte places as places in UTF-16, which JavaScript counts in.
fn in_utf16(text: &str, places: &[[usize; 2]]) -> Vec<[usize; 2]> {
    let mut wanted: Vec<usize> = places.iter().flatten().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = std::collections::BTreeMap::new();
    let mut utf16 = 0;
    let mut next = wanted.into_iter().peekable();
    for (byte, letter) in text.char_indices() {
        while let Some(at) = next.next_if(|&at| at <= byte) {
            found.insert(at, utf16);
        }
        utf16 += letter.len_utf16();
    }
    for at in next {
        found.insert(at, utf16);
    }
    places.iter().map(|place| place.map(|at| found.get(&at).copied().unwrap_or(utf16))).collect()
}

impl Workbench {
    /// Why the machine stands still.
    pub fn last_stop(&self) -> Stopped {
        self.debugger.last_stop()
    }
}
