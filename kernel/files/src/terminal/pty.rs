//! Pseudo-terminals (pty(7), pts(4)): a terminal whose driver is a program with the master open.
//!
//! ```text
//!   master write ──► Terminal::receive ──► slave read
//!   master read  ◄── Master::output    ◄── slave write, echo
//! ```

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use abi::Errno;
use abi::ioctl::*;
use abi::stat::{DEVPTS_SUPER_MAGIC, S_IFCHR, device_number};
use abi::termios::*;
use arrayvec::ArrayString;
use machine::heap::{Grow, try_arc, try_format, try_insert};
use machine::sync::{Irq, Once, Rank, SpinLock};
use memory::{Sink, Source};
use threads::poll::{Events, PollSource, Pollable, Waiter};
use threads::{Wait, WaitQueue};

use super::device::{MAJOR as TTY_MAJOR, PTMX};
use super::{Terminal, TerminalDriver, TerminalFile};
use crate::credentials::Ownership;
use crate::device::nodes::{add_in, remove_in};
use crate::device::{Device, add_node, register};
use crate::file::{File, IoctlArgument, Transfer};
use crate::filesystem::{self, Superblock};
use crate::inode::{NewBody, NewNode, Opening};
use crate::metadata::Kind;
use crate::tmpfs::{Options, Tmpfs};

/// The major number of slaves (devices.txt).
const SLAVE_MAJOR: u32 = 136;
/// Pseudo-terminals at a time (/proc/sys/kernel/pty/max).
const PTY_MAX: usize = 4096;
/// The group of slaves: `tty` on Debian.
const TTY_GROUP: u32 = 5;
/// Bytes that the master's side keeps.
const OUTPUT_MAX: usize = 8192;
const CHUNK: usize = 256;

/// The open masters by number.
static MASTERS: SpinLock<BTreeMap<u32, Weak<Master>>> = SpinLock::new(Rank::Table, BTreeMap::new());
static DEVPTS: Once<Arc<Superblock>> = Once::new();

/// The side of the slave's terminal that the master drains.
struct Line {
    output: SpinLock<VecDeque<u8>, Irq>,
    output_ready: WaitQueue,
    input_ready: WaitQueue,
    events: PollSource,
    /// Packet mode (TIOCPKT), and what has happened since the master looked.
    is_packet: AtomicBool,
    happened: AtomicU8,
}

impl Line {
    fn note(&self, bits: u8) {
        if bits != 0 && self.is_packet.load(Ordering::Relaxed) {
            self.happened.fetch_or(bits, Ordering::Relaxed);
            self.output_ready.wake_all();
            self.events.notify(Events::PRI | Events::IN);
        }
    }
}

impl TerminalDriver for Line {
    fn transmit(&self, bytes: &[u8]) -> usize {
        let taken = {
            let mut output = self.output.lock();
            let taken = bytes.len().min(OUTPUT_MAX.saturating_sub(output.len()));
            if output.try_grow(taken).is_err() {
                return 0;
            }
            output.extend(bytes.get(..taken).unwrap_or_default());
            taken
        };
        if taken > 0 {
            self.output_ready.wake_one();
            self.events.notify(Events::IN | Events::RDNORM);
        }
        taken
    }

    fn input_wanted(&self) {
        self.input_ready.wake_all();
        self.events.notify(Events::OUT | Events::WRNORM);
    }

    fn flushed(&self, input: bool, output: bool) {
        if output {
            self.output.lock().clear();
        }
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        self.note(bit(input, TIOCPKT_FLUSHREAD) | bit(output, TIOCPKT_FLUSHWRITE));
    }

    fn flow_changed(&self, is_stopped: bool) {
        self.note(if is_stopped { TIOCPKT_STOP } else { TIOCPKT_START });
    }
}

/// The number of a pseudo-terminal, which is free again when this goes.
struct Number(u32);

impl Number {
    fn take() -> Result<Self, Errno> {
        let mut masters = MASTERS.lock();
        if masters.len() >= PTY_MAX {
            return Err(Errno::ENOSPC);
        }
        let number = masters
            .keys()
            .zip(0..)
            .find(|(taken, free)| **taken != *free)
            .map_or(masters.len() as u32, |(_, free)| free);
        try_insert(&mut masters, number, Weak::new())?;
        Ok(Self(number))
    }

    /// The name in devpts.
    fn name(&self) -> ArrayString<10> {
        let mut name = ArrayString::new();
        // Ten digits are enough for every number.
        let _ = write!(name, "{}", self.0);
        name
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        MASTERS.lock().remove(&self.0);
    }
}

/// The master's side of a pseudo-terminal.
struct Master {
    number: Number,
    terminal: Arc<Terminal>,
    line: Arc<Line>,
    /// The slave cannot be opened (TIOCSPTLCK).
    is_locked: AtomicBool,
    /// Slaves that are open, and whether one has been: without slaves the master reads EIO.
    slaves: AtomicUsize,
    had_slave: AtomicBool,
}

