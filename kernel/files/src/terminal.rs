//! Terminals (tty(4), ioctl_tty(2)): a line discipline between a driver and the programs that read and write.
//!
//! ```text
//!   driver ── receive ──► Discipline ──► input ──► read
//!      ▲                      │ echo
//!      └── transmit ◄── output queue ◄── OPOST ◄── write
//! ```
//!
//! Locks: `state` (spin) guards discipline and output queue, and the driver is called with it held; nothing else is. Signals
//! go out and sleepers are woken after it has been released. Who owns the terminal (session, foreground job) is two atomics: what
//! jobs are, the [`JobControl`] knows.

mod control;
mod device;
mod discipline;
mod file;
mod job;
mod output;
mod pty;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::Errno;
use abi::signal::Signal;
use abi::termios::{Termios, Winsize};
use machine::heap::{Grow, try_arc};
use machine::sync::{Rank, SpinLock};
use memory::{Sink, Source};
use threads::poll::{Events, PollSource, Waiter};
use threads::{Mutex, Wait, WaitError, WaitQueue};

pub use control::speed_of;
pub use device::{TerminalDevice, register_terminal, set_console};
pub use discipline::{Discipline, Effects, Flow, INPUT_MAX, TerminalSignal};
pub use file::TerminalFile;
pub use job::{Caller, JobControl, job_control, set_job_control};
pub use pty::start as start_ptys;

/// Output that waits for the driver, in bytes, before writers do.
const OUTPUT_MAX: usize = 4096;
/// Bytes that a read or write handles at a time.
const CHUNK: usize = 256;

/// What is at the other end of a terminal: a serial port, the master of a pty.
pub trait TerminalDriver: Send + Sync {
    /// Takes as many bytes as it has room for, and says how many; never sleeps. Called with the terminal locked. When it took
    /// fewer, it calls [`Terminal::output_ready`] later.
    fn transmit(&self, bytes: &[u8]) -> usize;

    /// Whether all that was taken has left.
    fn is_drained(&self) -> bool {
        true
    }

    /// Speed, bits and flow control have changed.
    fn configure(&self, _termios: &Termios) {}

    /// Sends a break.
    fn send_break(&self) {}

    /// Room for input has become free, after there was none.
    fn input_wanted(&self) {}

    /// Input or output that has not been read yet was thrown away; ptys in packet mode tell.
    fn flushed(&self, _input: bool, _output: bool) {}

    /// Output was stopped or started.
    fn flow_changed(&self, _is_stopped: bool) {}
}

struct State {
    discipline: Discipline,
    output: VecDeque<u8>,
    window: Winsize,
}

/// A terminal.
pub struct Terminal {
    name: String,
    device: u64,
    driver: Arc<dyn TerminalDriver>,
    state: SpinLock<State>,
    /// Held by a write(2), so that two do not mix.
    writing: Mutex<()>,
    /// Held by a read(2), so that two readers do not tear a line.
    reading: Mutex<()>,
    input_ready: WaitQueue,
    output_ready: WaitQueue,
    events: PollSource,
    /// The session that it controls (its leader's process id), 0 for none.
    session: AtomicU32,
    /// The job in the foreground (its group id), 0 for none.
    foreground: AtomicU32,
    /// Counts hang-ups: a file opened before one is dead.
    generation: AtomicU32,
    /// Only CAP_SYS_ADMIN can open it (TIOCEXCL).
    is_exclusive: AtomicBool,
    /// The other side has gone for good: the master of a pty was closed.
    is_gone: AtomicBool,
}

impl Terminal {
    /// A terminal called `name` (`ttyS0`, `pts/3`) with device number `device`.
    /// `ENOMEM` when there is no room for it and for a full line of input, which cannot be refused when it comes.
    pub fn new(
        name: String,
        device: u64,
        termios: Termios,
        driver: Arc<dyn TerminalDriver>,
    ) -> Result<Arc<Self>, Errno> {
        let mut discipline = Discipline::new(termios);
        discipline.reserve_input()?;
        let state = State { discipline, output: VecDeque::new(), window: Winsize::default() };
        Ok(try_arc(Self {
            name,
            device,
            driver,
            state: SpinLock::new(Rank::Stream, state),
            writing: Mutex::new(()),
            reading: Mutex::new(()),
            input_ready: WaitQueue::new(),
            output_ready: WaitQueue::new(),
            events: PollSource::new(),
            session: AtomicU32::new(0),
            foreground: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            is_exclusive: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        })?)
    }

    /// Its name below /dev.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its device number.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The session that it controls, by its leader's process id; 0 for none.
    pub fn session(&self) -> u32 {
        self.session.load(Ordering::Acquire)
    }

