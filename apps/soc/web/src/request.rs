//! What the page can ask for.

use serde::Deserialize;

/// A request, tagged by `do`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Findings, colours and size of a source; the machine is left alone.
    Assemble {
        source: String,
        compat: bool,
    },
    /// A fresh machine with the program that was assembled last.
    Load {
        seed: u32,
    },
    /// All that is to be seen now.
    View {
        memory: u32,
        memory_rows: u32,
        code: Option<u32>,
        code_rows: u32,
    },
    /// Begins to pursue a goal.
    Goal {
        goal: GoalName,
        value: f64,
    },
    /// Gives up the goal.
    Cancel,
    /// Sets a breakpoint at an address, or deletes it.
    ToggleBreakpoint {
        address: u32,
    },
    /// Keys, bytes for the UART, levels of the inputs.
    Key {
        code: u8,
    },
    Serial {
        text: String,
    },
    Pins {
        levels: u32,
    },
    /// Edits.
    SetRegister {
        number: u8,
        value: u32,
    },
    SetMemory {
        address: u32,
        byte: u8,
    },
    /// A line for the console.
    Console {
        line: String,
    },
    /// Lays out a source.
    Format {
        source: String,
    },
    /// The programs on offer.
    Examples,
}

/// A goal's name; `value` is its count, address or cycle.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalName {
    Continue,
    Step,
    Over,
    Out,
    RunTo,
    ReverseStep,
    ReverseContinue,
    GoTo,
}
