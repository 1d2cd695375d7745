//! Addresses of AF_UNIX (unix(7)): a path, an abstract name, or none.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::Errno;
use abi::socket::{AF_UNIX, UNIX_PATH_MAX};
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc_slice, try_format, try_insert};
use machine::sync::{Rank, SpinLock};

use super::UnixSocket;

/// Where a socket can be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Address {
    /// Nowhere.
    #[default]
    Unnamed,
    /// At a path, as it was given to bind(2).
    Path(Arc<[u8]>),
    /// Under a name of its own, without the NUL in front.
    Abstract(Arc<[u8]>),
}

impl Address {
    /// Reads a `struct sockaddr_un`: EINVAL for another family or a wrong length.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Errno> {
        let (family, path) = bytes.split_at_checked(2).ok_or(Errno::EINVAL)?;
        if family != (AF_UNIX).to_ne_bytes() || path.len() > UNIX_PATH_MAX {
            return Err(Errno::EINVAL);
        }
        match path.split_first() {
            None => Err(Errno::EINVAL),
            Some((0, name)) => Ok(Self::Abstract(try_arc_slice(name)?)),
            Some(_) => {
                let len = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
                Ok(Self::Path(try_arc_slice(path.get(..len).unwrap_or(path))?))
            }
        }
    }

    /// As a `struct sockaddr_un` of the length that it needs.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, OutOfMemory> {
        let mut bytes = Vec::new();
        bytes.try_grow_exact(2 + UNIX_PATH_MAX + 1)?;
        bytes.extend_from_slice(&AF_UNIX.to_ne_bytes());
        match self {
            Self::Unnamed => {}
            Self::Path(path) => {
                bytes.extend_from_slice(path);
                bytes.push(0);
            }
            Self::Abstract(name) => {
                bytes.push(0);
                bytes.extend_from_slice(name);
            }
        }
        Ok(bytes)
    }
}

/// The abstract names that a group of processes sees.
pub struct UnixNamespace {
    names: SpinLock<BTreeMap<Arc<[u8]>, Weak<UnixSocket>>>,
}

impl UnixNamespace {
    /// No names.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { names: SpinLock::new(Rank::Table, BTreeMap::new()) })
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Arc<UnixSocket>> {
        self.names.lock().get(name).and_then(Weak::upgrade)
    }

    /// Gives a socket a name: EADDRINUSE.
    pub(super) fn bind(&self, name: &Arc<[u8]>, socket: Weak<UnixSocket>) -> Result<(), Errno> {
        let mut names = self.names.lock();
        if names.get(name).is_some_and(|known| known.strong_count() > 0) {
            return Err(Errno::EADDRINUSE);
        }
        // What was there has gone.
        try_insert(&mut names, Arc::clone(name), socket)?;
        Ok(())
    }

    /// Gives a socket a name of five digits that is free (unix(7), autobind): ENOSPC.
    pub(super) fn bind_any(&self, socket: &Weak<UnixSocket>) -> Result<Arc<[u8]>, Errno> {
        for number in 0..=0xf_ffff_u32 {
            let name: Arc<[u8]> = try_arc_slice(try_format(format_args!("{number:05x}"))?.as_bytes())?;
            match self.bind(&name, Weak::clone(socket)) {
                Ok(()) => return Ok(name),
                Err(Errno::EADDRINUSE) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::ENOSPC)
    }

    pub(super) fn release(&self, name: &[u8]) {
        self.names.lock().remove(name);
    }
}
