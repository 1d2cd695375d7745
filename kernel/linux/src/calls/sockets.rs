//! Sockets (socket(7)): AF_UNIX; other families give EAFNOSUPPORT until somebody owns a network.

use abi::Errno;
use abi::fcntl::{OpenFlags, UIO_MAXIOV};
use abi::signal::Signal;
use abi::signal::info::{SI_USER, SigInfo};
use abi::socket::*;
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::OpenFile;
use files::socket::unix::{self, UnixKind};
use files::socket::{Message, Received, Shutdown, Socket, SocketCaller};
use machine::address::UserAddress;
use machine::heap::Grow;
use memory::user::{self, UserSink, UserSource};
use memory::{Sink, Source};
use zerocopy::IntoBytes;

use super::Arguments;
use super::arguments::{MAX_TRANSFER, write_optional};
use super::io::segments;
use crate::process::Caller;
use crate::signal::send as signals;

type Outcome = Result<usize, Errno>;

/// The longest address (`struct sockaddr_storage`).
const ADDRESS_MAX: usize = 128;
/// The most bytes of control messages of one call (Linux: net.core.optmem_max).
const CONTROL_MAX: usize = 128 << 10;
/// The longest value of an option that is read.
const OPTION_MAX: usize = 4096;

/// Calls `act` with who the caller is to sockets.
fn with_caller<R>(caller: &Caller, act: impl FnOnce(&SocketCaller<'_>) -> R) -> R {
    let directories = caller.place.directories();
    let context = directories.context(&caller.credentials, caller.place.umask());
    act(&SocketCaller { context, process: caller.process.pid() })
}

/// The open file of a descriptor that is a socket: ENOTSOCK.
fn find(caller: &Caller, descriptor: i32) -> Result<Arc<OpenFile>, Errno> {
    let file = caller.descriptors.get_usable(descriptor)?;
    if file.file().as_socket().is_some() { Ok(file) } else { Err(Errno::ENOTSOCK) }
}

fn socket_of(file: &OpenFile) -> Result<&dyn Socket, Errno> {
    file.file().as_socket().ok_or(Errno::ENOTSOCK)
}

fn is_nonblocking(file: &OpenFile, flags: MessageFlags) -> bool {
    file.flags().contains(OpenFlags::NONBLOCK) || flags.contains(MessageFlags::DONTWAIT)
}

/// The kind and the flags of a new socket: EAFNOSUPPORT, EPROTONOSUPPORT, EINVAL.
fn wanted(domain: u32, kind: u32, protocol: u32) -> Result<(UnixKind, SocketFlags), Errno> {
    let flags = SocketFlags::from_bits(kind & !SOCK_TYPE_MASK).ok_or(Errno::EINVAL)?;
    if domain != u32::from(AF_UNIX) {
        return Err(Errno::EAFNOSUPPORT);
    }
    if protocol != 0 && protocol != u32::from(AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    Ok((UnixKind::new(kind & SOCK_TYPE_MASK)?, flags))
}

fn set_up(file: &OpenFile, flags: SocketFlags) -> bool {
    file.set_flag(OpenFlags::NONBLOCK, flags.contains(SocketFlags::NONBLOCK));
    flags.contains(SocketFlags::CLOEXEC)
}

/// socket(2).
pub fn socket(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let (kind, flags) = wanted(arguments.unsigned(0), arguments.unsigned(1), arguments.unsigned(2))?;
    let identity = with_caller(caller, |who| who.identity());
    let file = unix::create(kind, &caller.process.namespaces.sockets, identity)?;
    let closes_on_exec = set_up(&file, flags);
    let limit = caller.process.limits.descriptors();
    Ok(caller.descriptors.insert(file, closes_on_exec, 0, limit)? as usize)
}

/// socketpair(2).
pub fn socketpair(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    // The family and the type are asked for last.
    let wanted = wanted(arguments.unsigned(0), arguments.unsigned(1), arguments.unsigned(2));
    if SocketFlags::from_bits(arguments.unsigned(1) & !SOCK_TYPE_MASK).is_none() {
        return Err(Errno::EINVAL);
    }
    let limit = caller.process.limits.descriptors();
    let numbers = [caller.descriptors.reserve(0, limit)?, caller.descriptors.reserve(0, limit)?];
    // Written before the descriptors exist, so that a wild address leaves nothing open.
    let [first_number, second_number] = numbers;
    user::write_value(arguments.address(3), &[first_number.number(), second_number.number()])?;
    let (kind, flags) = wanted?;
    let identity = with_caller(caller, |who| who.identity());
    let (first, second) = unix::create_pair(kind, &caller.process.namespaces.sockets, identity)?;
    let closes_on_exec = set_up(&first, flags);
    set_up(&second, flags);
    first_number.fill(first, closes_on_exec);
    second_number.fill(second, closes_on_exec);
    Ok(0)
}

/// Reads an address that a program gives: EINVAL for a length that none has.
fn read_address(address: UserAddress, len: i32) -> Result<Vec<u8>, Errno> {
    let len = usize::try_from(len).ok().filter(|&len| len <= ADDRESS_MAX).ok_or(Errno::EINVAL)?;
    user::read_array(address, len)
}

/// Writes an address where the program wants it, cut to the room that it has, and its whole length.
fn write_address(bytes: &[u8], to: Option<UserAddress>, len_at: Option<UserAddress>) -> Result<(), Errno> {
    let Some(to) = to else { return Ok(()) };
    let len_at = len_at.ok_or(Errno::EFAULT)?;
    let room: i32 = user::read_value(len_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    user::write_bytes(to, bytes.get(..room.min(bytes.len())).unwrap_or_default())?;
    user::write_value(len_at, &(bytes.len() as i32))
}

/// bind(2).
pub fn bind(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let address = read_address(arguments.address(1), arguments.int(2))?;
    with_caller(caller, |who| socket_of(&file)?.bind(who, &address))?;
    Ok(0)
}

/// connect(2).
pub fn connect(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    caller.descriptors.get_usable(arguments.int(0))?;
    let address = read_address(arguments.address(1), arguments.int(2))?;
    let file = find(caller, arguments.int(0))?;
    let nonblocking = is_nonblocking(&file, MessageFlags::empty());
    with_caller(caller, |who| socket_of(&file)?.connect(who, &address, nonblocking))?;
    Ok(0)
}

/// listen(2).
pub fn listen(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    with_caller(caller, |who| socket_of(&file)?.listen(who, arguments.int(1)))?;
    Ok(0)
}

fn accept_with(caller: &Caller, arguments: &Arguments, flags: u32) -> Outcome {
    caller.descriptors.get_usable(arguments.int(0))?;
    let flags = SocketFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let file = find(caller, arguments.int(0))?;
    let number = caller.descriptors.reserve(0, caller.process.limits.descriptors())?;
    let accepted = socket_of(&file)?.accept(is_nonblocking(&file, MessageFlags::empty()))?;
    let peer = socket_of(&accepted)?.peer_address().unwrap_or_default();
    write_address(&peer, arguments.optional(1), arguments.optional(2))?;
    let closes_on_exec = set_up(&accepted, flags);
    Ok(number.fill(accepted, closes_on_exec) as usize)
}

/// accept(2).
pub fn accept(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    accept_with(caller, arguments, 0)
}

/// accept4(2).
pub fn accept4(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    accept_with(caller, arguments, arguments.unsigned(3))
}

/// getsockname(2).
pub fn getsockname(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let address = socket_of(&file)?.local_address()?;
    write_address(&address, Some(arguments.address(1)), Some(arguments.address(2)))?;
    Ok(0)
}

/// getpeername(2).
pub fn getpeername(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let address = socket_of(&file)?.peer_address()?;
    write_address(&address, Some(arguments.address(1)), Some(arguments.address(2)))?;
    Ok(0)
}

/// shutdown(2).
pub fn shutdown(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let what = match arguments.int(1) {
        0 => Shutdown { reading: true, writing: false },
        1 => Shutdown { reading: false, writing: true },
        2 => Shutdown { reading: true, writing: true },
        _ => return Err(Errno::EINVAL),
    };
    socket_of(&file)?.shutdown(what)?;
    Ok(0)
}

/// getsockopt(2).
pub fn getsockopt(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    if arguments.int(1) != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let room: i32 = user::read_value(arguments.address(4))?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let value = socket_of(&file)?.option(arguments.int(1), arguments.int(2))?;
    let part = value.get(..room.min(value.len())).unwrap_or_default();
    user::write_bytes(arguments.address(3), part)?;
    user::write_value(arguments.address(4), &(part.len() as i32))?;
    Ok(0)
}

/// setsockopt(2).
pub fn setsockopt(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let len = usize::try_from(arguments.int(4)).ok().filter(|&len| len <= OPTION_MAX).ok_or(Errno::EINVAL)?;
    if arguments.int(1) != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    if len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    let value: Vec<u8> = user::read_array(arguments.address(3), len)?;
    with_caller(caller, |who| socket_of(&file)?.set_option(who, arguments.int(1), arguments.int(2), &value))?;
    Ok(0)
}

fn send_message(caller: &Caller, file: &OpenFile, from: &mut dyn Source, message: Message<'_>) -> Outcome {
    let flags = message.flags;
    let nonblocking = is_nonblocking(file, flags);
    let outcome = with_caller(caller, |who| socket_of(file)?.send(who, from, message, nonblocking));
    match outcome {
        Ok(sent) => caller.process.account.note_write(sent),
        Err(Errno::EPIPE)
            if !flags.contains(MessageFlags::NOSIGNAL) && socket_of(file)?.kind() == SOCK_STREAM as i32 =>
        {
            let info = SigInfo::sent(Signal::SIGPIPE, SI_USER, caller.process.pid(), caller.credentials.uid);
            signals::to_task(&caller.task, Signal::SIGPIPE, info)?;
        }
        Err(_) => {}
    }
    outcome
}

/// The length of the memory that sendto(2) and recvfrom(2) are given, cut to what one call moves: EFAULT, before the descriptor
/// is looked at.
fn message_len(arguments: &Arguments) -> Result<usize, Errno> {
    let len = arguments.size(2).min(MAX_TRANSFER);
    if arguments.address(1).is_user_range(len) { Ok(len) } else { Err(Errno::EFAULT) }
}

/// sendto(2).
pub fn sendto(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let len = message_len(arguments)?;
    let file = find(caller, arguments.int(0))?;
    let mut source = UserSource::new(arguments.address(1), len)?;
    let address = match arguments.optional(4) {
        Some(address) => Some(read_address(address, arguments.int(5))?),
        None => None,
    };
    let flags = MessageFlags::from_bits_retain(arguments.unsigned(3));
    let message = Message { address: address.as_deref(), flags, ..Message::default() };
    send_message(caller, &file, &mut source, message)
}

/// recvfrom(2).
pub fn recvfrom(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let len = message_len(arguments)?;
    let file = find(caller, arguments.int(0))?;
    let mut sink = UserSink::new(arguments.address(1), len)?;
    let flags = MessageFlags::from_bits_retain(arguments.unsigned(3));
    let received = socket_of(&file)?.receive(&mut sink, flags, is_nonblocking(&file, flags))?;
    write_address(&received.address, arguments.optional(4), arguments.optional(5))?;
    caller.process.account.note_read(received.len);
    Ok(returned_len(&received, flags))
}

/// With MSG_TRUNC a message's whole length is told, even if the buffer was too short for it.
fn returned_len(received: &Received, flags: MessageFlags) -> usize {
    if flags.contains(MessageFlags::TRUNC) { received.full_len } else { received.len }
}

/// The control messages of a sendmsg(2): descriptors to hand over, and who the sender says he is.
fn read_control(caller: &Caller, header: &Msghdr, message: &mut Message<'_>) -> Result<(), Errno> {
    let len = usize::try_from(header.msg_controllen)
        .ok()
        .filter(|&len| len <= CONTROL_MAX)
        .ok_or(Errno::ENOBUFS)?;
    let bytes: Vec<u8> = user::read_array(UserAddress(header.msg_control as usize), len)?;
    let head_len = size_of::<Cmsghdr>();
    let mut rest = &bytes[..];
    while let Ok((head, after)) = <Cmsghdr as zerocopy::FromBytes>::read_from_prefix(rest) {
        let whole = usize::try_from(head.cmsg_len).map_err(|_| Errno::EINVAL)?;
        let data_len = whole.checked_sub(head_len).ok_or(Errno::EINVAL)?;
        let data = after.get(..data_len).ok_or(Errno::EINVAL)?;
        match (head.cmsg_level, head.cmsg_type) {
            (SOL_SOCKET, SCM_RIGHTS) => {
                for number in data.chunks_exact(size_of::<i32>()) {
                    let number = i32::from_ne_bytes([number[0], number[1], number[2], number[3]]);
                    if message.rights.len() >= SCM_MAX_FD {
                        return Err(Errno::EINVAL);
                    }
                    message.rights.try_grow(1)?;
                    message.rights.push(caller.descriptors.get(number)?);
                }
            }
            (SOL_SOCKET, SCM_CREDENTIALS) => {
                let (claimed, _) =
                    <Ucred as zerocopy::FromBytes>::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                check_identity(caller, &claimed)?;
                message.credentials = Some(claimed);
            }
            _ => return Err(Errno::EINVAL),
        }
        rest = rest.get(whole.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(())
}

/// A sender may claim only to be himself (unix(7), SCM_CREDENTIALS), unless privileged: EPERM.
fn check_identity(caller: &Caller, claimed: &Ucred) -> Result<(), Errno> {
    use abi::capability::{CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN};
    let who = &caller.credentials;
    let is_pid = claimed.pid == caller.process.pid() || who.has(CAP_SYS_ADMIN);
    let is_uid = [who.uid, who.euid, who.suid].contains(&claimed.uid) || who.has(CAP_SETUID);
    let is_gid = [who.gid, who.egid, who.sgid].contains(&claimed.gid) || who.has(CAP_SETGID);
    if is_pid && is_uid && is_gid { Ok(()) } else { Err(Errno::EPERM) }
}

/// The buffers of a message: EMSGSIZE for too many.
fn header_segments(header: &Msghdr) -> Result<Vec<(UserAddress, usize)>, Errno> {
    let count = u32::try_from(header.msg_iovlen).ok().filter(|&count| count as usize <= UIO_MAXIOV);
    segments(UserAddress(header.msg_iov as usize), count.ok_or(Errno::EMSGSIZE)?)
}

fn send_header(caller: &Caller, file: &OpenFile, header: &Msghdr, flags: u32) -> Outcome {
    let address = match header.msg_name {
        0 => None,
        // Only here is a length beyond the longest no error.
        name => Some(read_address(UserAddress(name as usize), header.msg_namelen.min(ADDRESS_MAX as i32))?),
    };
    let mut source = UserSource::vector(header_segments(header)?)?;
    let flags = MessageFlags::from_bits_retain(flags);
    let mut message = Message { address: address.as_deref(), flags, ..Message::default() };
    if header.msg_controllen != 0 {
        read_control(caller, header, &mut message)?;
    }
    send_message(caller, file, &mut source, message)
}

/// sendmsg(2).
pub fn sendmsg(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let header: Msghdr = user::read_value(arguments.address(1))?;
    send_header(caller, &file, &header, arguments.unsigned(2))
}

/// Writes control messages, as far as there is room; what does not fit is MSG_CTRUNC, and files that do not fit are closed.
struct Control {
    bytes: Vec<u8>,
    room: usize,
    is_cut: bool,
}

impl Control {
    fn put(&mut self, kind: i32, data: &[u8]) -> Result<(), Errno> {
        let head_len = size_of::<Cmsghdr>();
        let whole = head_len + data.len();
        if self.bytes.len() + whole > self.room {
            self.is_cut = true;
            return Ok(());
        }
        self.bytes.try_grow(whole + 8)?;
        let head = Cmsghdr { cmsg_len: whole as u64, cmsg_level: SOL_SOCKET, cmsg_type: kind };
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(data);
        let padded = self.bytes.len().next_multiple_of(8).min(self.room);
        self.bytes.resize(padded.max(self.bytes.len()), 0);
        Ok(())
    }
}

fn write_control(
    caller: &Caller,
    header: &Msghdr,
    received: Received,
    flags: MessageFlags,
) -> Result<Control, Errno> {
    let room = usize::try_from(header.msg_controllen).unwrap_or(usize::MAX).min(CONTROL_MAX);
    let room = if header.msg_control == 0 { 0 } else { room };
    let mut control = Control { bytes: Vec::new(), room, is_cut: false };
    if let Some(who) = received.credentials {
        control.put(SCM_CREDENTIALS, who.as_bytes())?;
    }
    let free = room.saturating_sub(control.bytes.len() + size_of::<Cmsghdr>()) / size_of::<i32>();
    let closes_on_exec = flags.contains(MessageFlags::CMSG_CLOEXEC);
    let limit = caller.process.limits.descriptors();
    let mut numbers: Vec<u8> = Vec::new();
    // Where the numbers find no room, the files are closed, and the message says that some are missing.
    let free = if numbers.try_grow(received.rights.len() * size_of::<i32>()).is_ok() { free } else { 0 };
    for (index, file) in received.rights.into_iter().enumerate() {
        let number =
            if index < free { caller.descriptors.insert(file, closes_on_exec, 0, limit).ok() } else { None };
        match number {
            Some(number) => numbers.extend_from_slice(&number.to_ne_bytes()),
            None => control.is_cut = true,
        }
    }
    if !numbers.is_empty() {
        control.put(SCM_RIGHTS, &numbers)?;
    }
    Ok(control)
}

fn receive_header(caller: &Caller, file: &OpenFile, header: &mut Msghdr, flags: u32) -> Outcome {
    let mut sink = UserSink::vector(header_segments(header)?)?;
    let flags = MessageFlags::from_bits_retain(flags);
    let mut received =
        socket_of(file)?.receive(&mut sink as &mut dyn Sink, flags, is_nonblocking(file, flags))?;
    caller.process.account.note_read(received.len);
    let len = returned_len(&received, flags);
    let address = core::mem::take(&mut received.address);
    if header.msg_name != 0 {
        let room = usize::try_from(header.msg_namelen).map_err(|_| Errno::EINVAL)?;
        let part = address.get(..room.min(address.len())).unwrap_or_default();
        user::write_bytes(UserAddress(header.msg_name as usize), part)?;
        header.msg_namelen = address.len() as i32;
    }
    let mut told = received.flags;
    let control = write_control(caller, header, received, flags)?;
    told.set(MessageFlags::CTRUNC, control.is_cut);
    told.set(MessageFlags::CMSG_CLOEXEC, flags.contains(MessageFlags::CMSG_CLOEXEC));
    if header.msg_control != 0 {
        user::write_bytes(UserAddress(header.msg_control as usize), &control.bytes)?;
    }
    header.msg_controllen = control.bytes.len() as u64;
    header.msg_flags = told.bits();
    Ok(len)
}

/// recvmsg(2).
pub fn recvmsg(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let mut header: Msghdr = user::read_value(arguments.address(1))?;
    let len = receive_header(caller, &file, &mut header, arguments.unsigned(2))?;
    user::write_value(arguments.address(1), &header)?;
    Ok(len)
}

/// sendmmsg(2): how many were sent; an error only when the first was not.
pub fn sendmmsg(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let count = (arguments.unsigned(2) as usize).min(UIO_MAXIOV);
    for index in 0..count {
        let at = UserAddress(arguments.address(1).0.wrapping_add(index * size_of::<Mmsghdr>()));
        let outcome = user::read_value::<Mmsghdr>(at).and_then(|mut message| {
            message.msg_len = send_header(caller, &file, &message.msg_hdr, arguments.unsigned(3))? as u32;
            user::write_value(at, &message)
        });
        if let Err(error) = outcome {
            return if index == 0 { Err(error) } else { Ok(index) };
        }
    }
    Ok(count)
}

/// recvmmsg(2). A timeout is looked at between messages, as in Linux.
pub fn recvmmsg(caller: &mut Caller, arguments: &Arguments) -> Outcome {
    let file = find(caller, arguments.int(0))?;
    let count = (arguments.unsigned(2) as usize).min(UIO_MAXIOV);
    let timeout: Option<abi::time::Timespec> = super::arguments::read_optional(arguments.optional(4))?;
    let deadline_ns = match timeout {
        Some(timeout) => Some(crate::time::deadline_after(&timeout)?),
        None => None,
    };
    // MSG_WAITFORONE: patience ends with the first message.
    let wait_for_one = 0x1_0000;
    let mut flags = arguments.unsigned(3);
    let mut done = 0;
    while done < count {
        let at = UserAddress(arguments.address(1).0.wrapping_add(done * size_of::<Mmsghdr>()));
        let outcome = user::read_value::<Mmsghdr>(at).and_then(|mut message| {
            message.msg_len =
                receive_header(caller, &file, &mut message.msg_hdr, flags & !wait_for_one)? as u32;
            user::write_value(at, &message)
        });
        match outcome {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if flags & wait_for_one != 0 {
            flags |= MessageFlags::DONTWAIT.bits();
        }
        if deadline_ns.is_some_and(|deadline_ns| machine::clock::now_ns() >= deadline_ns) {
            break;
        }
    }
    write_optional(arguments.optional(4), &timeout.unwrap_or_default())?;
    Ok(done)
}
