//! A world to test files in: a tmpfs as root, and a process's view of it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use abi::Errno;
use abi::fcntl::{OpenFlags, ResolveFlags};
use files::tmpfs::{Options, Tmpfs};
use files::{Context, Credentials, MountNamespace, OpenFile, OpenHow, Path, Superblock};
use memory::{KernelSink, KernelSource};

pub struct World {
    pub namespace: Arc<MountNamespace>,
    pub root: Path,
    pub cwd: Path,
    pub credentials: Credentials,
    pub umask: u32,
}

impl World {
    pub fn new() -> Self {
        Self::on(Tmpfs::new(Options { size: 64 << 20, inodes: 100_000, mode: 0o755, uid: 0, gid: 0 }))
    }

    pub fn on(file_system: Arc<Tmpfs>) -> Self {
        let namespace = MountNamespace::new(Superblock::new(file_system), "rootfs");
        let root = namespace.root().clone();
        Self { namespace, cwd: root.clone(), root, credentials: Credentials::root(), umask: 0o022 }
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            root: &self.root,
            cwd: &self.cwd,
            namespace: &self.namespace,
            credentials: &self.credentials,
            umask: self.umask,
        }
    }

    /// The same world as another user sees it.
    pub fn as_user(&self, uid: u32) -> Self {
        Self {
            namespace: self.namespace.clone(),
            root: self.root.clone(),
            cwd: self.cwd.clone(),
            credentials: Credentials::user(uid, uid),
            umask: self.umask,
        }
    }

    pub fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, Errno> {
        let how = OpenHow { flags, mode: 0o666, resolve: ResolveFlags::empty() };
        self.context().open(None, path.as_bytes(), how)
    }

    pub fn mkdir(&self, path: &str) -> Result<(), Errno> {
        self.context().make_directory(None, path.as_bytes(), 0o777).map(drop)
    }

    pub fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        self.context().make_symlink(target.as_bytes(), None, path.as_bytes()).map(drop)
    }

    pub fn create(&self, path: &str, contents: &[u8]) -> Result<(), Errno> {
        let file = self.open(path, OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC)?;
        write(&file, contents).map(drop)
    }

    pub fn contents(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let file = self.open(path, OpenFlags::empty())?;
        let mut all = Vec::new();
        loop {
            let chunk = read(&file, 1000)?;
            if chunk.is_empty() {
                return Ok(all);
            }
            all.extend(chunk);
        }
    }

    pub fn names(&self, path: &str) -> Result<Vec<String>, Errno> {
        let file = self.open(path, OpenFlags::DIRECTORY)?;
        let mut names = Vec::new();
        file.read_directory()?.visit(&mut |entry| {
            names.push(String::from_utf8_lossy(entry.name).into_owned());
            true
        })?;
        Ok(names)
    }
}

pub fn read(file: &OpenFile, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let count = file.read(&mut KernelSink::new(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

pub fn write(file: &OpenFile, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(&mut KernelSource::new(bytes))
}

/// Runs `body` on a machine of `cpus` processors with the scheduler lit.
pub fn run(cpus: usize, seed: u64, body: impl FnOnce() + Send + 'static) {
    threads::hosted::run(cpus, seed, body);
}
