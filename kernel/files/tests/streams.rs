//! Pipes, FIFOs, eventfds and sockets between threads.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::sync::Arc;

use abi::Errno;
use abi::fcntl::OpenFlags;
use abi::notify::EventfdFlags;
use abi::socket::{AF_UNIX, MessageFlags, SO_PEERCRED, SOL_SOCKET, Ucred};
use files::socket::unix::{UnixKind, UnixNamespace, create, create_pair};
use files::socket::{Message, Shutdown, SocketCaller};
use files::{OpenFile, pipe};
use memory::{KernelSink, KernelSource};
use support::{World, read, run, write};
use threads::Builder;
use threads::poll::{Epoll, Events, Interest, Pollable};

const ME: Ucred = Ucred { pid: 7, uid: 0, gid: 0 };

/// A test that is run under several seeds, each in a process of its own.
macro_rules! seeded {
    ($name:ident, $cpus:literal, $body:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn seed_1() {
                run($cpus, 1, $body);
            }
            #[test]
            fn seed_2() {
                run($cpus, 2, $body);
            }
            #[test]
            fn seed_3() {
                run($cpus, 3, $body);
            }
            #[test]
            fn seed_4() {
                run($cpus, 4, $body);
            }
        }
    };
}

fn spawn(body: impl FnOnce() + Send + 'static) {
    Builder::new(b"other").spawn(body).unwrap();
}

fn a_pipe_carries_bytes_between_threads_and_ends_with_its_writer_body() {
    let (reader, writer) = pipe::create(OpenFlags::empty(), 0, 0).unwrap();
    let sent: Vec<u8> = (0..300_000u32).map(|index| (index % 251) as u8).collect();
    let expected = sent.clone();
    spawn(move || {
        let mut at = 0;
        while at < sent.len() {
            at += write(&writer, &sent[at..(at + 7001).min(sent.len())]).unwrap();
        }
    });
    let mut got = Vec::new();
    loop {
        let piece = read(&reader, 5003).unwrap();
        if piece.is_empty() {
            break;
        }
        got.extend(piece);
    }
    assert!(got == expected);
}

seeded!(
    a_pipe_carries_bytes_between_threads_and_ends_with_its_writer,
    2,
    a_pipe_carries_bytes_between_threads_and_ends_with_its_writer_body
);

fn small_writes_of_many_writers_never_mix_body() {
    let (reader, writer) = pipe::create(OpenFlags::empty(), 0, 0).unwrap();
    for letter in b'a'..=b'd' {
        let writer = writer.clone();
        spawn(move || {
            for _ in 0..50 {
                assert_eq!(write(&writer, &[letter; 3000]), Ok(3000));
            }
        });
    }
    drop(writer);
    let mut all = Vec::new();
    loop {
        let piece = read(&reader, 4096).unwrap();
        if piece.is_empty() {
            break;
        }
        all.extend(piece);
    }
    assert_eq!(all.len(), 4 * 50 * 3000);
    assert!(all.chunks(3000).all(|message| message.iter().all(|byte| *byte == message[0])));
}

seeded!(small_writes_of_many_writers_never_mix, 4, small_writes_of_many_writers_never_mix_body);

#[test]
fn pipes_that_cannot_go_on_say_why() {
    run(1, 1, || {
        let (reader, writer) = pipe::create(OpenFlags::NONBLOCK, 0, 0).unwrap();
        assert_eq!(read(&reader, 10), Err(Errno::EAGAIN));
        assert_eq!(write(&writer, &[1; 1 << 20]), Ok(65_536));
        assert_eq!(write(&writer, &[1]), Err(Errno::EAGAIN));
        assert_eq!(writer.poll(Events::OUT, None), Events::empty());
        assert_eq!(read(&reader, 1), Ok(vec![1]));
        assert_eq!(write(&writer, &[1]), Err(Errno::EAGAIN), "a page is free when all of it has been read");
        assert_eq!(reader.seek(files::Seek::Current(0)), Err(Errno::ESPIPE));
        assert_eq!(reader.read_at(&mut KernelSink::new(&mut [0]), 0), Err(Errno::ESPIPE));
        assert_eq!(write(&reader, &[1]), Err(Errno::EBADF));
        drop(reader);
        assert_eq!(write(&writer, &[1]), Err(Errno::EPIPE));
        assert_eq!(writer.poll(Events::OUT, None) & Events::ERR, Events::ERR);
        let (reader, writer) = pipe::create(OpenFlags::empty(), 0, 0).unwrap();
        write(&writer, b"rest").unwrap();
        drop(writer);
        assert_eq!(reader.poll(Events::IN, None), Events::IN | Events::HUP);
        assert_eq!(read(&reader, 10).unwrap(), b"rest");
        assert_eq!(read(&reader, 10).unwrap(), b"");
    });
}

