//! `soc run --node`: the program's pins and UART as a device of the house, on the DWN network.
//!
//! The device is an IO board (driver `EDISON IO CONTROLLER`): the program's GPIO outputs 0 to 7 are what the board reports,
//! the hub's `set` drives the program's GPIO inputs 0 to 4, and a line `GROUP SUBGROUP LABEL` that the program sends on its
//! UART becomes an alarm report. The machine keeps to its nominal clock.

use crate::failure::Failure;
use crate::pace::Pace;
use crate::source::print;
use io_node::{Board, INPUTS, Input as BoardInput};
use soc_machine::map::CLOCK_HZ;
use soc_machine::{Input, Machine, Stop};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use wire::advert::Advert;
use wire::io::{DRIVER_NAME, Report, Set};
use wire::stream::{Received, Stream};

/// Cycles between two looks at the network: what a command waits at most, 5 ms.
const SLICE: u64 = CLOCK_HZ as u64 / 200;
/// A line of the UART is no longer than this.
const MOST_LINE: usize = 128;

/// Who the node is and where it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Unique and constant for this device.
    pub id: String,
    /// Address of the interface that it uses.
    pub address: Ipv4Addr,
    /// UDP port of the adverts and TCP port of the node.
    pub port: u16,
    /// Between two adverts and heartbeats.
    pub heartbeat: Duration,
}

/// A connected hub, and what it has said so far of a command.
struct Hub {
    stream: TcpStream,
    commands: Stream<Set>,
}

/// A board on the network.
pub struct Node {
    config: Config,
    adverts: UdpSocket,
    listener: TcpListener,
    hub: Option<Hub>,
    board: Board,
    line: Vec<u8>,
    next_beat: Instant,
}

impl Node {
    /// Opens the sockets.
    ///
    /// # Errors
    /// The port is taken, or ports below 1024 need a right that this program lacks.
    pub fn open(config: Config) -> io::Result<Self> {
        // A bound source address also chooses the interface by which multicast leaves.
        let adverts = UdpSocket::bind((config.address, 0))?;
        let listener = TcpListener::bind((config.address, config.port))?;
        listener.set_nonblocking(true)?;
        let next_beat = Instant::now();
        Ok(Self {
            config,
            adverts,
            listener,
            hub: None,
            board: Board::default(),
            line: Vec::new(),
            next_beat,
        })
    }

    /// Tells the board what the machine does now, and the hub what there is to tell; gives the levels for the
    /// machine's inputs, where the hub has set them anew. Never blocks.
    pub fn exchange(&mut self, pins: u32, sent: &[u8]) -> Option<u32> {
        let levels: [bool; INPUTS] = std::array::from_fn(|pin| pins >> pin & 1 == 1);
        let mut reports = self.board.step(BoardInput::Pins(levels)).reports;
        reports.extend(self.alarms(sent));
        self.welcome(&mut reports);
        self.tell(&reports.iter().map(Report::encode).collect::<Vec<_>>().concat());
        if Instant::now() >= self.next_beat {
            self.beat();
        }
        self.commands()
    }

    /// The alarm reports in what the UART has sent.
    fn alarms(&mut self, sent: &[u8]) -> Vec<Report> {
        let mut reports = Vec::new();
        for &byte in sent {
            if byte == b'\n' {
                reports.extend(
                    alarm(&self.line).map(|report| self.board.step(BoardInput::Alarm(report)).reports),
                );
                self.line.clear();
            } else if self.line.len() < MOST_LINE {
                self.line.push(byte);
            }
        }
        reports.concat()
    }

    /// A new hub takes the place of the old one, and is told the state.
    fn welcome(&mut self, reports: &mut Vec<Report>) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        if stream.set_nonblocking(true).is_ok() && stream.set_nodelay(true).is_ok() {
            self.hub = Some(Hub { stream, commands: Stream::default() });
            *reports = self.board.step(BoardInput::Connected).reports;
        }
    }

    /// Sends to the hub; one that does not take it is dropped, as it would be by a board whose buffer is full.
    fn tell(&mut self, bytes: &[u8]) {
        let is_lost = self.hub.as_mut().is_some_and(|hub| hub.stream.write_all(bytes).is_err());
        if is_lost {
            self.hub = None;
        }
    }

    fn beat(&mut self) {
        self.next_beat = Instant::now() + self.config.heartbeat;
        let port = (self.config.port != wire::PORT).then_some(self.config.port);
        let advert = Advert { port, ..Advert::v1(DRIVER_NAME, &self.config.id) };
        // A datagram may be lost; the next one follows.
        let to = SocketAddrV4::new(wire::GROUP.into(), self.config.port);
        let _ = self.adverts.send_to(&advert.encode(), to);
        self.tell(wire::HEARTBEAT);
    }

    fn commands(&mut self) -> Option<u32> {
        let hub = self.hub.as_mut()?;
        let mut segment = [0; 1024];
        let len = match hub.stream.read(&mut segment) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Ok(0) | Err(_) => {
                self.hub = None;
                return None;
            }
            Ok(len) => len,
        };
        let mut levels = None;
        let (board, commands) = (&mut self.board, &mut hub.commands);
        let understood = commands.push(segment.get(..len).unwrap_or(&[]), |received| {
            if let Received::Message(set) = received {
                let outputs = board.step(BoardInput::Set(set)).outputs;
                levels = Some((0..).zip(outputs).fold(0, |all, (pin, level)| all | u32::from(level) << pin));
            }
        });
        if understood.is_err() {
            self.hub = None;
        }
        levels
    }
}

/// `GROUP SUBGROUP LABEL`
fn alarm(line: &[u8]) -> Option<Report> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.trim().splitn(3, ' ');
    let group = words.next()?.parse().ok()?;
    let subgroup = words.next()?.parse().ok()?;
    Some(Report::Alarm { group, subgroup, label: words.next()?.to_owned() })
}

/// Runs a machine for so many cycles, whether or not it sleeps, then exchanges with the network what there is. Never
/// blocks. Gives the reason to stop, and what the UART has sent.
pub fn run_slice(machine: &mut Machine, node: &mut Node, cycles: u64) -> (Stop, Vec<u8>) {
    let until = machine.cpu().cycle().saturating_add(cycles);
    let stop = machine.run(until);
    machine.pass(until);
    let sent = machine.take_output();
    if let Some(levels) = node.exchange(machine.pins(), &sent) {
        machine.apply(&Input::Pins(levels));
    }
    (stop, sent)
}

/// Runs a machine as a node, at its nominal clock, until it stops or `until` comes; what it sends is also printed.
///
/// # Errors
/// Standard output cannot be written to.
pub fn run(machine: &mut Machine, node: &mut Node, until: u64) -> Result<Stop, Failure> {
    let pace = Pace::new(machine);
    loop {
        let left = until.saturating_sub(machine.cpu().cycle());
        let (stop, sent) = run_slice(machine, node, SLICE.min(left));
        print(&sent)?;
        if !matches!(stop, Stop::Cycle | Stop::Asleep) || machine.cpu().cycle() >= until {
            return Ok(stop);
        }
        pace.wait(machine);
    }
}
