//! What programs do with pipes, sockets, terminals and with waiting for them.

use crate::{Operation, errno};
use rustix::event::{EventfdFlags, PollFd, PollFlags, epoll, eventfd, poll};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, write};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice, tee};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

pub const OPERATIONS: &[(&str, Operation)] = &[
    ("a pipe", |_| {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&writer, 256 << 10)?;
        write(&writer, &[5; 100_000])?;
        read(&reader, &mut [0; 100_000]).map(|_| ())
    }),
    ("a pipe into a pipe and away", |_| {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let (last, middle) = pipe_with(PipeFlags::CLOEXEC)?;
        let null = open("/dev/null", OFlags::WRONLY, Mode::empty())?;
        write(&writer, &[5; 10_000])?;
        tee(&reader, &middle, 10_000, SpliceFlags::empty())?;
        splice(&reader, None, &null, None, 10_000, SpliceFlags::empty())?;
        splice(&last, None, &null, None, 10_000, SpliceFlags::empty()).map(|_| ())
    }),
    ("a file into a pipe", |_| {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let file = open("/etc/script", OFlags::RDONLY, Mode::empty())?;
        splice(&file, None, &writer, None, 100, SpliceFlags::empty())?;
        rustix::fs::sendfile(&writer, &file, Some(&mut 0), 10)?;
        read(&reader, &mut [0; 100]).map(|_| ())
    }),
    ("sockets", |_| {
        let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
        write(&one, &[7; 50_000])?;
        read(&two, &mut [0; 50_000]).map(|_| ())
    }),
    ("descriptors in a message", |_| passed()),
    ("a connection", |path| {
        let listener = UnixListener::bind(path).map_err(errno);
        let result = listener.and_then(|listener| {
            let _one = UnixStream::connect(path).map_err(errno)?;
            listener.accept().map(|_| ()).map_err(errno)
        });
        match std::fs::remove_file(path).or_else(|_| std::fs::remove_file(path)) {
            Err(error) if result.is_ok() => Err(errno(error)),
            _ => result,
        }
    }),
    ("datagrams", |_| {
        let (one, two) = UnixDatagram::pair().map_err(errno)?;
        one.send(&[1; 3000]).map_err(errno)?;
        two.recv(&mut [0; 3000]).map(|_| ()).map_err(errno)
    }),
    ("poll", |_| {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut all: Vec<_> = (0..40).map(|_| PollFd::new(&reader, PollFlags::IN)).collect();
        let soon = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1000 };
        poll(&mut all, Some(&soon))?;
        drop(writer);
        Ok(())
    }),
    ("epoll", |_| {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let inner = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let outer = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&inner, &reader, epoll::EventData::new_u64(1), epoll::EventFlags::IN)?;
        epoll::modify(&inner, &reader, epoll::EventData::new_u64(2), epoll::EventFlags::IN)?;
        epoll::add(&outer, &inner, epoll::EventData::new_u64(3), epoll::EventFlags::IN)?;
        write(&writer, b"x")?;
        let mut events = Vec::with_capacity(4);
        match epoll::wait(&outer, rustix::buffer::spare_capacity(&mut events), None)? {
            1 => Ok(()),
            _ => Err(Errno::IO),
        }
    }),
    ("an event", |_| {
        let event = eventfd(3, EventfdFlags::CLOEXEC)?;
        read(&event, &mut [0; 8]).map(|_| ())
    }),
    ("a terminal", |_| {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let mut settings = tcgetattr(&slave)?;
        settings.local_modes -= LocalModes::ECHO;
        tcsetattr(&slave, OptionalActions::Now, &settings)?;
        // A part of a line would not be given to the reader.
        if write(&master, b"a line\n")? < 7 {
            return Err(Errno::NOMEM);
        }
        read(&slave, &mut [0; 100])?;
        write(&slave, b"an\tanswer\n")?;
        read(&master, &mut [0; 100]).map(|_| ())
    }),
];

/// Sends descriptors. That it is missing where there was no memory to take it in, the message says.
fn passed() -> Result<(), Errno> {
    let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let descriptors = [reader.as_fd(), writer.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&one, &[IoSlice::new(b"files")], &mut control, SendFlags::empty())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 5];
    let received = recvmsg(&two, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty())?;
    if received.bytes == 5 { Ok(()) } else { Err(Errno::IO) }
}
