//! Options of a socket (socket(7), unix(7)).

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::socket::*;
use abi::time::Timeval;
use machine::heap::try_to_vec;
use zerocopy::{FromBytes, IntoBytes};

use super::UnixSocket;
use super::inbox::BYTES_MAX;
use crate::socket::Socket;

fn number(value: &[u8]) -> Result<i32, Errno> {
    value.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or(Errno::EINVAL)
}

/// A time-out as SO_RCVTIMEO gives it: zero for none. EDOM for one that is no time.
fn timeout(value: &[u8]) -> Result<u64, Errno> {
    let (time, _) = Timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    time.to_nanoseconds().ok_or(Errno::EDOM)
}

fn shown_timeout(timeout_ns: &AtomicU64) -> Result<Vec<u8>, Errno> {
    Ok(try_to_vec(Timeval::from_nanoseconds(timeout_ns.load(Ordering::Relaxed)).as_bytes())?)
}

impl UnixSocket {
    pub(super) fn get_option(&self, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let number = match name {
            SO_TYPE => Socket::kind(self),
            SO_DOMAIN => Socket::domain(self),
            SO_PROTOCOL => Socket::protocol(self),
            SO_ACCEPTCONN => i32::from(self.is_listening()),
            SO_ERROR => self.own.take_error().map_or(0, |error| i32::from(error.number())),
            SO_PASSCRED => i32::from(self.passes_credentials.load(Ordering::Relaxed)),
            SO_SNDBUF | SO_RCVBUF => BYTES_MAX as i32,
            // What arrives from this machine arrives without a time.
            SO_TIMESTAMP | SO_REUSEADDR | SO_KEEPALIVE | SO_BROADCAST | SO_OOBINLINE | SO_DONTROUTE
            | SO_PRIORITY | SO_REUSEPORT => 0,
            SO_SNDLOWAT | SO_RCVLOWAT => 1,
            SO_RCVTIMEO => return shown_timeout(&self.receive_timeout_ns),
            SO_SNDTIMEO => return shown_timeout(&self.send_timeout_ns),
            SO_LINGER => return Ok(try_to_vec(Linger::default().as_bytes())?),
            SO_PEERCRED => {
                // Nobody has no process and the ids that stand for nobody.
                let nobody = Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
                let peer = self.peer().map_or(nobody, |peer| peer.credentials());
                return Ok(try_to_vec(peer.as_bytes())?);
            }
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(try_to_vec(&number.to_ne_bytes())?)
    }

    pub(super) fn put_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        match name {
            SO_PASSCRED => self.passes_credentials.store(number(value)? != 0, Ordering::Relaxed),
            SO_RCVTIMEO => self.receive_timeout_ns.store(timeout(value)?, Ordering::Relaxed),
            SO_SNDTIMEO => self.send_timeout_ns.store(timeout(value)?, Ordering::Relaxed),
            // These steer what does not happen between processes of one machine, or limits that are the same for all here.
            SO_SNDBUF | SO_RCVBUF | SO_REUSEADDR | SO_KEEPALIVE | SO_BROADCAST | SO_OOBINLINE
            | SO_DONTROUTE | SO_PRIORITY | SO_RCVLOWAT | SO_TIMESTAMP => {
                number(value)?;
            }
            SO_LINGER => {
                Linger::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
            }
            SO_REUSEPORT if number(value)? != 0 => return Err(Errno::EOPNOTSUPP),
            SO_REUSEPORT => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }
}