impl Master {
    fn open(opening: &Opening<'_>) -> Result<Arc<Self>, Errno> {
        let line = try_arc(Line {
            output: SpinLock::new(Rank::Device, VecDeque::new()),
            output_ready: WaitQueue::new(),
            input_ready: WaitQueue::new(),
            events: PollSource::new(),
            is_packet: AtomicBool::new(false),
            happened: AtomicU8::new(0),
        })?;
        line.output.lock().try_grow_exact(OUTPUT_MAX)?;
        let number = Number::take()?;
        let driver: Arc<dyn TerminalDriver> = Arc::clone(&line) as _;
        let device = device_number(SLAVE_MAJOR, number.0);
        let name = try_format(format_args!("pts/{}", number.0))?;
        let terminal = Terminal::new(name, device, Termios::DEFAULT, driver)?;
        let master = try_arc(Self {
            number,
            terminal,
            line,
            is_locked: AtomicBool::new(true),
            slaves: AtomicUsize::new(0),
            had_slave: AtomicBool::new(false),
        })?;
        if let Some(place) = MASTERS.lock().get_mut(&master.number.0) {
            *place = Arc::downgrade(&master);
        }
        let ownership = Ownership { mode: S_IFCHR | 0o620, uid: opening.credentials.fsuid, gid: TTY_GROUP };
        let node = NewNode { body: NewBody::Device(Kind::CharacterDevice, device), ownership };
        add_in(&devpts(), &master.number.name(), node)?;
        Ok(master)
    }

    fn has_slaves(&self) -> bool {
        self.slaves.load(Ordering::Acquire) > 0
    }

    fn has_lost_slaves(&self) -> bool {
        self.had_slave.load(Ordering::Acquire) && !self.has_slaves()
    }

    /// Takes output of the slave out, and lets it go on writing.
    fn take(&self, into: &mut [u8]) -> usize {
        let count = {
            let mut output = self.line.output.lock();
            let count = output.len().min(into.len());
            for (place, byte) in into.iter_mut().zip(output.drain(..count)) {
                *place = byte;
            }
            count
        };
        if count > 0 {
            self.terminal.output_ready();
        }
        count
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.terminal.disconnect();
        // It may have been removed by hand.
        let _ = remove_in(&devpts(), &self.number.name());
    }
}

impl Pollable for Master {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        if let Some(waiter) = waiter {
            waiter.watch(&self.line.events, interest);
        }
        let mut ready = Events::empty();
        if !self.line.output.lock().is_empty() {
            ready |= Events::IN | Events::RDNORM;
        }
        if self.line.happened.load(Ordering::Relaxed) != 0 {
            ready |= Events::PRI | Events::IN | Events::RDNORM;
        }
        if self.terminal.input_room() > 0 {
            ready |= Events::OUT | Events::WRNORM;
        }
        if self.has_lost_slaves() {
            ready |= Events::HUP;
        }
        ready & (interest | Events::HUP)
    }
}

impl File for Master {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        if into.remaining() == 0 {
            return Ok(0);
        }
        let is_packet = self.line.is_packet.load(Ordering::Relaxed);
        let ready = || {
            let is_ready = !self.line.output.lock().is_empty()
                || is_packet && self.line.happened.load(Ordering::Relaxed) != 0
                || self.has_lost_slaves();
            is_ready.then_some(())
        };
        if ready().is_none() {
            if how.is_nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.line.output_ready.wait_until(Wait::INTERRUPTIBLE, ready).map_err(|_| Errno::EINTR)?;
        }
        let mut done = 0;
        if is_packet {
            let happened = self.line.happened.swap(0, Ordering::Relaxed);
            done = into.write(&[happened])?;
            if happened != 0 {
                return Ok(done);
            }
        }
        let head = done;
        while into.remaining() > 0 {
            let mut bytes = [0; CHUNK];
            let len = into.remaining().min(CHUNK);
            let count = self.take(bytes.get_mut(..len).unwrap_or_default());
            if count == 0 {
                break;
            }
            match into.write(bytes.get(..count).unwrap_or_default()) {
                Ok(written) => done += written,
                Err(error) if done == head => return Err(error),
                Err(_) => break,
            }
        }
        if done == head && self.has_lost_slaves() { Err(Errno::EIO) } else { Ok(done) }
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        let mut done = 0;
        while from.remaining() > 0 {
            let room = self.terminal.input_room();
            if room == 0 {
                if how.is_nonblocking {
                    return if done > 0 { Ok(done) } else { Err(Errno::EAGAIN) };
                }
                let ready = || (self.terminal.input_room() > 0).then_some(());
                if self.line.input_ready.wait_until(Wait::INTERRUPTIBLE, ready).is_err() {
                    return if done > 0 { Ok(done) } else { Err(Errno::EINTR) };
                }
                continue;
            }
            let mut bytes = [0; CHUNK];
            let len = from.remaining().min(CHUNK).min(room);
            let count = match from.read(bytes.get_mut(..len).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return if done > 0 { Ok(done) } else { Err(error) },
            };
            self.terminal.receive(bytes.get(..count).unwrap_or_default());
            done += count;
        }
        Ok(done)
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        let put =
            |argument: &mut dyn IoctlArgument, value: u32| argument.write(&value.to_ne_bytes()).map(|()| 0);
        let get = |argument: &mut dyn IoctlArgument| {
            let mut bytes = [0; 4];
            argument.read(&mut bytes).map(|()| i32::from_ne_bytes(bytes))
        };
        match request {
            TIOCGPTN => put(argument, self.number.0),
            TIOCSPTLCK => {
                self.is_locked.store(get(argument)? != 0, Ordering::Release);
                Ok(0)
            }
            TIOCGPTLCK => put(argument, u32::from(self.is_locked.load(Ordering::Acquire))),
            TIOCPKT => {
                let is_packet = get(argument)? != 0;
                self.line.is_packet.store(is_packet, Ordering::Relaxed);
                self.line.happened.store(0, Ordering::Relaxed);
                Ok(0)
            }
            TIOCGPKT => put(argument, u32::from(self.line.is_packet.load(Ordering::Relaxed))),
            TIOCSIG => {
                let signal = abi::signal::Signal::new(argument.value() as i32).ok_or(Errno::EINVAL)?;
                self.terminal.signal_foreground(signal);
                Ok(0)
            }
            FIONREAD => {
                // The lock goes before the program's memory is touched.
                let waiting = self.line.output.lock().len() as u32;
                put(argument, waiting)
            }
            // The master may ask about the foreground job although the terminal does not control it.
            TIOCGPGRP => put(argument, self.terminal.foreground()),
            TIOCGSID => match self.terminal.session() {
                0 => Err(Errno::ENOTTY),
                session => put(argument, session),
            },
            _ => self.terminal.control(request, argument),
        }
    }
}

