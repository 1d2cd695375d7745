//! What the tests share: an address space to begin with, loads and stores of a program, a pager in memory.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use abi::Errno;
use abi::mman::MapFlags;
use machine::frame::{self, Frame, Owner};
use memory::{
    Access, AddressSpace, Backing, FaultError, Layout, Limits, MapKind, Object, Pager, Protection,
    UserAddress,
};

pub const PAGE: usize = 4096;
pub const READ: Protection = Protection::READ;
pub const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
pub const NONE: Protection = Protection::empty();

/// An empty address space with a fixed layout and no limits. The page of zeroes exists already, so that frames can be counted.
pub fn space() -> Arc<AddressSpace> {
    machine::hosted::init_memory();
    let space = empty_space();
    let page = anonymous(&space, PAGE);
    load(&space, page).unwrap();
    drop(space);
    empty_space()
}

fn empty_space() -> Arc<AddressSpace> {
    AddressSpace::new(Layout::fixed(8 << 20), Limits::NONE).unwrap()
}

/// Frames that nobody has.
pub fn free_frames() -> usize {
    frame::count(Owner::Free)
}

/// Maps private anonymous memory somewhere.
pub fn anonymous(space: &AddressSpace, len: usize) -> UserAddress {
    map(space, 0, len, READ_WRITE, MapKind::Private, Backing::Anonymous, MapFlags::empty()).unwrap()
}

/// `AddressSpace::map` with a plain address.
pub fn map(
    space: &AddressSpace,
    at: usize,
    len: usize,
    protection: Protection,
    kind: MapKind,
    backing: Backing,
    flags: MapFlags,
) -> Result<UserAddress, Errno> {
    space.map(UserAddress(at), len, protection, kind, backing, flags)
}

/// A mapping of `object` from `offset_bytes` on.
pub fn of(object: &Arc<Object>, offset_bytes: u64) -> Backing {
    Backing::Object { object: object.clone(), offset_bytes, file: None, may_write: true }
}

/// What a load by the program gives.
pub fn load(space: &AddressSpace, at: UserAddress) -> Result<u8, FaultError> {
    let mut byte = [0];
    // The page may go again in between: then the next fault says why.
    loop {
        space.fault(at, Access::Read)?;
        if space.read_remote(at, &mut byte, false).is_ok() {
            return Ok(byte[0]);
        }
    }
}

/// A store by the program.
pub fn store(space: &AddressSpace, at: UserAddress, byte: u8) -> Result<(), FaultError> {
    loop {
        space.fault(at, Access::Write)?;
        if space.write_remote(at, &[byte], false).is_ok() {
            return Ok(());
        }
    }
}

pub fn at(start: UserAddress, offset: usize) -> UserAddress {
    UserAddress(start.0 + offset)
}

/// A pager whose pages are in memory: page `i` is full of `i + 1` until it is written.
pub struct Disk {
    pub pages: Mutex<Vec<Vec<u8>>>,
    pub reads: AtomicUsize,
    pub writes: AtomicUsize,
    /// The page whose reads and writes fail.
    pub bad_page: Mutex<Option<u64>>,
    pub is_writable: bool,
}

impl Disk {
    pub fn new(pages: usize) -> Arc<Self> {
        Self::with(pages, true)
    }

    pub fn with(pages: usize, is_writable: bool) -> Arc<Self> {
        Arc::new(Self {
            pages: Mutex::new((0..pages).map(|page| vec![(page as u8).wrapping_add(1); PAGE]).collect()),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            bad_page: Mutex::new(None),
            is_writable,
        })
    }

    fn check(&self, index: u64) -> Result<(), Errno> {
        if *self.bad_page.lock().unwrap() == Some(index) { Err(Errno::EIO) } else { Ok(()) }
    }
}

impl Pager for Disk {
    fn read_page(&self, index: u64, into: &Frame) -> Result<(), Errno> {
        self.reads.fetch_add(1, Relaxed);
        self.check(index)?;
        match self.pages.lock().unwrap().get(index as usize) {
            Some(page) => into.write(0, page),
            None => into.write(0, &[0; PAGE]),
        };
        Ok(())
    }

    fn write_page(&self, index: u64, from: &Frame) -> Result<(), Errno> {
        self.writes.fetch_add(1, Relaxed);
        self.check(index)?;
        let mut pages = self.pages.lock().unwrap();
        if pages.len() <= index as usize {
            pages.resize(index as usize + 1, vec![0; PAGE]);
        }
        from.read(0, &mut pages[index as usize]);
        Ok(())
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }
}

/// An object of `pages` pages on a [`Disk`].
pub fn disk_object(pages: usize) -> (Arc<Object>, Arc<Disk>) {
    let disk = Disk::new(pages);
    (Object::with_pager((pages * PAGE) as u64, disk.clone()).unwrap(), disk)
}
