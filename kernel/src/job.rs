//! What is started first: the job that the host of an emulator describes (docs/testing.md), or the first program of the
//! initramfs.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::str;

use abi::Errno;
use abi::termios::{InputFlags, LocalFlags, OutputFlags, Termios, Winsize};
use drivers::report;
use files::terminal::Terminal;
use files::{Context, Credentials, Kind, Lookup, MountNamespace, OpenHow, Transfer};
use linux::{Config, Input, Machinery, StartError};
use machine::frame::{self, Owner};
use machine::sync::Once;
use memory::KernelSink;

use crate::{end, input, log, options};

/// What a shell says of a program that is not there, and of one that cannot be run.
const STATUS_NOT_FOUND: u32 = 127 << 8;
const STATUS_NOT_RUN: u32 = 126 << 8;

/// Programs that are tried when none is named (Linux: init/main.c has a like list).
const FIRST_PROGRAMS: [&str; 5] = ["/init", "/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

static CONSOLE: Once<Arc<Terminal>> = Once::new();
static BEFORE: Once<Before> = Once::new();

/// What was in use when the job was started, for the count of what it leaked.
struct Before {
    frames: usize,
    threads: usize,
}

/// Remembers the console, for the host's words about its window and the job's mode.
pub fn set_console(terminal: Arc<Terminal>) {
    // Called once.
    let _ = CONSOLE.set(terminal);
}

/// A line from the host: `winsize ROWS COLUMNS`, or a piece of standard input. Whether it was taken.
pub fn host_says(line: &str) -> bool {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "input" => return input::take(rest),
        "input-end" => input::end(),
        "winsize" => match (options::parse_window(&rest.replace(' ', "x")), CONSOLE.get()) {
            (Some(window), Some(console)) => {
                console.set_window(Winsize {
                    ws_row: window.ws_row,
                    ws_col: window.ws_col,
                    ..console.window()
                });
            }
            _ => kernel_log::warn!("the host told a window's size badly: {line}"),
        },
        _ => kernel_log::warn!("the host said something unknown: {line}"),
    }
    true
}

/// A job, as its file describes it.
#[derive(Debug, Default)]
struct Job {
    directory: Vec<u8>,
    /// A path, or `host:`; none for the console.
    input: Option<Vec<u8>>,
    is_raw: bool,
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
}

impl Job {
    /// Takes the file apart; the error is what was expected.
    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut fields = bytes.split(|&byte| byte == 0);
        let mut field = |what| fields.next().ok_or(what);
        if field("hob-job 1")? != b"hob-job 1" {
            return Err("hob-job 1");
        }
        let directory = field("a working directory")?.to_vec();
        let input = Some(field("a file for standard input")?.to_vec()).filter(|path| !path.is_empty());
        let is_raw = match field("raw or cooked")? {
            b"raw" => true,
            b"cooked" => false,
            _ => return Err("raw or cooked"),
        };
        let mut list = |what| -> Result<Vec<Vec<u8>>, &'static str> {
            let count =
                str::from_utf8(field(what)?).ok().and_then(|text| text.parse::<u32>().ok()).ok_or(what)?;
            (0..count).map(|_| Ok(field(what)?.to_vec())).collect()
        };
        let arguments = list("a count of arguments, and as many arguments")?;
        let environment = list("a count of environment entries, and as many entries")?;
        if arguments.is_empty() {
            return Err("an argument at least: the program");
        }
        Ok(Self { directory, input, is_raw, arguments, environment })
    }
}

struct End;

static END: End = End;

impl Machinery for End {
    fn power_off(&self) -> ! {
        finish_report();
        end::power_off()
    }

    fn restart(&self) -> ! {
        finish_report();
        end::restart()
    }

    fn halt(&self) -> ! {
        finish_report();
        end::halt()
    }

    fn first_program_refused(&self, error: &StartError) {
        report::line(&format!("refused the program could not be started: {error}"));
    }

    fn first_process_ended(&self, status: u32) {
        if !report::is_open() {
            kernel_log::error!(
                "the first program ended with wait status {status:#x}; there is nothing left to do"
            );
        }
        ended(status);
    }

    fn set_console_level(&self, level: u8) {
        log::set_shown(level);
    }
}

/// The job cannot be started: says why, and ends as a shell would.
fn refused(message: &str, status: u32) -> ! {
    kernel_log::error!("{message}");
    report::line(&format!("refused {message}"));
    ended(status)
}

/// The job has ended: says so, counts what it left behind, and turns the machine off.
fn ended(status: u32) -> ! {
    report::line(&format!("exit {status}"));
    if let Some(before) = BEFORE.get() {
        count_leaks(before);
    }
    finish_report();
    end::power_off()
}

fn finish_report() {
    report::line("end");
    drivers::serial::flush_all();
}

/// Reports frames and threads that are in use beyond what was when the job was started. What is freed later by others (the last
/// threads leaving their stacks, RCU) is waited for.
fn count_leaks(before: &Before) {
    let leaked = || {
        machine::heap::trim();
        // The thread that counts is the job's own last one.
        let threads = threads::count() as i64 - 1 - before.threads as i64;
        (used_frames() as i64 - before.frames as i64, threads)
    };
    let mut found = leaked();
    // A quarter of a second at the most; counts that are right end it at once.
    for _ in 0..25 {
        if found.0 <= 0 && found.1 <= 0 {
            break;
        }
        threads::time::sleep(10_000_000);
        found = leaked();
    }
    report::line(&format!("counter leaked-frames {}", found.0.max(0)));
    report::line(&format!("counter leaked-threads {}", found.1.max(0)));
}