/// A slave that is open; the last one that goes is a hang-up for the master.
struct Slave {
    file: Arc<dyn File>,
    master: Weak<Master>,
}

impl Drop for Slave {
    fn drop(&mut self) {
        if let Some(master) = self.master.upgrade()
            && master.slaves.fetch_sub(1, Ordering::AcqRel) == 1
        {
            master.line.output_ready.wake_all();
            master.line.events.notify(Events::HUP);
        }
    }
}

impl Pollable for Slave {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        self.file.poll(interest, waiter)
    }
}

impl File for Slave {
    fn read(&self, into: &mut dyn Sink, how: &mut Transfer) -> Result<usize, Errno> {
        self.file.read(into, how)
    }

    fn write(&self, from: &mut dyn Source, how: &mut Transfer) -> Result<usize, Errno> {
        self.file.write(from, how)
    }

    fn ioctl(&self, request: u32, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        self.file.ioctl(request, argument)
    }

    fn as_terminal(&self) -> Option<&Arc<Terminal>> {
        self.file.as_terminal()
    }
}

struct Slaves;

impl Device for Slaves {
    fn open(&self, minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        let master = MASTERS.lock().get(&minor).and_then(Weak::upgrade).ok_or(Errno::EIO)?;
        open_slave(&master, opening)
    }
}

fn open_slave(master: &Arc<Master>, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
    if master.is_locked.load(Ordering::Acquire) {
        return Err(Errno::EIO);
    }
    let file = TerminalFile::open(&master.terminal, opening, false)?;
    master.slaves.fetch_add(1, Ordering::AcqRel);
    master.had_slave.store(true, Ordering::Release);
    Ok(try_arc(Slave { file, master: Arc::downgrade(master) })?)
}

struct Multiplexer;

impl Device for Multiplexer {
    fn open(&self, _minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        Ok(Master::open(opening)?)
    }
}

/// The file system of slaves, one for all who mount it.
fn devpts() -> Arc<Superblock> {
    if let Some(superblock) = DEVPTS.get() {
        return Arc::clone(superblock);
    }
    let options = Options { mode: 0o755, ..Options::default() };
    let shown = String::from(",gid=5,mode=620,ptmxmode=666");
    let fresh = Superblock::new(Tmpfs::of_kind("devpts", DEVPTS_SUPER_MAGIC, options, shown));
    match DEVPTS.set(Arc::clone(&fresh)) {
        Ok(()) => fresh,
        Err(fresh) => DEVPTS.get().map_or(fresh, Arc::clone),
    }
}

/// Registers ptmx, the slaves, devpts, /dev/tty and /dev/console.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn start() -> Result<(), Errno> {
    super::device::start()?;
    register("ptmx", TTY_MAJOR, PTMX..=PTMX, Arc::new(Multiplexer));
    register("pts", SLAVE_MAJOR, 0..=PTY_MAX as u32, Arc::new(Slaves));
    filesystem::register("devpts", false, Box::new(|_| Ok(devpts())));
    let device = device_number(TTY_MAJOR, PTMX);
    add_node("ptmx", Kind::CharacterDevice, 0o666, device)?;
    let node = NewNode {
        body: NewBody::Device(Kind::CharacterDevice, device),
        ownership: Ownership { mode: S_IFCHR | 0o666, uid: 0, gid: 0 },
    };
    add_in(&devpts(), "ptmx", node)
}
