//! Serial ports: the 16550 and what emulators make of it (TL16C550C data sheet).
//!
//! ```text
//!   device ── interrupt ──► input ring ── softirq ──► Client::received
//!   device ◄── interrupt ── output ring ◄──────────── Port::transmit
//! ```
//!
//! `state` is the one lock of a port, taken in interrupts too. The client is called from the softirq with nothing
//! held, and says how much input it took; the rest stays in the ring, and when the ring is full the port's own
//! flow control holds the sender back. News can be raised on several processors at once; one of them serves the port
//! for all, or input would be offered twice and out of order.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::Errno;
use machine::clock;
use machine::interrupts::{Registration, register_isa};
use machine::io::IoPorts;
use machine::sync::{Irq, Once, Rank, SpinLock};
use threads::softirq;

/// The first port of a PC: its first I/O port and its ISA interrupt.
pub const COM1: (u16, u8) = (0x3f8, 4);
/// The second.
pub const COM2: (u16, u8) = (0x2f8, 3);

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const INTERRUPT_IDENTITY: u16 = 2;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const MODEM_STATUS: u16 = 6;
const SCRATCH: u16 = 7;

const WANT_INPUT: u8 = 1 << 0;
const WANT_ROOM: u8 = 1 << 1;
const WANT_ERRORS: u8 = 1 << 2;
/// Bit 0 of the identity register: no interrupt is pending.
const NOTHING_PENDING: u8 = 1 << 0;
const HAS_INPUT: u8 = 1 << 0;
const HAS_BREAK: u8 = 1 << 4;
const HAS_ROOM: u8 = 1 << 5;
const IS_EMPTY: u8 = 1 << 6;
const DIVISOR_ACCESS: u8 = 1 << 7;
const EIGHT_BITS: u8 = 3;
const BREAK: u8 = 1 << 6;
/// DTR, RTS, and OUT2, which lets the interrupt through.
const MODEM_READY: u8 = 0xb;

/// Bytes that the transmitter takes at once.
const FIFO_LEN: usize = 16;
/// Bytes that wait in each direction.
const RING_LEN: usize = 4096;
/// Input of a device that never stops is left for the next interrupt after this many bytes.
const INPUT_BATCH: usize = 256;
/// A transmitter that has not sent a byte for so long, in nanoseconds, is held back for good: the machine can end all
/// the same.
const STUCK_NS: u64 = 10_000_000_000;

/// Who uses a port. Called from a softirq thread, with nothing held.
pub trait Client: Send + Sync {
    /// Bytes have come; returns how many it took. Those left are offered again with the next, or after
    /// [`Port::input_wanted`].
    fn received(&self, bytes: &[u8]) -> usize;

    /// The output ring has room again, after [`Port::transmit`] took less than it was given.
    fn room(&self);

    /// The line was held down for longer than a character.
    fn line_break(&self) {}
}

struct State {
    ports: IoPorts,
    input: VecDeque<u8>,
    output: VecDeque<u8>,
    /// What is in the interrupt-enable register.
    enabled: u8,
    has_break: bool,
    /// 115200 divided by the speed.
    divisor: u16,
    /// Somebody could not transmit all.
    is_room_wanted: bool,
    lost: u64,
}

/// A serial port.
pub struct Port {
    state: SpinLock<State, Irq>,
    client: Once<Arc<dyn Client>>,
    /// The softirq has something to look at.
    has_news: AtomicBool,
    /// The softirq of some processor looks at it.
    is_served: AtomicBool,
    registration: Once<Registration>,
}

/// All ports that are open, for the softirq.
static PORTS: SpinLock<Vec<Arc<Port>>> = SpinLock::new(Rank::Table, Vec::new());

