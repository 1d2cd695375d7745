//! Everything that comes from the network or a line, damaged: refused, waited for or read, never a panic, never without bounds.

use hostile::{Random, attack};
use wire::dial::{Call, Heard};
use wire::message::Message;
use wire::pairing::{Acceptor, Code, Window};
use wire::session::{Keys, Link};
use wire::stream::{Payload, Stream};
use wire::{advert, alarm, gpio, io, irrigation, jsonrpc, led, websocket};

/// Pushes an input through a v1 stream, cut as a network would.
fn stream<P: Payload>(random: &mut Random, input: &[u8]) {
    let mut stream = Stream::<P>::default();
    for segment in random.cut(input) {
        if stream.push(segment, |_| ()).is_err() {
            return;
        }
    }
}

#[test]
fn adverts() {
    let key = "ab".repeat(32);
    let v2 = format!(r#"{{"name":"LED STRIP","id":"n1","v":2,"port":4242,"key":"{key}"}}"#);
    let v1 = br#"{"name":"ESP8266 IRRIGATION CONTROLLER","id":"18:fe:34:00"}"#;
    attack(1, 20_000, &[v1, v2.as_bytes()], |input| {
        if let Ok(advert) = advert::Advert::decode(input) {
            assert!(advert::is_id(&advert.id) && advert.name.len() <= advert::MAX_TEXT);
            assert_eq!(advert::Advert::decode(&advert.encode()), Ok(advert));
        }
    });
}

#[test]
fn v1_streams() {
    let mut random = Random(2);
    let boards: [&[u8]; 3] = [
        br#"{"type":"initial","pins":[true,false]}yo!
"#,
        br#"{"type":"changed","pin":1,"pins":[true,true]}"#,
        br#"{"type":"alarm","group":1,"subgroup":2,"label":"Front \"door\""}{"event":"set","out":"0","level":"1"}"#,
    ];
    attack(2, 10_000, &boards, |input| {
        stream::<io::Report>(&mut random, input);
        stream::<io::Set>(&mut random, input);
    });
    let short: [&[u8]; 3] = [
        b"yo!\r\nR\x01S\x00yo!\r\n",
        b"a1b0d160\x30",
        b"C\x01\x02\x03F\x01\x02\x03\x01\x00E\x01\x00\x10?L\x01\x02\x03\x00",
    ];
    attack(3, 10_000, &short, |input| {
        stream::<irrigation::Report>(&mut random, input);
        stream::<irrigation::Command>(&mut random, input);
        stream::<led::Report>(&mut random, input);
        stream::<led::Command>(&mut random, input);
        let _ = irrigation::Command::decode_v2(input);
    });
}

#[test]
fn the_gpio_boards_bytes() {
    attack(4, 5_000, &[b"?aAbB\x00\x1f\x40"], |input| {
        for byte in input {
            let _ = gpio::inputs(*byte);
            if let Some(command) = gpio::Command::decode(*byte) {
                assert!(command.encode().is_some_and(|back| back == *byte));
            }
        }
    });
}

#[test]
fn alarm_records() {
    let record =
        alarm::Record { group: 29, subgroup: 3, partition: 1, label_type: 0, label: "Front door".into() };
    let two = [record.encode(), record.encode()].concat();
    let mut random = Random(5);
    attack(5, 10_000, &[&two], |input| {
        let mut records = alarm::Records::default();
        let mut count = 0;
        for segment in random.cut(input) {
            for record in records.push(segment) {
                count += 1;
                let _ = (record.action(), record.user(), record.encode());
            }
        }
        assert_eq!(count, input.len() / alarm::RECORD);
    });
}

#[test]
fn json_rpc_texts() {
    let examples: [&[u8]; 4] = [
        br#"{"jsonrpc":"2.0","id":"1","method":"pin.set","params":{"pin":5,"state":true}}"#,
        br#"{"event":"pin","state":true,"pin":6}"#,
        br#"{"jsonrpc":"2.0","id":"1","result":{"pins":[{"mode":1},{"mode":2,"maxon":10}]}}"#,
        br#"{"jsonrpc":"2.0","id":"1","error":{"code":-32600,"message":"no"}}"#,
    ];
    attack(6, 10_000, &examples, |input| {
        let text = String::from_utf8_lossy(input);
        let _ = jsonrpc::Request::decode(&text);
        if let Some(jsonrpc::Said::Answer { result: Ok(status), .. }) = jsonrpc::Said::decode(&text) {
            assert!(jsonrpc::pins(&status).len() <= jsonrpc::PINS);
        }
    });
}

#[test]
fn websocket_frames() {
    const LIMIT: usize = 4_096;
    let text = websocket::encode(websocket::Outgoing::Text("hello"), Some([1, 2, 3, 4]));
    let long = websocket::encode(websocket::Outgoing::Text(&"x".repeat(300)), Some([9, 9, 9, 9]));
    let plain = websocket::encode(websocket::Outgoing::Text("hello"), None);
    let mut random = Random(7);
    attack(7, 10_000, &[&text, &long, &plain], |input| {
        for role in [websocket::Role::Server, websocket::Role::Client] {
            let mut frames = websocket::Frames::new(role, LIMIT);
            for segment in random.cut(input) {
                if frames.push(segment, |_| ()).is_err() {
                    break;
                }
            }
        }
    });
}

/// A hub and a node that know each other, in an open session.
fn session(hub: &Keys, node: &Acceptor) -> (Link, Link) {
    let mut near = Link::connect("n1", hub, &node.keys.public).unwrap();
    let mut far = Link::accept(node.clone());
    far.push(&near.take_output()).unwrap();
    near.push(&far.take_output()).unwrap();
    near.send(&Message::Alive).unwrap();
    far.push(&near.take_output()).unwrap();
    assert!(near.is_open() && far.is_open());
    (near, far)
}

#[test]
fn v2_handshakes_and_sessions() {
    let (hub, code) = (Keys::generate().unwrap(), Code::from_random([7; 16]));
    let window = Window::open(code.clone());
    let node = Acceptor { id: "n1".into(), keys: Keys::generate().unwrap(), hubs: vec![hub.public], window };
    let pairing = Link::pair("n1", &hub, &code).unwrap().take_output();
    let mut connecting = b"DWN2S".to_vec();
    connecting.extend(hub.public);
    connecting.extend([0, 48]);
    connecting.extend([0x55; 48]);
    let (mut near, _) = session(&hub, &node);
    near.send(&Message::Command { number: 1, payload: b"a1\x00\x10".to_vec() }).unwrap();
    let sealed = near.take_output();
    let mut random = Random(8);
    attack(8, 40, &[&pairing, &connecting, &sealed], |input| {
        let mut link = match random.below(4) {
            0 => session(&hub, &node).0,
            1 => session(&hub, &node).1,
            2 => Link::accept(node.clone()),
            _ => Link::pair("n1", &hub, &code).unwrap(),
        };
        for segment in random.cut(input) {
            match link.push(segment) {
                // Nobody has sent anything: nothing may be believed.
                Ok(incoming) => assert!(incoming.is_empty(), "{incoming:?}"),
                Err(_) => break,
            }
        }
    });
}

#[test]
fn calls_of_nodes_that_dial() {
    const TOKEN: &str = "a token of some length";
    let mut node = Call::dial("boat", TOKEN, None).unwrap();
    let first = node.take_output();
    let mut hub = Call::taken();
    hub.push(&first).unwrap();
    hub.answer("boat", Some(TOKEN)).unwrap();
    let answer = hub.take_output();
    let mut random = Random(10);
    attack(10, 40, &[&first, &answer], |input| {
        let mut node = Call::dial("boat", TOKEN, None).unwrap();
        let mut hub = Call::taken();
        for segment in random.cut(input) {
            let heard = hub.push(segment).unwrap_or_default();
            if let Some(Heard::Caller(id)) = heard.first() {
                let _ = hub.answer(id, Some(TOKEN));
            }
            // Nobody has proved anything: nothing may be believed.
            assert!(!heard.contains(&Heard::Open));
            assert_eq!(node.push(segment).unwrap_or_default(), []);
        }
    });
}

#[test]
fn messages_of_a_session() {
    let messages: Vec<Vec<u8>> = vec![
        vec![1, 2, 0, 0, 0, 7],
        b"\x02\x00\x00\x00\x01a1\x00\x10".to_vec(),
        vec![3, 0, 0, 0, 1, 1],
        b"\x04R\x01".to_vec(),
        vec![5],
        vec![],
    ];
    let examples: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    attack(9, 20_000, &examples, |input| {
        if let Ok(Some(message)) = Message::decode(input) {
            let again = Message::decode(&message.encode());
            assert_eq!(again, Ok(Some(message)));
        }
    });
}
