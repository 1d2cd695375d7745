//! The first process: made out of nothing, from what the kernel's binary gives.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;

use abi::Errno;
use abi::fcntl::{OpenFlags, ResolveFlags};
use files::{Credentials, MountNamespace, OpenFile, OpenHow};
use machine::context::UserContext;
use machine::sync::{Once, Rank, SpinLock};
use memory::AddressSpace;

use crate::descriptors::Descriptors;
use crate::process::group::{Group, Session};
use crate::process::place::{Directories, Place};
use crate::process::program::Layout;
use crate::process::task::NewTask;
use crate::process::{Caller, Limits, Namespaces, NewProcess, Process, Program, Task};
use crate::signal::Actions;
use crate::{exec, run, terminals, time, trace};

/// What only the kernel's binary can do: end the machine, and say how it went.
pub trait Machinery: Send + Sync {
    /// Turns the machine off (reboot(2)).
    fn power_off(&self) -> !;
    /// Starts it again.
    fn restart(&self) -> !;
    /// Stops it.
    fn halt(&self) -> !;
    /// The first program could not be started, and its process is about to end.
    fn first_program_refused(&self, error: &StartError);
    /// The first process has ended with this wait status. Linux panics; whoever started a single program wants to hear its status.
    fn first_process_ended(&self, status: u32);
    /// Sets the level below which log lines are shown on the console (syslog(2), types 6 to 8).
    fn set_console_level(&self, level: u8);
}

/// What the first program is.
pub struct Config {
    /// Its path.
    pub path: Vec<u8>,
    /// Its arguments, its own name first.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment.
    pub environment: Vec<Vec<u8>>,
    /// Its working directory.
    pub directory: Vec<u8>,
    /// The mounts that it sees.
    pub namespace: Arc<MountNamespace>,
    /// What descriptors 0, 1 and 2 are opened on; none leaves them closed.
    pub console: Option<Vec<u8>>,
    /// What descriptor 0 is instead.
    pub input: Option<Input>,
    /// Whether the console becomes the terminal of the first session; else that is the program's to decide (setsid(2), TIOCSCTTY).
    pub controls_console: bool,
    /// Whether calls are traced in the log.
    pub traces: bool,
    /// The end of the machine.
    pub machinery: &'static dyn Machinery,
}

/// What the first program reads.
pub enum Input {
    /// The file at this path.
    Path(Vec<u8>),
    /// A file that is open.
    File(Arc<OpenFile>),
}

/// Why the first program could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// What was being done.
    pub what: &'static str,
    /// What went wrong.
    pub error: Errno,
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what, self.error.description())
    }
}

impl core::error::Error for StartError {}

fn failed(what: &'static str) -> impl Fn(Errno) -> StartError {
    move |error| StartError { what, error }
}

static INIT: Once<Arc<Process>> = Once::new();
static MACHINERY: Once<&'static dyn Machinery> = Once::new();

/// The first process, once there is one.
pub(crate) fn init() -> Option<&'static Arc<Process>> {
    INIT.get()
}

/// The end of the machine; none before the start, and in tests.
pub(crate) fn machinery() -> Option<&'static dyn Machinery> {
    MACHINERY.get().copied()
}

/// Starts the first program in a thread of its own. Called once, by a thread, after [`crate::start_file_systems`] and with the root mounted.
pub fn start(config: Config) -> Result<(), StartError> {
    // The second start of one kernel finds everything in place.
    let _ = MACHINERY.set(config.machinery);
    memory::user::set_fault_handler(run::fault_in);
    memory::oom::set_policy(crate::oom::POLICY);
    time::start();
    exec::vdso::start();
    terminals::start();
    if config.traces {
        trace::start();
    }
    let task = make(&config).map_err(failed("making the first process"))?;
    let process = task.process().clone();
    let space =
        process.program().ok_or(Errno::ENOMEM).map_err(failed("making the first process"))?.space().clone();
    let builder = threads::Builder::new(b"init").space(space.space().clone());
    let spawned = builder.spawn(move || begin(&task, space, config));
    spawned.map(drop).map_err(|error| failed("making the first thread")(error.into()))
}