/// Frames that a job could leak: not those of the file cache, which stay for whoever comes next.
fn used_frames() -> usize {
    [Owner::User, Owner::PageTable].iter().map(|&owner| frame::count(owner)).sum()
}

/// Starts the job or the first program; what keeps it from starting ends the machine with a clear word.
pub fn start(namespace: Arc<MountNamespace>) {
    let options = options::get();
    let root = namespace.root().clone();
    let credentials = Credentials::root();
    let context =
        Context { root: &root, cwd: &root, namespace: &namespace, credentials: &credentials, umask: 0o022 };
    let job = match options.job {
        Some(path) => match read_job(&context, path) {
            Ok(job) => job,
            Err(message) => {
                refused(&format!("the job {path}: {message}"), STATUS_NOT_RUN);
            }
        },
        None => match first_program(&context, options.init) {
            Some(path) => Job {
                directory: b"/".to_vec(),
                arguments: vec![path],
                environment: vec![b"HOME=/".to_vec(), b"TERM=linux".to_vec()],
                ..Job::default()
            },
            None => {
                let missing =
                    "no program to start: /init, /sbin/init and /bin/sh are missing; give one with init=";
                refused(missing, STATUS_NOT_FOUND);
            }
        },
    };
    let program = job.arguments.first().cloned().unwrap_or_default();
    let path = match find_program(&context, &program, &job.environment) {
        Ok(path) => path,
        Err(error) => {
            let message = format!("{}: {}", String::from_utf8_lossy(&program), error.description());
            refused(&message, if error == Errno::ENOENT { STATUS_NOT_FOUND } else { STATUS_NOT_RUN });
        }
    };
    if let Some(console) = CONSOLE.get().filter(|_| job.is_raw) {
        console.set_termios(raw(console.termios()));
    }
    let input = match job.input.as_deref() {
        Some(b"host:") => match input::start() {
            Ok(file) => Some(Input::File(file)),
            Err(error) => {
                refused(&format!("the host's standard input: {}", error.description()), STATUS_NOT_RUN)
            }
        },
        Some(path) => Some(Input::Path(path.to_vec())),
        None => None,
    };
    machine::heap::trim();
    // Called once.
    let _ = BEFORE.set(Before { frames: used_frames(), threads: threads::count() - 1 });
    kernel_log::info!("starting {}", String::from_utf8_lossy(&path));
    log::leave_console(options);
    let config = Config {
        path,
        arguments: job.arguments,
        environment: job.environment,
        directory: job.directory,
        namespace: Arc::clone(&namespace),
        console: CONSOLE.get().map(|_| b"/dev/console".to_vec()),
        input,
        controls_console: options.job.is_some(),
        traces: options.traces,
        machinery: &END,
    };
    if let Err(error) = linux::start(config) {
        refused(&format!("{}: {error}", String::from_utf8_lossy(&program)), STATUS_NOT_RUN);
    }
}

/// Settings that pass every byte unchanged, as cfmakeraw(3).
fn raw(termios: Termios) -> Termios {
    let input = InputFlags::IGNBRK
        | InputFlags::BRKINT
        | InputFlags::PARMRK
        | InputFlags::ISTRIP
        | InputFlags::INLCR
        | InputFlags::IGNCR
        | InputFlags::ICRNL
        | InputFlags::IXON;
    let local =
        LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN;
    Termios {
        c_iflag: termios.c_iflag & !input.bits(),
        c_oflag: termios.c_oflag & !OutputFlags::OPOST.bits(),
        c_lflag: termios.c_lflag & !local.bits(),
        ..termios
    }
}

fn read_job(context: &Context<'_>, path: &str) -> Result<Job, String> {
    let open = || -> Result<Vec<u8>, Errno> {
        let file = context.open(None, path.as_bytes(), OpenHow::READ)?;
        let mut bytes = Vec::new();
        let mut transfer = Transfer::at(0);
        loop {
            let mut chunk = [0; 512];
            let read = file.file().read(&mut KernelSink::new(&mut chunk), &mut transfer)?;
            if read == 0 {
                return Ok(bytes);
            }
            bytes.try_reserve(read).map_err(|_| Errno::ENOMEM)?;
            bytes.extend(chunk.iter().take(read));
        }
    };
    let bytes = open().map_err(|error| String::from(error.description()))?;
    Job::parse(&bytes).map_err(|expected| format!("expected {expected}"))
}

fn first_program(context: &Context<'_>, named: Option<&str>) -> Option<Vec<u8>> {
    let is_there = |path: &&str| context.look_up(None, path.as_bytes(), Lookup::FOLLOW).is_ok();
    if let Some(path) = named {
        if is_there(&path) {
            return Some(path.as_bytes().to_vec());
        }
        kernel_log::error!("init={path} is not there; trying the usual ones");
    }
    FIRST_PROGRAMS.iter().find(|path| is_there(path)).map(|path| path.as_bytes().to_vec())
}

/// Where a program is: its path, or for a name without a slash the first in the environment's PATH.
fn find_program(context: &Context<'_>, name: &[u8], environment: &[Vec<u8>]) -> Result<Vec<u8>, Errno> {
    if name.contains(&b'/') {
        context.look_up(None, name, Lookup::FOLLOW)?;
        return Ok(name.to_vec());
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix(b"PATH="));
    let mut found = Errno::ENOENT;
    for directory in path.unwrap_or(b"/bin:/usr/bin:/sbin:/usr/sbin").split(|&byte| byte == b':') {
        let candidate = [directory, b"/", name].concat();
        match context.look_up(None, &candidate, Lookup::FOLLOW) {
            Ok(path) if Kind::of_mode(path.inode().metadata().mode) == Kind::Regular => return Ok(candidate),
            Ok(_) => found = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(found)
}
