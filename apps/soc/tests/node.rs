//! A program as a device of the house, seen from the hub's side of the sockets.

use soc::node::{Config, Node, run_slice};
use soc_assembler::{NoFiles, Options, assemble};
use soc_machine::{Machine, Quirks};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use wire::advert::Advert;
use wire::io::{DRIVER_NAME, Report, Set};
use wire::stream::{Received, Stream};

const GARDEN: &str = include_str!("../programs/examples/garden.asm");
/// Cycles between two looks at the network.
const SLICE: u64 = 5000;

/// A port that nobody uses just now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A machine with its node. Its time passes only when the test lets it, so no test depends on the time of day.
struct Board {
    machine: Machine,
    node: Node,
    port: u16,
}

impl Board {
    fn new(text: &str) -> Self {
        let port = free_port();
        let heartbeat = Duration::from_millis(50);
        let node = Node::open(Config { id: "garden".into(), address: Ipv4Addr::LOCALHOST, port, heartbeat });
        let program = assemble("p.asm", text, Options::default(), &mut NoFiles).program.unwrap();
        let machine = Machine::new(&program.image, Quirks::default(), 0).unwrap();
        Self { machine, node: node.unwrap(), port }
    }

    fn run_slice(&mut self) {
        run_slice(&mut self.machine, &mut self.node, SLICE);
    }

    fn run_until(&mut self, is_so: impl Fn(&Machine) -> bool) {
        while !is_so(&self.machine) {
            self.run_slice();
        }
    }

    fn connect(&self) -> Hub {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_nonblocking(true).unwrap();
        Hub { stream, reports: Stream::default(), heard: Vec::new() }
    }
}

/// The hub's end of the connection.
struct Hub {
    stream: TcpStream,
    reports: Stream<Report>,
    heard: Vec<Report>,
}

impl Hub {
    fn set(&mut self, out: u8, level: bool) {
        self.stream.write_all(&Set { out, level }.encode()).unwrap();
    }

    /// Lets the board run until it has sent a report that fits.
    fn wait_for(&mut self, board: &mut Board, wanted: impl Fn(&Report) -> bool) {
        while !std::mem::take(&mut self.heard).iter().any(&wanted) {
            board.run_slice();
            assert!(self.read(), "the node has hung up");
        }
    }

    /// Reads what is there; `false` once the board has hung up.
    fn read(&mut self) -> bool {
        let mut segment = [0; 256];
        match self.stream.read(&mut segment) {
            Ok(0) => return false,
            Ok(len) => {
                let heard = &mut self.heard;
                let understood = self.reports.push(&segment[..len], |received| {
                    if let Received::Message(report) = received {
                        heard.push(report);
                    }
                });
                understood.unwrap();
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        true
    }
}

#[test]
fn the_hub_presses_the_gardens_button_and_sees_it_water() {
    let mut board = Board::new(GARDEN);
    let mut hub = board.connect();
    hub.wait_for(
        &mut board,
        |report| matches!(report, Report::Initial { pins } if pins.iter().all(|pin| !pin)),
    );
    hub.set(0, true);
    hub.wait_for(&mut board, |report| matches!(report, Report::Changed { pin: 0, pins } if pins[0]));
    hub.set(0, false);
    board.run_until(|machine| machine.input_pins() == 0);
    board.run_slice();
    hub.set(0, true);
    hub.wait_for(&mut board, |report| matches!(report, Report::Changed { pin: 0, pins } if !pins[0]));
}

#[test]
fn a_line_on_the_uart_becomes_an_alarm_report() {
    let text = ".include \"soc.inc\"\nstart: mov r1, text\nnext: ld8 r2, r1\ncmp r2, 0\njmp.z start\nst32 UART_DATA, r2\n\
        add r1, 1\nmov r3, 5000\nw: sub r3, 1\ncmp r3, 0\njmp.nz w\njmp next\ntext: $ASCII \"2 14 exit delay\\n\", 0\n";
    let mut board = Board::new(text);
    let wanted = Report::Alarm { group: 2, subgroup: 14, label: "exit delay".into() };
    board.connect().wait_for(&mut board, |report| *report == wanted);
}

#[test]
fn a_hub_that_talks_nonsense_is_dropped_and_the_next_one_welcomed() {
    let mut board = Board::new("l: jmp l\n");
    let mut rude = board.connect();
    rude.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    while rude.read() {
        board.run_slice();
    }
    board.connect().wait_for(&mut board, |report| matches!(report, Report::Initial { .. }));
}

#[test]
fn adverts_name_driver_and_id() {
    let mut board = Board::new("l: jmp l\n");
    let listener = UdpSocket::bind((Ipv4Addr::from(wire::GROUP), board.port)).unwrap();
    listener.join_multicast_v4(&wire::GROUP.into(), &Ipv4Addr::LOCALHOST).unwrap();
    board.run_slice();
    let mut datagram = [0; 2000];
    let len = listener.recv(&mut datagram).unwrap();
    let advert = Advert::decode(&datagram[..len]).unwrap();
    assert_eq!(
        (advert.name.as_str(), advert.id.as_str(), advert.port),
        (DRIVER_NAME, "garden", Some(board.port))
    );
}
