//! Addresses and bytes: the two passes over a program's statements.

use crate::assemble::{Language, Program, SourceLine};
use crate::diagnostic::{Diagnostic, Report, nearest};
use crate::expression::evaluate;
use crate::instruction;
use crate::source::{Sources, Span};
use crate::symbols::{Symbol, SymbolKind, Symbols};
use crate::syntax::{Body, Expression, Name, Operand, Statement};
use soc_machine::encoding::{ABSENT, IMMEDIATE, Word};
use soc_machine::isa::Operation;
use soc_machine::map::RAM_BYTES;
use std::collections::BTreeMap;

const DIRECTIVES: &[&str] = &[
    "$BYTE", "$WORD16", "$WORD32", "$ASCII", ".equ", ".org", ".align", ".space", ".raw", ".include",
    ".macro", ".endm",
];

/// A name's definition.
enum Definition {
    Label {
        address: u32,
        kind: SymbolKind,
    },
    /// `.equ`: its expression, and the address where it stands.
    Constant {
        expression: Expression,
        here: u32,
    },
}

struct Layout<'a> {
    language: Language,
    definitions: BTreeMap<String, (Definition, Span)>,
    report: &'a mut Report,
    sources: &'a Sources,
    /// Values of constants that have been worked out.
    values: BTreeMap<String, i64>,
    /// Names whose value is being worked out: one that comes again is defined by itself.
    open: Vec<String>,
}

/// Gives every statement its address, then its bytes.
pub(crate) fn lay_out(
    statements: &[Statement],
    language: Language,
    sources: &Sources,
    report: &mut Report,
) -> Program {
    let (definitions, values) = (BTreeMap::new(), BTreeMap::new());
    let mut layout = Layout { language, definitions, values, report, sources, open: Vec::new() };
    let placed = layout.place(statements);
    let mut program = Program::default();
    for (statement, address, len) in &placed {
        layout.emit(statement, *address, *len, &mut program);
    }
    let has_epilogue = !statements.iter().any(|statement| directive(statement) == Some(".raw"));
    if has_epilogue {
        layout.epilogue(statements, &mut program);
    }
    if program.image.len() > RAM_BYTES as usize {
        let span = statements.last().map(|statement| statement.span);
        let message = format!("the program has {} bytes, and memory only {RAM_BYTES}", program.image.len());
        report.diagnostics.extend(span.map(|span| Diagnostic::error(span, message).hint("make it smaller")));
        return program;
    }
    program.symbols = layout.symbols();
    program
}

fn directive(statement: &Statement) -> Option<&str> {
    match &statement.body {
        Some(Body::Directive { name, .. }) => Some(&name.text),
        _ => None,
    }
}

/// What a label at each statement names: a label on its own line names what comes next.
fn label_kinds(statements: &[Statement]) -> Vec<SymbolKind> {
    let mut kind = SymbolKind::Code;
    let backwards = statements.iter().rev().map(|statement| {
        match statement.body {
            Some(Body::Directive { .. }) => kind = SymbolKind::Data,
            Some(Body::Instruction { .. }) => kind = SymbolKind::Code,
            None => {}
        }
        kind
    });
    let mut kinds: Vec<SymbolKind> = backwards.collect();
    kinds.reverse();
    kinds
}

/// Bytes of one value of a data directive.
fn width(directive: &str) -> Option<u32> {
    match directive {
        "$BYTE" | "$ASCII" => Some(1),
        "$WORD16" => Some(2),
        "$WORD32" => Some(4),
        _ => None,
    }
}