impl Port {
    /// Takes the port at `first` and sets it to 115200 baud, 8N1. ENODEV when nothing is there, EBUSY when it is
    /// in use or its interrupt is.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    pub fn open((first, irq): (u16, u8)) -> Result<Arc<Self>, Errno> {
        let ports = IoPorts::take(first, 8).map_err(|_| Errno::EBUSY)?;
        for probe in [0x5a, 0xa5] {
            ports.write_u8(SCRATCH, probe);
            if ports.read_u8(SCRATCH) != probe {
                return Err(Errno::ENODEV);
            }
        }
        let (mut input, mut output) = (VecDeque::new(), VecDeque::new());
        input.try_reserve_exact(RING_LEN).map_err(|_| Errno::ENOMEM)?;
        output.try_reserve_exact(RING_LEN).map_err(|_| Errno::ENOMEM)?;
        let state = State {
            ports,
            input,
            output,
            enabled: 0,
            has_break: false,
            divisor: 1,
            is_room_wanted: false,
            lost: 0,
        };
        state.set_up(1);
        let port = Arc::new(Self {
            state: SpinLock::new(Rank::Device, state),
            client: Once::new(),
            has_news: AtomicBool::new(false),
            is_served: AtomicBool::new(false),
            registration: Once::new(),
        });
        PORTS.lock().push(Arc::clone(&port));
        let handler = Arc::clone(&port);
        let registration =
            register_isa(irq, Box::new(move || handler.interrupt())).map_err(|_| Errno::EBUSY)?;
        // The port is new, so nobody has set it.
        let _ = port.registration.set(registration);
        Ok(port)
    }

    /// Says who uses the port, and lets input in. Called once.
    pub fn connect(&self, client: Arc<dyn Client>) {
        // The first one stays.
        let _ = self.client.set(client);
        self.state.lock().enable(WANT_INPUT | WANT_ERRORS);
    }

    /// Takes bytes to send, as many as there is room for; returns how many. When it took fewer, [`Client::room`] is
    /// called later. Never sleeps; callable with spin locks up to rank `Stream` held.
    pub fn transmit(&self, bytes: &[u8]) -> usize {
        let mut state = self.state.lock();
        let room = RING_LEN - state.output.len();
        let taken = &bytes[..bytes.len().min(room)];
        state.output.extend(taken);
        if taken.len() < bytes.len() {
            state.is_room_wanted = true;
        }
        if !state.output.is_empty() {
            state.enable(WANT_ROOM);
        }
        taken.len()
    }

    /// Whether all that was taken has left the transmitter.
    pub fn is_drained(&self) -> bool {
        let state = self.state.lock();
        state.output.is_empty() && state.ports.read_u8(LINE_STATUS) & IS_EMPTY != 0
    }

    /// Sends all that waits now, without interrupts: for the end of the machine. Gives up on a port whose other side
    /// takes nothing any more ([`STUCK_NS`]).
    pub fn flush(&self) {
        let mut state = self.state.lock();
        while let Some(byte) = state.output.pop_front() {
            if !state.send_now(byte) {
                state.output.clear();
                return;
            }
        }
        state.wait_for(IS_EMPTY);
    }

    /// Sends bytes after those that wait, without interrupts, for a panic, when all other processors have stopped.
    /// Nothing is sent if the port is held, since its holder will never let go.
    pub fn force(&self, bytes: &[u8]) {
        let Some(mut state) = self.state.try_lock() else { return };
        while let Some(byte) = state.output.pop_front() {
            state.send_now(byte);
        }
        for &byte in bytes {
            state.send_now(byte);
        }
    }

    /// Offers input that the client did not take once more.
    pub fn input_wanted(&self) {
        if !self.state.lock().input.is_empty() {
            self.tell();
        }
    }

    /// Sets the speed, in baud; what the divisor cannot express becomes the nearest that it can.
    pub fn set_speed(&self, baud: u32) {
        let divisor = (115_200 / baud.max(1)).clamp(1, 0xffff) as u16;
        let mut state = self.state.lock();
        // Setting it up empties the FIFOs, so it is not done for nothing.
        if state.divisor != divisor {
            state.divisor = divisor;
            state.set_up(divisor);
        }
    }

    /// Starts or ends a break.
    pub fn set_break(&self, is_on: bool) {
        let state = self.state.lock();
        state.ports.write_u8(LINE_CONTROL, if is_on { EIGHT_BITS | BREAK } else { EIGHT_BITS });
    }

    /// Bytes that came when the ring was full.
    pub fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    fn tell(&self) {
        self.has_news.store(true, Ordering::SeqCst);
        softirq::raise(softirq::Kind::Device);
    }

    /// The port's interrupt.
    fn interrupt(&self) -> bool {
        let mut state = self.state.lock();
        let mut was_it = false;
        let mut has_news = false;
        // Bounded: a line that is stuck must not hold the processor.
        for _ in 0..FIFO_LEN {
            if state.ports.read_u8(INTERRUPT_IDENTITY) & NOTHING_PENDING != 0 {
                break;
            }
            was_it = true;
            has_news |= state.take_input();
            has_news |= state.give_output();
            // Reading it ends a change of the modem's lines, which nobody asked for.
            state.ports.read_u8(MODEM_STATUS);
        }
        drop(state);
        if has_news {
            self.tell();
        }
        was_it
    }

    /// The softirq's part.
    fn work(&self) {
        let Some(client) = self.client.get() else { return };
        // Whoever finds the port served leaves its news to the one that serves it, which looks again after it has said
        // that it does not any more: one of the two sees the other's word, since these are all sequentially consistent.
        while self.has_news.load(Ordering::SeqCst) && !self.is_served.swap(true, Ordering::SeqCst) {
            while self.has_news.swap(false, Ordering::SeqCst) {
                self.serve(&**client);
            }
            self.is_served.store(false, Ordering::SeqCst);
        }
    }

    /// Gives the client what has come since, until it takes nothing more.
    fn serve(&self, client: &dyn Client) {
        loop {
            let mut bytes = [0; INPUT_BATCH];
            let (len, has_break, has_room) = {
                let mut state = self.state.lock();
                let len = state.input.len().min(bytes.len());
                for (to, from) in bytes.iter_mut().zip(state.input.iter()) {
                    *to = *from;
                }
                let has_room = state.is_room_wanted && state.output.len() <= RING_LEN / 2;
                state.is_room_wanted &= !has_room;
                (len, core::mem::take(&mut state.has_break), has_room)
            };
            if has_break {
                client.line_break();
            }
            if has_room {
                client.room();
            }
            let taken = if len == 0 { 0 } else { client.received(&bytes[..len]) };
            let mut state = self.state.lock();
            state.input.drain(..taken);
            if state.input.len() < RING_LEN {
                state.enable(WANT_INPUT);
            }
            if taken == 0 {
                return;
            }
        }
    }
}