/// The first process, without a program yet.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
fn make(config: &Config) -> Result<Arc<Task>, Errno> {
    let namespaces = Namespaces::new();
    let pid = namespaces.pids.allocate()?.keep();
    let root = config.namespace.root().clone();
    let directories = Directories { root: root.clone(), working: root, namespace: config.namespace.clone() };
    let memory_bytes = (machine::frame::total() * machine::address::PAGE_SIZE) as u64;
    let limits = Limits::initial(memory_bytes);
    let credentials = Credentials::root();
    let layout = memory::Layout::fixed(limits.soft(abi::resource::RLIMIT_STACK));
    let space = AddressSpace::new(layout, exec::space_limits(&limits, &credentials))?;
    let session = Session::first(&namespaces.pids, pid)?;
    let process = Process::new(NewProcess {
        pid,
        namespaces: namespaces.clone(),
        parent: Weak::new(),
        group: Group::new(pid, &session)?,
        actions: Arc::new(SpinLock::new(Rank::Table, Actions::new())),
        program: Program::new(space, None, Layout::default()),
        limits,
        exit_signal: abi::signal::Signal::SIGCHLD.number() as u32,
    })?;
    process.group().join(&process)?;
    session.set_leader(&process);
    let task = Task::new(NewTask {
        tid: pid,
        process: process.clone(),
        blocked: abi::signal::SigSet::EMPTY,
        descriptors: Descriptors::new()?,
        place: Place::new(directories, 0o022)?,
        credentials: Arc::new(credentials),
    })?;
    process.add_task(&task)?;
    namespaces.pids.publish_process(&process);
    namespaces.pids.publish_task(&task);
    // Nobody else has set them: the namespaces are new.
    let _ = namespaces.init.set(Arc::downgrade(&process));
    let _ = INIT.set(process);
    Ok(task)
}

/// The first thread: opens the console, executes the program, lives its life.
fn begin(task: &Arc<Task>, space: Arc<AddressSpace>, config: Config) {
    task.begin();
    let Ok(context) = UserContext::new() else { return report(&failed("registers")(Errno::ENOMEM)) };
    let (Some(descriptors), Some(place)) = (task.descriptors(), task.place()) else { return };
    let mut caller = Caller::new(task.clone(), context, space, descriptors, place);
    if let Err(error) = prepare(&mut caller, config) {
        // As a shell would say it.
        let status = if error.error == Errno::ENOENT { 127 } else { 126 };
        report(&error);
        crate::process::exit::end_group(&mut caller, status);
    }
    run::run(caller);
}

fn report(error: &StartError) {
    kernel_log::error!("the first program could not be started: {error}");
    if let Some(machinery) = machinery() {
        machinery.first_program_refused(error);
    }
}

fn prepare(caller: &mut Caller, config: Config) -> Result<(), StartError> {
    let directory =
        crate::calls::look_up(caller, abi::fcntl::AT_FDCWD, &config.directory, files::Lookup::FOLLOW)
            .map_err(failed("entering its working directory"))?;
    let directories = caller.place.directories();
    let directories = Directories { working: directory, ..(*directories).clone() };
    let outcome = caller.place.set_directories(directories);
    outcome.map_err(|error| failed("entering its working directory")(error.into()))?;
    let own = if config.controls_console { OpenFlags::empty() } else { OpenFlags::NOCTTY };
    let console = match &config.console {
        Some(console) => {
            Some(open(caller, console, OpenFlags::RDWR | own).map_err(failed("opening the console"))?)
        }
        None => None,
    };
    let input = match &config.input {
        Some(Input::Path(path)) => {
            Some(open(caller, path, OpenFlags::empty()).map_err(failed("opening its input"))?)
        }
        Some(Input::File(file)) => Some(file.clone()),
        None => console.clone(),
    };
    let limit = caller.process.limits.descriptors();
    for file in [input, console.clone(), console].into_iter().flatten() {
        caller.descriptors.insert(file, false, 0, limit).map_err(failed("giving it its descriptors"))?;
    }
    exec::execute_kernel(caller, &config.path, config.arguments, config.environment)
        .map_err(failed("executing it"))
}

/// Opens a file for the first program.
fn open(caller: &Caller, path: &[u8], flags: OpenFlags) -> Result<Arc<OpenFile>, Errno> {
    let how = OpenHow { flags, mode: 0, resolve: ResolveFlags::empty() };
    caller.place.directories().context(&caller.credentials, 0).open(None, path, how)
}
