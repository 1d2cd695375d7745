//! A medium for redb that remembers every write and sync, can fail, and can be cut off at any moment.
#![allow(dead_code, reason = "each test file uses a part")]

use redb::{Database, DatabaseError, StorageBackend};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// One operation on the disk.
#[derive(Clone, Debug)]
pub enum Operation {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

#[derive(Debug, Default)]
struct Disk {
    image: Mutex<Vec<u8>>,
    log: Mutex<Vec<Operation>>,
    is_full: AtomicBool,
    syncs: AtomicU64,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Disk>);

impl Tape {
    pub fn from_image(image: Vec<u8>) -> Tape {
        let tape = Tape::default();
        *tape.0.image.lock().unwrap() = image;
        tape
    }
    pub fn log(&self) -> Vec<Operation> {
        self.0.log.lock().unwrap().clone()
    }
    pub fn image(&self) -> Vec<u8> {
        self.0.image.lock().unwrap().clone()
    }
    /// How many operations have reached the disk.
    pub fn operations(&self) -> usize {
        self.0.log.lock().unwrap().len()
    }
    /// From now on writes fail (or no longer).
    pub fn fill(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::Relaxed);
    }
    pub fn open(&self) -> Result<Database, DatabaseError> {
        Database::builder().set_cache_size(1 << 20).create_with_backend(self.clone())
    }
    fn check(&self) -> io::Result<()> {
        match self.0.is_full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

/// Carries out one operation on an image.
pub fn apply(image: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write(at, bytes) => {
            let end = *at as usize + bytes.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*at as usize..end].copy_from_slice(bytes);
        }
        Operation::SetLen(len) => image.resize(*len as usize, 0),
        Operation::Sync => {}
    }
}

/// What a well-behaved disk holds when the power goes after `cut` operations: all of them.
pub fn in_order(log: &[Operation], cut: usize) -> Vec<u8> {
    let mut image = Vec::new();
    log[..cut].iter().for_each(|operation| apply(&mut image, operation));
    image
}

/// What an unkind disk holds then: what was synced, and of the writes since, in any order, some whole, some up to a sector, some
/// not at all. `below` gives a number below its argument.
pub fn torn(log: &[Operation], cut: usize, mut below: impl FnMut(usize) -> usize) -> Vec<u8> {
    let synced = log[..cut].iter().rposition(|o| matches!(o, Operation::Sync)).map_or(0, |at| at + 1);
    let mut image = in_order(log, synced);
    let (lengths, mut writes): (Vec<_>, Vec<_>) =
        log[synced..cut].iter().partition(|o| matches!(o, Operation::SetLen(_)));
    lengths.into_iter().for_each(|operation| apply(&mut image, operation));
    while !writes.is_empty() {
        let operation = writes.swap_remove(below(writes.len()));
        match (operation, below(3)) {
            (Operation::Write(at, bytes), 0) => {
                let keep = below(bytes.len().div_ceil(512) + 1) * 512;
                apply(&mut image, &Operation::Write(*at, bytes[..keep.min(bytes.len())].to_vec()));
            }
            (operation, 1) => apply(&mut image, operation),
            _ => {}
        }
    }
    image
}

impl StorageBackend for Tape {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.image.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.0.image.lock().unwrap();
        let from = image.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        let operation = Operation::SetLen(len);
        apply(&mut self.0.image.lock().unwrap(), &operation);
        self.0.log.lock().unwrap().push(operation);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.syncs.fetch_add(1, Ordering::Relaxed);
        self.0.log.lock().unwrap().push(Operation::Sync);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let operation = Operation::Write(offset, data.to_vec());
        apply(&mut self.0.image.lock().unwrap(), &operation);
        self.0.log.lock().unwrap().push(operation);
        Ok(())
    }
}
