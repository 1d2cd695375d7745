//! A machine that runs: its console, its report, its end.

use super::{Console, Machine};
use crate::prerequisites::{self, QEMU};
use crate::process;
use crate::progress::say;
use crate::report::{Record, Report};
use crate::terminal::Size;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The way to the machine's second serial port, line by line.
type ToReport = Arc<Mutex<UnixStream>>;

/// What the host passes on as standard input.
pub type Input = Box<dyn Read + Send>;

/// Bytes of standard input in a line to the machine: it takes lines of up to 256 bytes, two for each of these.
const INPUT_CHUNK: usize = 120;

/// A started machine. Dropping it ends QEMU.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    report: Arc<Mutex<Report>>,
    reader: Option<JoinHandle<()>>,
    to_report: ToReport,
    console: Option<UnixStream>,
    errors: Option<JoinHandle<String>>,
    _sockets: TempDir,
}

/// How a machine ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// QEMU's own exit status.
    pub qemu: ExitStatus,
    /// What the machine said of itself.
    pub report: Report,
    /// What QEMU wrote to standard error, where that was not the user's terminal.
    pub errors: String,
}

impl Ended {
    /// Whether the machine was turned off in order: by ACPI or reset (QEMU's status 0), or by the value 0 on the
    /// debug-exit port (status 1).
    pub fn is_orderly(&self) -> bool {
        matches!(self.qemu.code(), Some(0 | 1)) && self.report.panic().is_none()
    }

    /// Says in one line what went wrong, for a machine that did not end as it should.
    pub fn describe(&self) -> String {
        if let Some(message) = self.report.panic() {
            return format!("the kernel panicked: {message}");
        }
        if !self.errors.trim().is_empty() {
            return format!("QEMU: {}", self.errors.trim());
        }
        match (self.qemu.code(), self.qemu.signal()) {
            (Some(3), _) => "the machine reported a failure (debug-exit value 1)".into(),
            (Some(5), _) => "the kernel panicked (debug-exit value 2)".into(),
            (Some(code), _) => format!("QEMU ended with status {code}"),
            (None, signal) => format!("QEMU was ended by signal {}", signal.unwrap_or(0)),
        }
    }
}

impl Machine {
    /// Starts QEMU.
    pub fn start(&self) -> Result<Running> {
        self.start_with(None)
    }

    /// Starts QEMU, and passes `input` on when the machine's job asks for it.
    pub fn start_with(&self, input: Option<Input>) -> Result<Running> {
        let qemu = prerequisites::find(QEMU)?;
        let sockets =
            tempfile::Builder::new().prefix("hob-").tempdir().context("cannot make a temporary folder")?;
        let listen = |name: &str| {
            UnixListener::bind(sockets.path().join(name))
                .with_context(|| format!("cannot listen on socket {name}"))
        };
        let report_listener = listen("report")?;
        let console_listener = if self.console == Console::Socket { Some(listen("console")?) } else { None };

        // Should this program be killed, the kernel ends QEMU too, by a signal on which QEMU restores the terminal.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(qemu).args(self.options(sockets.path()));
        if console_listener.is_some() {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        }
        if self.console == Console::Output {
            command.stdin(Stdio::null());
        }
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start QEMU")?;
        let errors = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                // What could be read before an error is still worth showing.
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let connected = (|| {
            // QEMU makes its chardevs in the order of the options: the console first.
            let console = console_listener.map(|listener| accept(&listener, &mut child)).transpose()?;
            Ok::<_, anyhow::Error>((console, accept(&report_listener, &mut child)?))
        })();
        let (console, to_report) = match connected {
            Ok(streams) => streams,
            Err(error) => {
                process::end(&mut child);
                let said = errors.and_then(|errors| errors.join().ok()).unwrap_or_default();
                return Err(error.context(said.trim().to_owned()));
            }
        };
        let report = Arc::new(Mutex::new(Report::default()));
        let from_report = to_report.try_clone()?;
        let to_report = Arc::new(Mutex::new(to_report));
        let reader = std::thread::spawn({
            let (to_report, report) = (Arc::clone(&to_report), Arc::clone(&report));
            move || read_report(from_report, &report, &to_report, input)
        });
        Ok(Running {
            child,
            started,
            report,
            reader: Some(reader),
            to_report,
            console,
            errors,
            _sockets: sockets,
        })
    }
}

/// Waits for QEMU to connect; fails when it ends instead.
fn accept(listener: &UnixListener, child: &mut Child) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if let Some(status) = child.try_wait()? {
                    bail!("QEMU did not start ({status})");
                }
                process::wait_readable(listener, Duration::from_millis(50))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_report(stream: UnixStream, report: &Mutex<Report>, to_report: &ToReport, mut input: Option<Input>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let record = Record::parse(&String::from_utf8_lossy(&line));
        if record == Record::Input
            && let Some(input) = input.take()
        {
            let to_report = Arc::clone(to_report);
            // Ends with the input or with the machine; nobody waits for it, since a read may have no end.
            std::thread::spawn(move || pass_on(input, &to_report));
        }
        report.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        line.clear();
    }
}

/// Passes standard input on to the machine, to its end: `input BYTES` in hexadecimal, then `input-end`. The machine takes a
/// line when it has room, so this waits for the job to read.
fn pass_on(mut input: Input, to_report: &ToReport) {
    let mut bytes = [0; INPUT_CHUNK];
    loop {
        let count = match input.read(&mut bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                say(format!("cannot read standard input: {error}"));
                0
            }
        };
        let line = match &bytes[..count] {
            [] => String::from("input-end\n"),
            read => {
                let digits: String = read.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("input {digits}\n")
            }
        };
        // The machine may have ended, and the job with it.
        if send(to_report, &line).is_err() || count == 0 {
            return;
        }
    }
}

fn send(to_report: &ToReport, line: &str) -> std::io::Result<()> {
    to_report.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
}

impl Running {
    /// The console's socket, where [`Console::Socket`] was chosen. It can be taken once.
    pub fn take_console(&mut self) -> Option<UnixStream> {
        self.console.take()
    }

    /// The time at which QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The report as far as it has come.
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A way to look at the report that outlives this handle.
    pub fn watch(&self) -> impl Fn() -> Report + use<> {
        let report = Arc::clone(&self.report);
        move || report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A sender of the user's window size to the guest, for use from another thread.
    pub fn window(&self) -> Window {
        Window { to_report: Arc::clone(&self.to_report) }
    }

    /// Waits until the machine has turned itself off.
    pub fn wait(mut self) -> Result<Ended> {
        let qemu = self.child.wait().context("cannot wait for QEMU")?;
        self.finish(qemu)
    }

    /// Waits, but no longer than `limit`; a machine that is still on then is ended, and that is an error.
    pub fn wait_within(mut self, limit: Duration) -> Result<Ended> {
        let Some(qemu) = process::wait_within(&mut self.child, limit)? else {
            bail!("the machine was still running after {} s", limit.as_secs());
        };
        self.finish(qemu)
    }

    fn finish(&mut self, qemu: ExitStatus) -> Result<Ended> {
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has pushed what it read.
            let _ = reader.join();
        }
        let errors = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        Ok(Ended { qemu, report: self.report(), errors })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// Tells the guest about the user's window.
#[derive(Debug)]
pub struct Window {
    to_report: ToReport,
}

impl Window {
    /// Sends `winsize ROWS COLUMNS` on the second serial port.
    pub fn send(&mut self, size: Size) -> std::io::Result<()> {
        send(&self.to_report, &format!("winsize {} {}\n", size.rows, size.columns))
    }
}