impl Layout<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report.push(Diagnostic::error(span, message).hint(hint));
    }

    /// The first pass: each statement with its address and the bytes that it takes.
    fn place<'s>(&mut self, statements: &'s [Statement]) -> Vec<(&'s Statement, u32, u32)> {
        let mut placed = Vec::with_capacity(statements.len());
        let mut address: u32 = 0;
        for (statement, kind) in statements.iter().zip(label_kinds(statements)) {
            for label in &statement.labels {
                self.define(label, Definition::Label { address, kind });
            }
            let len = self.size(statement, address);
            placed.push((statement, address, len));
            match address.checked_add(len).filter(|&end| end <= RAM_BYTES) {
                Some(end) => address = end,
                None => {
                    let message = format!("the program is larger than memory ({RAM_BYTES} bytes)");
                    self.error(statement.span, message, "make it smaller");
                    return placed;
                }
            }
        }
        placed
    }

    fn define(&mut self, name: &Name, definition: Definition) {
        if crate::parser::register(&name.text).is_some() {
            return self.error(
                name.span,
                format!("`{}` is a register", name.text),
                "give the label another name",
            );
        }
        if let Some((_, before)) = self.definitions.get(&name.text) {
            if self.language == Language::Full {
                let (line, _) = self.sources.line_column(*before);
                let message = format!("`{}` is defined twice", name.text);
                let file = self.sources.name(before.file).to_owned();
                self.error(name.span, message, format!("the first definition is in {file}, line {line}"));
            }
            return;
        }
        self.definitions.insert(name.text.clone(), (definition, name.span));
    }

    /// Bytes that a statement takes at an address.
    fn size(&mut self, statement: &Statement, address: u32) -> u32 {
        let (name, operands) = match &statement.body {
            None => return 0,
            Some(Body::Instruction { .. }) => {
                if !address.is_multiple_of(8) {
                    let message = format!("instruction not aligned on 64bit boundary: 0x{address:x}");
                    self.error(statement.span, message, "put `.align 8` before it");
                    return (8 - address % 8) + 8;
                }
                return 8;
            }
            Some(Body::Directive { name, operands }) => (name, operands),
        };
        if let Some(width) = width(&name.text) {
            return self.data_size(name, operands, width);
        }
        match (name.text.as_str(), operands.as_slice()) {
            (".raw", []) => 0,
            (".equ", [Operand::Value(target), Operand::Value(value)]) => {
                let crate::syntax::ExpressionKind::Symbol(text) = &target.kind else {
                    self.error(target.span, ".equ wants a name first", ".equ WIDTH, 320");
                    return 0;
                };
                let name = Name { text: text.clone(), span: target.span };
                self.define(&name, Definition::Constant { expression: value.clone(), here: address });
                // What is known already is worked out now; what stands on labels further down has to wait.
                let _ = self.look_up(&name.text, target);
                0
            }
            (".org", [Operand::Value(target)]) => {
                let target_address = self.known(target, address);
                match target_address {
                    Some(to) if to < address => {
                        let message =
                            format!(".org 0x{to:x} goes back: the address here is 0x{address:x} already");
                        self.error(target.span, message, "code and data are laid in rising order");
                        0
                    }
                    Some(to) => to - address,
                    None => 0,
                }
            }
            (".align", [Operand::Value(boundary)]) => match self.known(boundary, address) {
                Some(0) => {
                    self.error(boundary.span, "nothing is aligned to 0", ".align 8 aligns an instruction");
                    0
                }
                Some(boundary) => {
                    address.checked_next_multiple_of(boundary).map_or(u32::MAX, |to| to - address)
                }
                None => 0,
            },
            (".space", [Operand::Value(len)] | [Operand::Value(len), Operand::Value(_)]) => {
                self.known(len, address).unwrap_or(0)
            }
            (".raw" | ".equ" | ".org" | ".align" | ".space", _) => {
                let message = format!("`{}` has the wrong operands", name.text);
                self.error(
                    statement.span,
                    message,
                    ".equ NAME, value | .org address | .align n | .space n, fill | .raw",
                );
                0
            }
            (".endm", _) => {
                self.error(name.span, ".endm without .macro", "a macro begins with .macro NAME");
                0
            }
            (other, _) => {
                let mut finding = Diagnostic::error(name.span, format!("unknown directive `{other}`"));
                if let Some(near) = nearest(other, DIRECTIVES.iter().copied()) {
                    finding = finding.hint(format!("did you mean `{near}`?"));
                }
                self.report.push(finding);
                0
            }
        }
    }

    fn data_size(&mut self, name: &Name, operands: &[Operand], width: u32) -> u32 {
        if operands.is_empty() {
            let (message, hint) =
                (format!("`{}` without a value", name.text), format!("{} 1, 2, 3", name.text));
            self.error(name.span, message, hint);
        }
        if self.language == Language::Original {
            return width;
        }
        let len = |operand: &Operand| match operand {
            Operand::Text(bytes, _) => bytes.len() as u32 * width,
            _ => width,
        };
        operands.iter().map(len).fold(0, u32::saturating_add)
    }

    /// A value that the first pass needs, so that it must not stand on labels further down.
    fn known(&mut self, expression: &Expression, here: u32) -> Option<u32> {
        let value = self.value(expression, here)?;
        u32::try_from(value).ok().filter(|&value| value <= RAM_BYTES).or_else(|| {
            let hint = format!("it must lie between 0 and {RAM_BYTES}");
            self.error(expression.span, format!("{value} is out of range"), hint);
            None
        })
    }

    fn value(&mut self, expression: &Expression, here: u32) -> Option<i64> {
        match evaluate(expression, i64::from(here), &mut |name, place| self.look_up(name, place)) {
            Ok(value) => Some(value),
            Err(finding) => {
                self.report.push(finding);
                None
            }
        }
    }

    fn look_up(&mut self, name: &str, place: &Expression) -> Result<i64, Diagnostic> {
        if let Some(value) = self.values.get(name) {
            return Ok(*value);
        }
        let (expression, here) = match self.definitions.get(name) {
            Some((Definition::Label { address, .. }, _)) => return Ok(i64::from(*address)),
            Some((Definition::Constant { expression, here }, _)) => (expression.clone(), *here),
            None => {
                let finding = Diagnostic::error(place.span, format!("`{name}` is not defined"));
                let near = nearest(name, self.definitions.keys().map(String::as_str));
                return Err(match near {
                    Some(near) => finding.hint(format!("did you mean `{near}`?")),
                    None => finding.hint(
                        "define it as a label `name:` or with .equ (above, if .org, .align or .space uses it)",
                    ),
                });
            }
        };
        if self.open.iter().any(|open| open == name) || self.open.len() > 32 {
            return Err(Diagnostic::error(
                place.span,
                format!("`{name}` is defined by itself, or through too many others"),
            )
            .hint("break the circle"));
        }
        self.open.push(name.to_owned());
        let value = evaluate(&expression, i64::from(here), &mut |name, place| self.look_up(name, place));
        self.open.pop();
        if let Ok(value) = &value {
            self.values.insert(name.to_owned(), *value);
        }
        value
    }

    /// The second pass: the bytes of one statement.
    fn emit(&mut self, statement: &Statement, address: u32, len: u32, program: &mut Program) {
        let bytes = match &statement.body {
            None => return,
            Some(Body::Instruction { mnemonic, condition, operands }) => {
                let language = self.language;
                let word = instruction::encode(mnemonic, condition.as_ref(), operands, language, self.report);
                match word {
                    Some((mut word, immediate)) => {
                        if let Some(expression) = immediate {
                            word.immediate = self.number(expression, address, 4).unwrap_or(0);
                        }
                        word.encode().to_vec()
                    }
                    None => vec![0; 8],
                }
            }
            Some(Body::Directive { name, operands }) => match width(&name.text) {
                Some(width) => self.data(operands, width, address),
                None => vec![self.fill(name, operands, address); len as usize],
            },
        };
        let is_code = matches!(statement.body, Some(Body::Instruction { .. }));
        if len > 0 {
            let (line, _) = self.sources.line_column(statement.span);
            let (file, line) = (statement.span.file, line as u32);
            program.lines.push(SourceLine { address, len_bytes: len, file, line, is_code });
        }
        program.image.resize(address as usize, 0);
        program.image.extend(bytes);
    }

    fn fill(&mut self, name: &Name, operands: &[Operand], address: u32) -> u8 {
        match (name.text.as_str(), operands) {
            (".space", [_, Operand::Value(fill)]) => self.number(fill, address, 1).unwrap_or(0) as u8,
            _ => 0,
        }
    }

    fn data(&mut self, operands: &[Operand], width: u32, address: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut add = |value: u32| bytes.extend(value.to_le_bytes().into_iter().take(width as usize));
        let used = if self.language == Language::Original { 1 } else { operands.len() };
        for operand in operands.iter().take(used) {
            match operand {
                Operand::Text(text, _) => text.iter().for_each(|&byte| add(u32::from(byte))),
                Operand::Register(number, span) => {
                    let message = format!("r{number} is a register and no value");
                    self.report.push(
                        Diagnostic::error(*span, message).hint("data is made when the program is assembled"),
                    );
                }
                Operand::Value(expression) => {
                    let value = self.number(expression, address, width).unwrap_or(0);
                    // The original takes a label as a value, and makes it 0.
                    let is_lost = self.language == Language::Original
                        && matches!(expression.kind, crate::syntax::ExpressionKind::Symbol(_));
                    add(if is_lost { 0 } else { value });
                }
            }
        }
        bytes
    }

    /// A value that must fit, signed or unsigned, into this many bytes.
    fn number(&mut self, expression: &Expression, here: u32, width: u32) -> Option<u32> {
        let value = self.value(expression, here)?;
        let highest = (1i64 << (8 * width)) - 1;
        if self.language == Language::Original {
            if value > i64::from(u32::MAX) {
                self.error(expression.span, "Number too big", "the highest is 4294967295");
                return None;
            }
            return Some(value as u32);
        }
        if value < -(1i64 << (8 * width - 1)) || value > highest {
            let hint = format!("it must lie between {} and {highest}", -(1i64 << (8 * width - 1)));
            let message = format!("{value} does not fit into {} bits", 8 * width);
            self.error(expression.span, message, hint);
            return None;
        }
        Some(value as u32)
    }

    /// Behind the last line: `break`, and a `jmp` back to it, so that no program runs off its end.
    fn epilogue(&mut self, statements: &[Statement], program: &mut Program) {
        if self.language == Language::Original && !program.image.len().is_multiple_of(8) {
            let message = format!("instruction not aligned on 64bit boundary: 0x{:x}", program.image.len());
            let Some(last) = statements.last() else { return };
            return self.error(last.span, message, "make the data at the end a multiple of 8 bytes long");
        }
        program.image.resize(program.image.len().next_multiple_of(8), 0);
        let here = program.image.len() as u32;
        let stop = Word {
            opcode: Operation::Break as u8,
            first: ABSENT,
            second: ABSENT,
            condition: 0,
            immediate: 0,
        };
        let again = Word { opcode: Operation::Jmp as u8, first: IMMEDIATE, immediate: here, ..stop };
        program.image.extend(stop.encode());
        program.image.extend(again.encode());
    }

    fn symbols(&mut self) -> Symbols {
        let mut symbols = Symbols::default();
        let names: Vec<String> = self.definitions.keys().cloned().collect();
        for name in names {
            let symbol = match self.definitions.get(&name) {
                Some((Definition::Label { address, kind }, _)) => Symbol { value: *address, kind: *kind },
                Some((Definition::Constant { expression, here }, _)) => {
                    let (expression, here) = (expression.clone(), *here);
                    match self.value(&expression, here) {
                        Some(value) => Symbol { value: value as u32, kind: SymbolKind::Constant },
                        None => continue,
                    }
                }
                None => continue,
            };
            symbols.insert(name, symbol);
        }
        symbols
    }
}