#[test]
fn every_write_to_a_pipe_is_an_edge_and_no_read_is() {
    run(1, 1, || {
        let (reader, writer) = pipe::create(OpenFlags::empty(), 0, 0).unwrap();
        let (events, watched): (_, Arc<dyn Pollable>) = (Epoll::new().unwrap(), reader.clone());
        let interest =
            Interest { events: Events::IN, is_edge: true, is_one_shot: false, is_exclusive: false, data: 0 };
        events.add(3, &watched, interest).unwrap();
        let edges = || events.collect(8, &mut |_, _| true);
        assert_eq!(edges(), 0);
        for _ in 0..3 {
            write(&writer, b"ab").unwrap();
            assert_eq!((edges(), edges()), (1, 0));
        }
        read(&reader, 1).unwrap();
        assert_eq!(edges(), 0);
    });
}

#[test]
fn packets_are_read_one_at_a_time() {
    run(1, 1, || {
        let (reader, writer) = pipe::create(OpenFlags::DIRECT, 0, 0).unwrap();
        for packet in [&b"one"[..], b"two"] {
            write(&writer, packet).unwrap();
        }
        assert_eq!(read(&reader, 2).unwrap(), b"on");
        assert_eq!(read(&reader, 100).unwrap(), b"two", "the rest of a packet is dropped");
    });
}

#[test]
fn a_pipe_grows_and_shrinks_to_what_is_in_it() {
    run(1, 1, || {
        let (reader, writer) = pipe::create(OpenFlags::NONBLOCK, 0, 0).unwrap();
        let end = reader.file().as_pipe().unwrap();
        assert_eq!(end.capacity(), 65_536);
        assert_eq!(end.pipe().resize(5000, false), Ok(8192));
        assert_eq!(write(&writer, &[0; 10_000]), Ok(8192));
        assert_eq!(end.pipe().resize(1, false), Err(Errno::EBUSY));
        assert_eq!(end.pipe().resize(2 << 20, false), Err(Errno::EPERM));
        assert_eq!(end.pipe().resize(2 << 20, true), Ok(2 << 20));
    });
}

fn the_two_sides_of_a_fifo_wait_for_each_other_body() {
    let world = Arc::new(World::new());
    world.context().make_node(None, b"/fifo", abi::stat::S_IFIFO | 0o666, 0).unwrap();
    let opened = world.open("/fifo", OpenFlags::WRONLY | OpenFlags::NONBLOCK);
    assert_eq!(opened.map(drop), Err(Errno::ENXIO));
    // Often: each side may come first, and be gone again before the other has looked.
    for _ in 0..200 {
        let other = world.clone();
        spawn(move || {
            let writer = other.open("/fifo", OpenFlags::WRONLY).unwrap();
            write(&writer, b"through").unwrap();
        });
        let reader = world.open("/fifo", OpenFlags::empty()).unwrap();
        assert_eq!(read(&reader, 100).unwrap(), b"through");
        assert_eq!(read(&reader, 100).unwrap(), b"");
    }
}

seeded!(the_two_sides_of_a_fifo_wait_for_each_other, 2, the_two_sides_of_a_fifo_wait_for_each_other_body);

#[test]
fn splicing_moves_bytes_and_tee_leaves_them() {
    run(1, 1, || {
        let world = World::new();
        world.create("/from", &[7; 10_000]).unwrap();
        let from = world.open("/from", OpenFlags::empty()).unwrap();
        let to = world.open("/to", OpenFlags::RDWR | OpenFlags::CREAT).unwrap();
        let (reader, writer) = pipe::create(OpenFlags::empty(), 0, 0).unwrap();
        let (second, second_writer) = pipe::create(OpenFlags::empty(), 0, 0).unwrap();
        use files::splice::{SizeLimit, copy, splice, tee};
        let no_limit = &mut SizeLimit::default();
        assert_eq!(splice(&from, &mut None, &writer, &mut None, 9000, false, no_limit), Ok(9000));
        assert_eq!(tee(&reader, &second_writer, 9000, false), Ok(9000));
        assert_eq!(splice(&reader, &mut None, &to, &mut None, 9000, true, no_limit), Ok(9000));
        assert_eq!(world.contents("/to").unwrap(), vec![7; 9000]);
        assert_eq!(read(&second, 10_000).unwrap(), vec![7; 9000]);
        assert_eq!(copy(&from, &mut Some(0), &to, &mut None, 1 << 20, no_limit), Ok(10_000));
        assert_eq!(world.contents("/to").unwrap().len(), 19_000);
        assert_eq!(splice(&from, &mut None, &to, &mut None, 1, false, no_limit), Err(Errno::EINVAL));
        assert_eq!(splice(&reader, &mut Some(0), &to, &mut None, 1, false, no_limit), Err(Errno::ESPIPE));
    });
}

