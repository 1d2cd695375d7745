//! Sockets of this machine: pairs, streams and datagrams by path, closing, descriptors passed, what is refused.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::{read, write};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    shutdown, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

fn main() -> io::Result<()> {
    pairs()?;
    packets()?;
    streams()?;
    many()?;
    datagrams()?;
    passing()?;
    circles()?;
    refused()
}

fn error<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn pairs() -> io::Result<()> {
    let (mut left, mut right) = UnixStream::pair()?;
    left.write_all(b"one")?;
    left.write_all(b"two")?;
    let mut buffer = [0; 16];
    println!("a stream has no borders: {} {}", right.read(&mut buffer)?, buffer[..6].escape_ascii());
    right.write_all(b"back")?;
    println!("peeked: {:?}", recv(&left, &mut buffer, RecvFlags::PEEK)?);
    println!("both ways: {}", left.read(&mut buffer)?);
    println!("not waiting: {:?}", recv(&left, &mut buffer, RecvFlags::DONTWAIT).err());
    left.set_read_timeout(Some(Duration::from_millis(30)))?;
    println!("in time: {:?}", error(left.read(&mut buffer)));
    left.write_all(b"last")?;
    shutdown(&left, Shutdown::Write)?;
    println!("shut down: {:?}", send(&left, b"x", SendFlags::NOSIGNAL).err());
    println!("the rest, the end: {} {}", right.read(&mut buffer)?, right.read(&mut buffer)?);
    right.write_all(b"unread")?;
    let mut polled = [PollFd::new(&left, PollFlags::IN | PollFlags::OUT), PollFd::new(&right, PollFlags::IN)];
    println!("poll: {:?}", poll(&mut polled, None));
    println!("left {:?}, right {:?}", polled[0].revents(), polled[1].revents());
    drop(left);
    println!("reset by what was not read: {:?}", error(right.read(&mut buffer)));
    println!("no reader: {:?}", send(&right, b"x", SendFlags::NOSIGNAL).err());
    Ok(())
}

fn packets() -> io::Result<()> {
    let (left, right) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None)?;
    write(&left, b"first")?;
    write(&left, b"2")?;
    let mut buffer = [0; 3];
    println!("a packet, cut: {:?} {}", read(&right, &mut buffer), buffer.escape_ascii());
    println!("the next: {:?}", read(&right, &mut buffer));
    drop(left);
    println!("the end: {:?}", read(&right, &mut buffer));
    Ok(())
}

fn streams() -> io::Result<()> {
    let listener = UnixListener::bind("/tmp/listener")?;
    println!("bound twice: {:?}", error(UnixListener::bind("/tmp/listener")));
    println!("its address: {:?}", listener.local_addr()?);
    let mut client = UnixStream::connect("/tmp/listener")?;
    client.write_all(b"before it is accepted")?;
    let (mut server, address) = listener.accept()?;
    println!("from: {address:?}");
    let mut buffer = [0; 64];
    println!("said: {}", server.read(&mut buffer)?);
    let credentials = rustix::net::sockopt::socket_peercred(&server)?;
    println!("by: {:?} {} {}", credentials.pid, credentials.uid.as_raw(), credentials.gid.as_raw());
    listener.set_nonblocking(true)?;
    println!("nobody else: {:?}", error(listener.accept()));
    drop(listener);
    println!("nobody listens: {:?}", error(UnixStream::connect("/tmp/listener")));
    println!("the connection stays: {:?}", error(server.write_all(b"still")));
    // More than the buffers hold: the writer waits for the reader.
    let sent = thread::spawn(move || server.write_all(&vec![7; 1 << 20]).map(|()| drop(server)));
    let mut content = Vec::new();
    client.read_to_end(&mut content)?;
    println!("a mebibyte: {}, {:?}", content.len(), sent.join().is_ok());
    std::fs::remove_file("/tmp/listener")?;
    println!("no file: {:?}", error(UnixStream::connect("/tmp/listener")));
    std::fs::write("/tmp/plain", "")?;
    println!("no socket: {:?}", error(UnixStream::connect("/tmp/plain")));
    println!("a long name: {:?}", UnixListener::bind(format!("/tmp/{}", "x".repeat(200))).is_err());
    Ok(())
}