    /// The group id of the foreground job; 0 for none.
    pub fn foreground(&self) -> u32 {
        self.foreground.load(Ordering::Acquire)
    }

    /// The settings.
    pub fn termios(&self) -> Termios {
        *self.state.lock().discipline.termios()
    }

    /// The size of the window.
    pub fn window(&self) -> Winsize {
        self.state.lock().window
    }

    /// Sets the size of the window; the foreground job gets SIGWINCH if it is another.
    pub fn set_window(&self, window: Winsize) {
        let is_other = core::mem::replace(&mut self.state.lock().window, window) != window;
        if is_other {
            self.signal_foreground(Signal::SIGWINCH);
        }
    }

    fn signal_foreground(&self, signal: Signal) {
        let foreground = self.foreground();
        if foreground != 0
            && let Some(jobs) = job_control()
        {
            jobs.signal_group(foreground, signal);
        }
    }

    /// Takes bytes that were typed; from a thread (a driver's softirq, a pty's writer). Returns how many there was room for.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let mut effects = Effects::default();
        let mut taken = 0;
        let (became_readable, wakes_writers) = {
            let mut state = self.state.lock();
            let was_readable = state.discipline.is_readable();
            for &byte in bytes {
                if state.discipline.is_full() {
                    break;
                }
                state.discipline.receive(byte, &mut effects);
                taken += 1;
            }
            let wakes_writers = self.apply(&mut state, &mut effects);
            // In raw mode with VTIME each byte restarts a reader's timer, so it is woken for each.
            let is_readable = state.discipline.is_readable();
            (
                is_readable && !was_readable
                    || state.discipline.has_input() && !state.discipline.reads_lines(),
                wakes_writers,
            )
        };
        self.tell(&effects, became_readable, wakes_writers);
        taken
    }

    /// A break on the line.
    pub fn receive_break(&self) {
        let mut effects = Effects::default();
        let wakes_writers = {
            let mut state = self.state.lock();
            state.discipline.receive_break(&mut effects);
            self.apply(&mut state, &mut effects)
        };
        self.tell(&effects, true, wakes_writers);
    }

    /// Does what input brought about as far as the lock is needed; returns whether writers can go on.
    fn apply(&self, state: &mut State, effects: &mut Effects) -> bool {
        let mut wakes_writers = false;
        if effects.flush_output {
            state.output.clear();
            self.driver.flushed(true, true);
            wakes_writers = true;
        }
        if let Some(flow) = effects.flow {
            self.driver.flow_changed(flow == Flow::Stop);
            wakes_writers = true;
        }
        // What is echoed beyond the limit is lost, rather than typed input.
        let room = OUTPUT_MAX.saturating_sub(state.output.len());
        if state.output.try_grow(effects.echo.len().min(room)).is_ok() {
            state.output.extend(effects.echo.iter().take(room));
        }
        self.transmit(state) || wakes_writers
    }

    fn tell(&self, effects: &Effects, readable: bool, writable: bool) {
        for signal in &effects.signals {
            self.signal_foreground(match signal {
                TerminalSignal::Interrupt => Signal::SIGINT,
                TerminalSignal::Quit => Signal::SIGQUIT,
                TerminalSignal::Suspend => Signal::SIGTSTP,
            });
        }
        if readable {
            self.input_ready.wake_all();
            self.events.notify(Events::IN | Events::RDNORM);
        }
        if writable {
            self.output_ready.wake_all();
            self.events.notify(Events::OUT | Events::WRNORM);
        }
    }

    /// Hands queued output to the driver; returns whether the queue became shorter.
    fn transmit(&self, state: &mut State) -> bool {
        let before = state.output.len();
        while !state.discipline.is_stopped() && !state.output.is_empty() {
            let (front, _) = state.output.as_slices();
            let taken = self.driver.transmit(front).min(front.len());
            if taken == 0 {
                break;
            }
            state.output.drain(..taken);
        }
        state.output.len() < before
    }

    /// The driver has room again, or has sent all: called by it, from a thread.
    pub fn output_ready(&self) {
        let mut state = self.state.lock();
        self.transmit(&mut state);
        drop(state);
        self.output_ready.wake_all();
        self.events.notify(Events::OUT | Events::WRNORM);
    }

    fn has_hung_up(&self, generation: u32) -> bool {
        self.is_gone.load(Ordering::Acquire) || self.generation.load(Ordering::Acquire) != generation
    }

    /// The moment at which a file is opened, for [`has_hung_up`](Self::has_hung_up).
    fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reads lines, or bytes as VMIN and VTIME want them.
    fn read(&self, into: &mut dyn Sink, is_nonblocking: bool, generation: u32) -> Result<usize, Errno> {
        if self.has_hung_up(generation) && !self.state.lock().discipline.has_input() {
            return if self.is_gone.load(Ordering::Acquire) { Err(Errno::EIO) } else { Ok(0) };
        }
        job::check_reading(self)?;
        let reading = match self.reading.try_lock() {
            Some(reading) => reading,
            None if is_nonblocking => return Err(Errno::EAGAIN),
            None => self.reading.lock_interruptible().map_err(|_| Errno::EINTR)?,
        };
        let (reads_lines, minimum, time_ns) = {
            let state = self.state.lock();
            (
                state.discipline.reads_lines(),
                usize::from(state.discipline.minimum()),
                state.discipline.time_ns(),
            )
        };
        let wanted = into.remaining();
        let least = if reads_lines { 1 } else { minimum.min(wanted) };
        let mut done = 0;
        while into.remaining() > 0 {
            let mut bytes = [0; CHUNK];
            let len = into.remaining().min(CHUNK);
            let (count, is_over, was_full) = {
                let mut state = self.state.lock();
                let was_full = state.discipline.is_full();
                let (count, is_over) = state.discipline.take(bytes.get_mut(..len).unwrap_or_default());
                (count, is_over, was_full && !state.discipline.is_full())
            };
            if was_full {
                self.driver.input_wanted();
            }
            if count > 0 {
                match into.write(bytes.get(..count).unwrap_or_default()) {
                    Ok(written) => done += written,
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                }
            }
            if is_over {
                break;
            }
            if count > 0 {
                continue;
            }
            if done >= least.max(1) || !reads_lines && least == 0 && done > 0 {
                break;
            }
            if self.has_hung_up(generation) {
                if done == 0 && self.is_gone.load(Ordering::Acquire) {
                    return Err(Errno::EIO);
                }
                break;
            }
            if is_nonblocking {
                return if done > 0 { Ok(done) } else { Err(Errno::EAGAIN) };
            }
            // VMIN 0: a timer for the whole read; else one between bytes, which starts with the first.
            let timer = !reads_lines && time_ns > 0 && (minimum == 0 || done > 0);
            if !reads_lines && minimum == 0 && !timer {
                break;
            }
            let wait = if timer {
                Wait::INTERRUPTIBLE.with_deadline(machine::clock::now_ns().saturating_add(time_ns))
            } else {
                Wait::INTERRUPTIBLE
            };
            let ready =
                || (self.state.lock().discipline.has_input() || self.has_hung_up(generation)).then_some(());
            match self.input_ready.wait_until(wait, ready) {
                Ok(()) => {}
                Err(WaitError::TimedOut) => break,
                Err(WaitError::Interrupted) if done > 0 => break,
                Err(WaitError::Interrupted) => return Err(Errno::EINTR),
            }
        }
        drop(reading);
        Ok(done)
    }

    /// Writes bytes through OPOST; sleeps while output is stopped or the driver is slow.
    fn write(&self, from: &mut dyn Source, is_nonblocking: bool, generation: u32) -> Result<usize, Errno> {
        if self.has_hung_up(generation) {
            return Err(Errno::EIO);
        }
        job::check_writing(self)?;
        let _writing = match self.writing.try_lock() {
            Some(writing) => writing,
            None if is_nonblocking => return Err(Errno::EAGAIN),
            None => self.writing.lock_interruptible().map_err(|_| Errno::EINTR)?,
        };
        let mut done = 0;
        while from.remaining() > 0 {
            let mut bytes = [0; CHUNK];
            let len = from.remaining().min(CHUNK);
            // Room first: bytes that have been taken from the source cannot be given back.
            let mut shown = Vec::new();
            let room = self.wait_for_room(is_nonblocking, generation);
            if let Err(error) = room.and_then(|()| self.reserve_output(len, &mut shown)) {
                return if done > 0 { Ok(done) } else { Err(error) };
            }
            let count = match from.read(bytes.get_mut(..len).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return if done > 0 { Ok(done) } else { Err(error) },
            };
            self.put(bytes.get(..count).unwrap_or_default(), shown);
            done += count;
        }
        Ok(done)
    }

    /// Room for what `len` bytes of output become: a tab is eight spaces.
    fn reserve_output(&self, len: usize, shown: &mut Vec<u8>) -> Result<(), Errno> {
        shown.try_grow_exact(8 * len)?;
        Ok(self.state.lock().output.try_grow(8 * len)?)
    }

    /// Processes output, for which there is room, and queues it; the queue may grow past its limit by what one chunk becomes.
    fn put(&self, bytes: &[u8], mut shown: Vec<u8>) {
        let mut state = self.state.lock();
        for &byte in bytes {
            state.discipline.process_output(byte, &mut shown);
        }
        // Most output goes straight to the driver.
        let mut sent = 0;
        if state.output.is_empty() && !state.discipline.is_stopped() {
            sent = self.driver.transmit(&shown).min(shown.len());
        }
        state.output.extend(shown.get(sent..).unwrap_or_default());
        self.transmit(&mut state);
    }

    fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.output.len() < OUTPUT_MAX && !state.discipline.is_stopped()
    }

    fn wait_for_room(&self, is_nonblocking: bool, generation: u32) -> Result<(), Errno> {
        let ready = || {
            if self.has_hung_up(generation) {
                return Some(Err(Errno::EIO));
            }
            self.has_room().then_some(Ok(()))
        };
        match ready() {
            Some(result) => result,
            None if is_nonblocking => Err(Errno::EAGAIN),
            None => self.output_ready.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR)?,
        }
    }

    /// Sleeps until all output has left (tcdrain(3)): EINTR.
    pub fn drain(&self) -> Result<(), Errno> {
        let ready = || {
            let is_empty = self.state.lock().output.is_empty();
            (is_empty && self.driver.is_drained() || self.is_gone.load(Ordering::Acquire)).then_some(())
        };
        self.output_ready.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR)
    }

    /// Throws queued input and output away (tcflush(3)).
    pub fn flush(&self, input: bool, output: bool) {
        {
            let mut state = self.state.lock();
            if input {
                state.discipline.flush_input();
            }
            if output {
                state.output.clear();
            }
            self.driver.flushed(input, output);
        }
        if input {
            self.driver.input_wanted();
        }
        if output {
            self.output_ready.wake_all();
            self.events.notify(Events::OUT | Events::WRNORM);
        }
    }

    /// Changes the settings at once.
    pub fn set_termios(&self, termios: Termios) {
        {
            let mut state = self.state.lock();
            state.discipline.set_termios(termios);
            self.driver.configure(&termios);
        }
        // What could not be read as lines may be readable as bytes.
        self.input_ready.wake_all();
        self.events.notify(Events::IN | Events::RDNORM);
    }

    /// Stops or starts output (tcflow(3)).
    pub fn set_stopped(&self, is_stopped: bool) {
        {
            let mut state = self.state.lock();
            state.discipline.set_stopped(is_stopped);
            self.driver.flow_changed(is_stopped);
            self.transmit(&mut state);
        }
        if !is_stopped {
            self.output_ready.wake_all();
            self.events.notify(Events::OUT | Events::WRNORM);
        }
    }

    /// Bytes that can be read without waiting.
    pub fn readable(&self) -> usize {
        self.state.lock().discipline.readable()
    }

    /// Bytes of output that have not left.
    pub fn queued_output(&self) -> usize {
        self.state.lock().output.len()
    }

    /// How many typed bytes can be taken now.
    pub fn input_room(&self) -> usize {
        self.state.lock().discipline.room()
    }

    fn poll(&self, generation: u32, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.events, interest);
        }
        let mut ready = Events::empty();
        {
            let state = self.state.lock();
            if state.discipline.is_readable() {
                ready |= Events::IN | Events::RDNORM;
            }
            if state.output.len() < OUTPUT_MAX && !state.discipline.is_stopped() {
                ready |= Events::OUT | Events::WRNORM;
            }
        }
        if self.has_hung_up(generation) {
            ready |= Events::HUP | Events::ERR | Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM;
        }
        ready & (interest | Events::HUP | Events::ERR)
    }

    /// Cuts off everybody who has the terminal open, and its session: vhangup(2), and what happens when the line goes dead.
    pub fn hang_up(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.end_session();
        self.flush(true, true);
        self.input_ready.wake_all();
        self.output_ready.wake_all();
        self.events.notify(Events::IN | Events::OUT | Events::HUP | Events::ERR);
    }

    /// The other side has gone for good: as [`hang_up`](Self::hang_up), and nobody can open it again.
    pub fn disconnect(&self) {
        self.is_gone.store(true, Ordering::Release);
        self.end_session();
        self.input_ready.wake_all();
        self.output_ready.wake_all();
        self.events.notify(Events::IN | Events::OUT | Events::HUP | Events::ERR);
    }

    /// Takes the terminal from its session: the leader and the foreground job get SIGHUP and SIGCONT.
    pub fn end_session(&self) {
        let foreground = self.foreground.swap(0, Ordering::AcqRel);
        let session = self.session.swap(0, Ordering::AcqRel);
        let Some(jobs) = job_control() else { return };
        if session != 0 {
            jobs.lost_terminal(session);
        }
        if foreground != 0 {
            jobs.signal_group(foreground, Signal::SIGHUP);
            jobs.signal_group(foreground, Signal::SIGCONT);
        }
    }
}
