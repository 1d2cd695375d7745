//! The words of the kernel's command line (docs/testing.md).

use abi::termios::Winsize;
use machine::boot;
use machine::sync::Once;

/// What the command line asks for.
#[derive(Debug, Default)]
pub struct Options {
    /// Nothing of the log on the console.
    pub is_quiet: bool,
    /// All of the log on the console.
    pub is_verbose: bool,
    /// The first program.
    pub init: Option<&'static str>,
    /// The second serial port carries the report.
    pub has_report: bool,
    /// The file that describes the job.
    pub job: Option<&'static str>,
    /// The size of the console's window.
    pub window: Option<Winsize>,
    /// Every system call is logged.
    pub traces: bool,
    /// Programs may have allocations fail.
    pub offers_failures: bool,
    /// Seconds to wait after a panic before the machine is reset; none: it stops.
    pub panic_seconds: Option<u32>,
}

static OPTIONS: Once<Options> = Once::new();

/// The options of this boot.
pub fn get() -> &'static Options {
    if OPTIONS.get().is_none() {
        // Two that come at once read the same line.
        let _ = OPTIONS.set(parse(&boot::info().command_line));
    }
    match OPTIONS.get() {
        Some(options) => options,
        None => unreachable!("just set"),
    }
}

fn parse(line: &'static str) -> Options {
    let mut options = Options::default();
    for word in line.split_ascii_whitespace() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("quiet", None) => options.is_quiet = true,
            ("verbose", None) => options.is_verbose = true,
            ("init", Some(path)) => options.init = Some(path),
            ("hob.report", Some("ttyS1")) => options.has_report = true,
            ("hob.job", Some(path)) => options.job = Some(path),
            ("hob.trace", None) => options.traces = true,
            ("hob.fail", None) => options.offers_failures = true,
            ("hob.winsize", Some(size)) => options.window = parse_window(size),
            ("panic", Some(seconds)) => options.panic_seconds = seconds.parse().ok(),
            // Words that are not the kernel's belong to the first program, as on Linux.
            _ => {}
        }
    }
    options
}

/// Reads `ROWSxCOLUMNS`.
pub fn parse_window(text: &str) -> Option<Winsize> {
    let (rows, columns) = text.split_once('x')?;
    Some(Winsize { ws_row: rows.parse().ok()?, ws_col: columns.parse().ok()?, ..Winsize::default() })
}
