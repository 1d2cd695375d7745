//! Files: names, what they stand for, and everything that can be read, written and waited for.
//!
//! ```text
//!   "/a/b" ── walk ──► Path (mount + dentry) ──► Inode ── open ──► File ◄── OpenFile ◄── descriptor (linux)
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`walk`], [`open`](OpenHow), `create`, `remove`, `rename`, `change` | what a [`Context`] can do with paths |
//! | [`dentry`], [`mount`], [`filesystem`] | the tree: cached names, mounts in a namespace, file systems |
//! | [`inode`], [`file`](mod@file), [`open_file`] | a file, an open file, and what descriptors share |
//! | [`tmpfs`], [`initramfs`], [`pseudo`] | files in memory, unpacked from an archive, made of answers |
//! | [`device`], [`terminal`] | device files by number, terminals and pseudo-terminals |
//! | [`pipe`], [`socket`] | bytes between processes |
//! | [`locks`] | flock and record locks |
//!
//! Invariants:
//! - There is no global tree: whoever resolves a path brings the [`Context`] of a process.
//! - Directories change only under their dentry's lock, in the file system and in the cache together.
//! - Nothing here recurses on what programs make (depth of directories, chains of links): kernel stacks are small.
//! - Errors are those of Linux, in its order where several apply.
//!
//! Neighbours: `memory` below holds pages ([`memory::Object`]) and copies to programs ([`memory::Sink`], [`memory::Source`]);
//! `linux` above has descriptors, processes and the calls. What would point upwards is injected: [`terminal::JobControl`], the
//! wall clock, the kernel's log, the nodes of /proc.
//!
//! Start reading in [`walk`], then `open.rs`; `docs/files.md` has the figures.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_macros,
        reason = "a test may end for want of memory"
    )
)]

extern crate alloc;

pub mod anonymous;
pub mod attachment;
mod change;
mod create;
pub mod credentials;
pub mod dentry;
pub mod device;
pub mod epoll;
pub mod eventfd;
pub mod file;
pub mod filesystem;
pub mod initramfs;
pub mod inode;
pub mod locks;
pub mod memfd;
pub mod metadata;
pub mod mount;
mod mounting;
mod name;
mod open;
pub mod open_file;
pub mod pipe;
mod place_file;
pub mod pseudo;
mod remove;
mod rename;
pub mod socket;
pub mod splice;
pub mod terminal;
pub mod time;
pub mod timerfd;
pub mod tmpfs;
pub mod walk;
pub mod writers;

pub use change::TimeChange;
pub use credentials::{Access, Capabilities, Credentials, Ownership};
pub use dentry::Dentry;
pub use file::{Abilities, File, IoctlArgument, KernelArgument, Positioning, Seek, Transfer};
pub use filesystem::{FileSystem, MountRequest, Superblock};
pub use inode::{Entry, Inode, Link, NewBody, NewNode, Opening};
pub use metadata::{Kind, Metadata, MetadataChange};
pub use mount::{Mount, MountNamespace, Path};
pub use open::OpenHow;
pub use open_file::OpenFile;
pub use walk::{Context, Last, Lookup, Walker};

/// Registers everything that needs no hardware: tmpfs, devtmpfs and its nodes, devpts, terminals. Called once, at boot, after
/// the scheduler has started.
pub fn start() -> abi::Result<()> {
    tmpfs::register_kinds();
    device::start()?;
    terminal::start_ptys()
}
