//! What a TOML file expects of a program.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole file: how to run, what to give, what to expect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Source or image, relative to the file. Default: the file's own name with `.asm`.
    pub program: Option<PathBuf>,
    /// The original's faults, in machine and assembler.
    #[serde(default)]
    pub compat: bool,
    #[serde(default)]
    pub seed: u64,
    /// Highest number of cycles.
    #[serde(default = "million")]
    pub cycles: u64,
    #[serde(default, rename = "input")]
    pub inputs: Vec<Given>,
    #[serde(default)]
    pub expect: Expected,
}

fn million() -> u64 {
    1_000_000
}

/// Something given from outside at a cycle.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub cycle: u64,
    /// Keys, as a text of Latin-1 characters.
    #[serde(default)]
    pub keys: String,
    /// Bytes for the UART.
    #[serde(default)]
    pub serial: String,
    /// Levels of the 32 GPIO inputs.
    pub pins: Option<u32>,
    /// Cycles from one key or byte to the next.
    #[serde(default = "thousand")]
    pub every: u64,
}

fn thousand() -> u64 {
    1000
}

/// What must hold at the end; what is left out is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// `break`, `exit`, `exception`, `double fault`, `asleep` or `limit`.
    pub stop: Option<String>,
    /// The program's exit status, or the exception's number.
    pub value: Option<u32>,
    pub cycles: Option<u64>,
    pub image_bytes: Option<usize>,
    /// Registers of the generic bank by name: `r0` to `r15`.
    #[serde(default)]
    pub registers: BTreeMap<String, u32>,
    #[serde(default)]
    pub interrupt_registers: BTreeMap<String, u32>,
    /// What every generic register holds that is not listed.
    pub other_registers: Option<u32>,
    /// Letters of the flags that are set: any of `ZCie`, in this order.
    pub flags: Option<String>,
    /// The video mode.
    pub mode: Option<u8>,
    pub graphics_sha256: Option<String>,
    pub text_sha256: Option<String>,
    /// The first lines of the text screen, without the spaces at their ends.
    #[serde(default)]
    pub text: Vec<String>,
    /// All that the UART has sent.
    pub output: Option<String>,
    /// Levels of the GPIO outputs.
    pub pins: Option<u32>,
    /// 32-bit words of memory, by address.
    #[serde(default)]
    pub memory: BTreeMap<String, u32>,
}