/// Thirty clients of one server, all answered.
fn many() -> io::Result<()> {
    let listener = UnixListener::bind("/tmp/many")?;
    let clients: Vec<_> = (0..30_u8)
        .map(|number| {
            thread::spawn(move || -> io::Result<u32> {
                let mut stream = UnixStream::connect("/tmp/many")?;
                let mut sum = 0;
                for round in 0..20 {
                    stream.write_all(&[number, round])?;
                    let mut answer = [0];
                    stream.read_exact(&mut answer)?;
                    sum += u32::from(answer[0]);
                }
                Ok(sum)
            })
        })
        .collect();
    let servers: Vec<_> = (0..30)
        .map(|_| {
            let (mut stream, _) = listener.accept()?;
            Ok(thread::spawn(move || {
                let mut question = [0; 2];
                while stream.read_exact(&mut question).is_ok() {
                    if stream.write_all(&[question[0] + question[1]]).is_err() {
                        break;
                    }
                }
            }))
        })
        .collect::<io::Result<_>>()?;
    let sum: u32 = clients.into_iter().map(|client| client.join().map_or(0, |sum| sum.unwrap_or(0))).sum();
    let ended = servers.into_iter().map(thread::JoinHandle::join).filter(Result::is_ok).count();
    println!("sum of the answers: {sum}, servers: {ended}");
    Ok(())
}

fn datagrams() -> io::Result<()> {
    let (one, two) = (UnixDatagram::bind("/tmp/one")?, UnixDatagram::bind("/tmp/two")?);
    println!("sent: {} {}", one.send_to(b"hello", "/tmp/two")?, one.send_to(b"", "/tmp/two")?);
    let mut buffer = [0; 16];
    for _ in 0..2 {
        let (count, from) = two.recv_from(&mut buffer)?;
        println!("{count} from {:?}", from.as_pathname());
    }
    let unnamed = UnixDatagram::unbound()?;
    unnamed.connect("/tmp/two")?;
    println!("connected: {}", unnamed.send(b"by nobody")?);
    let (count, from) = two.recv_from(&mut buffer[..4])?;
    println!("cut to {count}, unnamed: {}", from.is_unnamed());
    println!("not connected: {:?}", error(one.send(b"x")));
    println!("a stream wanted: {:?}", error(UnixStream::connect("/tmp/two")));
    drop(two);
    println!("gone: {:?} {:?}", error(unnamed.send(b"x")), error(one.send_to(b"x", "/tmp/two")));
    Ok(())
}

/// A descriptor that is passed works although its sender has closed its own.
fn passing() -> io::Result<()> {
    let (left, right) = UnixStream::pair()?;
    let (reader, writer) = rustix::pipe::pipe()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [reader.as_fd(), writer.as_fd()];
    println!("fits: {}", ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    println!("sent: {:?}", sendmsg(&left, &[IoSlice::new(b"two")], &mut ancillary, SendFlags::empty()));
    drop((reader, writer));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut buffer = [0; 8];
    let message =
        recvmsg(&right, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    println!("received: {}", message.bytes);
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            let descriptors: Vec<_> = descriptors.collect();
            println!("descriptors: {}", descriptors.len());
            if let [reader, writer] = &descriptors[..] {
                println!("written: {:?}", write(writer, b"through"));
                println!("read: {:?}", read(reader, &mut buffer));
            }
        }
    }
    Ok(())
}

/// Sockets that nobody holds but their own inboxes are closed: what waits in them is, and a pipe's writer among that.
fn circles() -> io::Result<()> {
    for len in 1..=3 {
        let (reader, writer) = rustix::pipe::pipe()?;
        let pairs = (0..len).map(|_| UnixStream::pair()).collect::<io::Result<Vec<_>>>()?;
        for (index, (sender, _)) in pairs.iter().enumerate() {
            let (_, next) = &pairs[(index + 1) % len];
            send_descriptor(sender, next)?;
        }
        send_descriptor(&pairs[0].0, &writer)?;
        drop((writer, pairs));
        // Linux looks for circles when some socket is closed.
        drop(UnixStream::pair()?);
        println!("a circle of {len}: {:?}", read(&reader, &mut [0; 1]));
    }
    let (sender, held) = UnixStream::pair()?;
    send_descriptor(&sender, &held)?;
    drop(sender);
    drop(UnixStream::pair()?);
    let mut buffer = [0; 8];
    println!("still held: {:?}", read(&held, &mut buffer));
    Ok(())
}

fn send_descriptor(sender: &UnixStream, descriptor: &impl AsFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(sender, &[IoSlice::new(b"one")], &mut ancillary, SendFlags::empty())?;
    Ok(())
}

fn refused() -> io::Result<()> {
    println!("in no folder: {:?}", error(UnixListener::bind("/missing/socket")));
    println!("open: {:?}", error(std::fs::File::open("/tmp/many")));
    let unbound = UnixDatagram::unbound()?;
    println!("too much: {:?}", error(unbound.send_to(&vec![0; 4 << 20], "/tmp/one")));
    let kinds = [(AddressFamily::UNIX, SocketType::RDM), (AddressFamily::from_raw(45), SocketType::STREAM)];
    for (family, kind) in kinds {
        println!("{kind:?}: {:?}", rustix::net::socket(family, kind, None).err());
    }
    Ok(())
}
