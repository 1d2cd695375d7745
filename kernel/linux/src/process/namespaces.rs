//! The namespaces that a process lives in: one of each for now, but always reached through the process.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::system::UTSNAME_LENGTH;
use files::socket::unix::UnixNamespace;
use machine::sync::{Once, Rank, SpinLock};

use super::Process;
use super::ids::PidNamespace;
use super::users::Users;

/// Handles to a process's namespaces. Mounts are with the root directory, in [`Directories`](super::place::Directories).
pub struct Namespaces {
    /// Process numbers.
    pub pids: Arc<PidNamespace>,
    /// Names of the machine.
    pub names: Names,
    /// Abstract names of AF_UNIX.
    pub sockets: Arc<UnixNamespace>,
    /// Who runs how much.
    pub users: Users,
    /// The first process: it adopts orphans.
    pub init: Once<Weak<Process>>,
}

impl Namespaces {
    /// New namespaces, with nothing in them.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            pids: Arc::new(PidNamespace::new()),
            names: Names::new(),
            sockets: UnixNamespace::new(),
            users: Users::new(),
            init: Once::new(),
        })
    }
}

/// Names of the machine that programs can set (uname(2), sethostname(2), setdomainname(2)).
pub struct Names {
    host: SpinLock<Vec<u8>>,
    domain: SpinLock<Vec<u8>>,
}

impl Names {
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    fn new() -> Self {
        Self {
            host: SpinLock::new(Rank::Table, b"hob".to_vec()),
            domain: SpinLock::new(Rank::Table, b"(none)".to_vec()),
        }
    }

    /// The host's name.
    pub fn host(&self) -> Vec<u8> {
        self.host.lock().clone()
    }

    /// The domain's name.
    pub fn domain(&self) -> Vec<u8> {
        self.domain.lock().clone()
    }

    /// Sets the host's name; what does not fit in utsname is cut off, callers check that.
    pub fn set_host(&self, mut name: Vec<u8>) {
        name.truncate(UTSNAME_LENGTH - 1);
        *self.host.lock() = name;
    }

    /// Sets the domain's name.
    pub fn set_domain(&self, mut name: Vec<u8>) {
        name.truncate(UTSNAME_LENGTH - 1);
        *self.domain.lock() = name;
    }
}