#[test]
fn an_eventfd_counts() {
    run(1, 1, || {
        let event = files::eventfd::create(2, EventfdFlags::NONBLOCK).unwrap();
        assert_eq!(write(&event, &3u64.to_ne_bytes()), Ok(8));
        assert_eq!(read(&event, 8).unwrap(), 5u64.to_ne_bytes());
        assert_eq!(read(&event, 8), Err(Errno::EAGAIN));
        assert_eq!(read(&event, 7), Err(Errno::EINVAL));
        assert_eq!(write(&event, &u64::MAX.to_ne_bytes()), Err(Errno::EINVAL));
        let semaphore = files::eventfd::create(2, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
        assert_eq!(read(&semaphore, 8).unwrap(), 1u64.to_ne_bytes());
        assert_eq!(read(&semaphore, 8).unwrap(), 1u64.to_ne_bytes());
        assert_eq!(read(&semaphore, 8), Err(Errno::EAGAIN));
    });
}

fn address(path: &[u8]) -> Vec<u8> {
    let mut bytes = AF_UNIX.to_ne_bytes().to_vec();
    bytes.extend_from_slice(path);
    bytes
}

fn receive(file: &OpenFile, len: usize) -> Result<(Vec<u8>, files::socket::Received), Errno> {
    let mut bytes = vec![0; len];
    let socket = file.file().as_socket().unwrap();
    let received = socket.receive(&mut KernelSink::new(&mut bytes), MessageFlags::empty(), true)?;
    bytes.truncate(received.len);
    Ok((bytes, received))
}

fn serve_at(name: &'static [u8]) {
    let world = Arc::new(World::new());
    let namespace = UnixNamespace::new();
    let server = create(UnixKind::Stream, &namespace, ME).unwrap();
    let socket = server.file().as_socket().unwrap();
    let caller = SocketCaller { context: world.context(), process: 7 };
    socket.bind(&caller, &address(name)).unwrap();
    let again = create(UnixKind::Stream, &namespace, ME).unwrap();
    let second = again.file().as_socket().unwrap();
    assert_eq!(second.bind(&caller, &address(name)), Err(Errno::EADDRINUSE));
    assert_eq!(second.connect(&caller, &address(name), false), Err(Errno::ECONNREFUSED));
    socket.listen(&caller, 5).unwrap();
    let (other_world, other_namespace) = (world.clone(), namespace.clone());
    spawn(move || {
        let client = create(UnixKind::Stream, &other_namespace, ME).unwrap();
        let caller = SocketCaller { context: other_world.context(), process: 9 };
        let socket = client.file().as_socket().unwrap();
        socket.connect(&caller, &address(name), false).unwrap();
        write(&client, b"hello").unwrap();
        assert_eq!(read(&client, 10).unwrap(), b"bye");
        assert_eq!(read(&client, 10).unwrap(), b"");
    });
    let connection = socket.accept(false).unwrap();
    assert_eq!(read(&connection, 10).unwrap(), b"hello");
    let peer = connection.file().as_socket().unwrap().option(SOL_SOCKET, SO_PEERCRED).unwrap();
    assert_eq!(peer[..4], 9i32.to_ne_bytes());
    write(&connection, b"bye").unwrap();
    drop(connection);
}

#[test]
fn a_server_is_found_by_its_path() {
    run(2, 3, || serve_at(b"/server"));
}

#[test]
fn a_server_is_found_by_an_abstract_name() {
    run(2, 3, || serve_at(b"\0hidden"));
}

#[test]
fn open_files_travel_with_a_message() {
    run(1, 1, || {
        let world = World::new();
        world.create("/f", b"passed on").unwrap();
        let namespace = UnixNamespace::new();
        let (one, two) = create_pair(UnixKind::Stream, &namespace, ME).unwrap();
        let caller = SocketCaller { context: world.context(), process: 7 };
        let message =
            Message { rights: vec![world.open("/f", OpenFlags::empty()).unwrap()], ..Message::default() };
        let socket = one.file().as_socket().unwrap();
        socket.send(&caller, &mut KernelSource::new(b"x"), message, true).unwrap();
        write(&one, b"y").unwrap();
        let (bytes, mut received) = receive(&two, 10).unwrap();
        assert_eq!(bytes, b"x", "bytes behind the files are another message");
        assert_eq!(read(&received.rights.remove(0), 100).unwrap(), b"passed on");
        assert_eq!(receive(&two, 10).unwrap().0, b"y");
    });
}

#[test]
fn datagrams_keep_their_bounds_and_say_when_they_were_cut() {
    run(1, 1, || {
        let namespace = UnixNamespace::new();
        for kind in [UnixKind::Datagram, UnixKind::Packets] {
            let (one, two) = create_pair(kind, &namespace, ME).unwrap();
            write(&one, b"first").unwrap();
            write(&one, b"second").unwrap();
            let (bytes, received) = receive(&two, 3).unwrap();
            assert_eq!((&bytes[..], received.full_len), (&b"fir"[..], 5));
            assert!(received.flags.contains(MessageFlags::TRUNC));
            assert_eq!(receive(&two, 100).unwrap().0, b"second");
            assert_eq!(receive(&two, 100).map(|_| ()), Err(Errno::EAGAIN));
            assert_eq!(write(&one, &[0; 212_961]), Err(Errno::EMSGSIZE));
            assert_eq!(write(&one, &[0; 212_960]), Ok(212_960));
        }
    });
}

#[test]
fn a_datagram_that_is_too_long_is_refused_before_its_receiver_is_looked_for() {
    run(1, 1, || {
        let world = World::new();
        let caller = SocketCaller { context: world.context(), process: 7 };
        let lone = create(UnixKind::Datagram, &UnixNamespace::new(), ME).unwrap();
        let nobody = address(b"/nobody");
        let send = |len: usize, to: Option<&[u8]>| {
            let message = Message { address: to, ..Message::default() };
            let bytes = vec![0; len];
            lone.file().as_socket().unwrap().send(&caller, &mut KernelSource::new(&bytes), message, true)
        };
        assert_eq!(send(1 << 22, Some(&nobody)), Err(Errno::EMSGSIZE));
        assert_eq!(send(1 << 22, None), Err(Errno::EMSGSIZE));
        assert_eq!(send(1, Some(&nobody)), Err(Errno::ENOENT));
        assert_eq!(send(1, None), Err(Errno::ENOTCONN));
    });
}

#[test]
fn a_connection_that_is_shut_down_ends_and_breaks() {
    run(1, 1, || {
        let namespace = UnixNamespace::new();
        let (one, two) = create_pair(UnixKind::Stream, &namespace, ME).unwrap();
        one.file().as_socket().unwrap().shutdown(Shutdown { reading: false, writing: true }).unwrap();
        assert_eq!(write(&one, b"x"), Err(Errno::EPIPE));
        assert_eq!(read(&two, 1).unwrap(), b"");
        assert_eq!(two.poll(Events::IN | Events::RDHUP, None), Events::IN | Events::RDHUP);
        write(&two, b"unread").unwrap();
        drop(one);
        assert_eq!(write(&two, b"x"), Err(Errno::EPIPE));
        assert_eq!(read(&two, 1), Err(Errno::ECONNRESET), "the other side left bytes unread");
        assert_eq!(read(&two, 1).unwrap(), b"");
    });
}

#[test]
fn a_long_chain_of_sockets_in_sockets_is_closed_without_recursion() {
    run(1, 1, || {
        let world = World::new();
        let namespace = UnixNamespace::new();
        let caller = SocketCaller { context: world.context(), process: 7 };
        let (mut keep, mut inner) = create_pair(UnixKind::Stream, &namespace, ME).unwrap();
        for _ in 0..5000 {
            let (one, two) = create_pair(UnixKind::Stream, &namespace, ME).unwrap();
            let message = Message { rights: vec![inner, keep], ..Message::default() };
            one.file()
                .as_socket()
                .unwrap()
                .send(&caller, &mut KernelSource::new(b"x"), message, true)
                .unwrap();
            (keep, inner) = (one, two);
        }
        drop((keep, inner));
    });
}
