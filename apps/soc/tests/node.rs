//! A program as a device of the house, seen from the hub's side of the sockets.

use soc::node::{Config, Node, run};
use soc_assembler::{NoFiles, Options, assemble};
use soc_machine::{Machine, Quirks, Stop};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;
use wire::advert::Advert;
use wire::io::{DRIVER_NAME, Report, Set};
use wire::stream::{Received, Stream};

const GARDEN: &str = include_str!("../programs/examples/garden.asm");

/// A port that nobody uses just now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn config(port: u16) -> Config {
    Config { id: "garden".into(), address: Ipv4Addr::LOCALHOST, port, heartbeat: Duration::from_millis(50) }
}

fn machine(text: &str) -> Machine {
    let program = assemble("p.asm", text, Options::default(), &mut NoFiles).program.unwrap();
    Machine::new(&program.image, Quirks::default(), 0).unwrap()
}

/// Reads reports until one fits.
fn wait_for(stream: &mut TcpStream, reports: &mut Stream<Report>, wanted: impl Fn(&Report) -> bool) {
    let mut segment = [0; 256];
    let mut is_found = false;
    while !is_found {
        let len = stream.read(&mut segment).expect("the node reports in time");
        assert!(len > 0, "the node has hung up");
        let understood = reports.push(&segment[..len], |received| {
            if let Received::Message(report) = received {
                is_found |= wanted(&report);
            }
        });
        understood.unwrap();
    }
}

#[test]
fn the_hub_presses_the_gardens_button_and_sees_it_water() {
    let port = free_port();
    let mut node = Node::open(config(port)).unwrap();
    let board = thread::spawn(move || run(&mut machine(GARDEN), &mut node, 5_000_000).unwrap());
    let mut hub = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    hub.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reports = Stream::<Report>::default();
    wait_for(
        &mut hub,
        &mut reports,
        |report| matches!(report, Report::Initial { pins } if pins.iter().all(|pin| !pin)),
    );
    hub.write_all(&Set { out: 0, level: true }.encode()).unwrap();
    wait_for(&mut hub, &mut reports, |report| matches!(report, Report::Changed { pin: 0, pins } if pins[0]));
    hub.write_all(&Set { out: 0, level: false }.encode()).unwrap();
    thread::sleep(Duration::from_millis(100));
    hub.write_all(&Set { out: 0, level: true }.encode()).unwrap();
    wait_for(&mut hub, &mut reports, |report| matches!(report, Report::Changed { pin: 0, pins } if !pins[0]));
    assert_eq!(board.join().unwrap(), Stop::Cycle);
}

#[test]
fn a_line_on_the_uart_becomes_an_alarm_report() {
    let text = ".include \"soc.inc\"\nstart: mov r1, text\nnext: ld8 r2, r1\ncmp r2, 0\njmp.z start\nst32 UART_DATA, r2\n\
        add r1, 1\nmov r3, 5000\nw: sub r3, 1\ncmp r3, 0\njmp.nz w\njmp next\ntext: $ASCII \"2 14 exit delay\\n\", 0\n";
    let port = free_port();
    let mut node = Node::open(config(port)).unwrap();
    let board = thread::spawn(move || run(&mut machine(text), &mut node, 3_000_000).unwrap());
    let mut hub = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    hub.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let wanted = Report::Alarm { group: 2, subgroup: 14, label: "exit delay".into() };
    wait_for(&mut hub, &mut Stream::default(), |report| *report == wanted);
    drop(hub);
    board.join().unwrap();
}

#[test]
fn a_hub_that_talks_nonsense_is_dropped_and_the_next_one_welcomed() {
    let port = free_port();
    let mut node = Node::open(config(port)).unwrap();
    let board = thread::spawn(move || run(&mut machine("l: jmp l\n"), &mut node, 2_000_000).unwrap());
    let mut rude = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    rude.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    rude.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut heard = Vec::new();
    // However the connection ends, it ends.
    let _ = rude.read_to_end(&mut heard);
    let mut polite = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    polite.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    wait_for(&mut polite, &mut Stream::default(), |report| matches!(report, Report::Initial { .. }));
    board.join().unwrap();
}

#[test]
fn adverts_name_driver_and_id() {
    let port = free_port();
    let listener = UdpSocket::bind((Ipv4Addr::from(wire::GROUP), port)).unwrap();
    listener.join_multicast_v4(&wire::GROUP.into(), &Ipv4Addr::LOCALHOST).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut node = Node::open(config(port)).unwrap();
    node.exchange(0, b"");
    let mut datagram = [0; 2000];
    let len = listener.recv(&mut datagram).unwrap();
    let advert = Advert::decode(&datagram[..len]).unwrap();
    assert_eq!((advert.name.as_str(), advert.id.as_str(), advert.port), (DRIVER_NAME, "garden", Some(port)));
}