impl State {
    /// Sets speed and format, empties the FIFOs, leaves interrupts as they are.
    fn set_up(&self, divisor: u16) {
        let [low, high] = divisor.to_le_bytes();
        self.ports.write_u8(INTERRUPT_ENABLE, 0);
        self.ports.write_u8(LINE_CONTROL, DIVISOR_ACCESS | EIGHT_BITS);
        self.ports.write_u8(DATA, low);
        self.ports.write_u8(INTERRUPT_ENABLE, high);
        self.ports.write_u8(LINE_CONTROL, EIGHT_BITS);
        self.ports.write_u8(FIFO_CONTROL, 1);
        self.ports.write_u8(MODEM_CONTROL, MODEM_READY);
        self.ports.write_u8(INTERRUPT_ENABLE, self.enabled);
    }

    /// Sends a byte as soon as there is room, without interrupts; `false` when there is none for too long.
    fn send_now(&self, byte: u8) -> bool {
        let has_room = self.wait_for(HAS_ROOM);
        if has_room {
            self.ports.write_u8(DATA, byte);
        }
        has_room
    }

    /// Waits until the line status has `bit`; `false` when it does not come.
    fn wait_for(&self, bit: u8) -> bool {
        let give_up = clock::now_ns().saturating_add(STUCK_NS);
        while self.ports.read_u8(LINE_STATUS) & bit == 0 {
            if clock::now_ns() > give_up {
                return false;
            }
            core::hint::spin_loop();
        }
        true
    }

    fn enable(&mut self, bits: u8) {
        if self.enabled & bits != bits {
            self.enabled |= bits;
            self.ports.write_u8(INTERRUPT_ENABLE, self.enabled);
        }
    }

    fn disable(&mut self, bits: u8) {
        if self.enabled & bits != 0 {
            self.enabled &= !bits;
            self.ports.write_u8(INTERRUPT_ENABLE, self.enabled);
        }
    }

    /// Moves what has come into the ring; returns whether there was anything.
    fn take_input(&mut self) -> bool {
        let mut has_news = false;
        for _ in 0..INPUT_BATCH {
            if self.input.len() == RING_LEN {
                // The device's FIFO fills up, and the sender waits.
                self.disable(WANT_INPUT);
                return has_news;
            }
            let status = self.ports.read_u8(LINE_STATUS);
            if status & HAS_INPUT == 0 {
                return has_news;
            }
            let byte = self.ports.read_u8(DATA);
            has_news = true;
            if status & HAS_BREAK != 0 {
                self.has_break = true;
            } else {
                self.input.push_back(byte);
            }
            // Bit 1: bytes were lost for want of room in the device.
            self.lost += u64::from(status >> 1 & 1);
        }
        has_news
    }

    /// Fills the transmitter if it is empty; returns whether somebody waits for the room that became free.
    fn give_output(&mut self) -> bool {
        if self.enabled & WANT_ROOM == 0 || self.ports.read_u8(LINE_STATUS) & HAS_ROOM == 0 {
            return false;
        }
        for byte in self.output.drain(..self.output.len().min(FIFO_LEN)) {
            self.ports.write_u8(DATA, byte);
        }
        if self.output.is_empty() {
            self.disable(WANT_ROOM);
        }
        self.is_room_wanted && self.output.len() <= RING_LEN / 2
    }
}

/// Does what the ports' interrupts left; the handler of softirq `Device` calls it.
pub fn work() {
    let ports: Vec<Arc<Port>> = PORTS.lock().clone();
    for port in ports {
        port.work();
    }
}

/// Sends what waits in every port now: for the end of the machine.
pub fn flush_all() {
    let ports: Vec<Arc<Port>> = PORTS.lock().clone();
    for port in ports {
        port.flush();
    }
}
