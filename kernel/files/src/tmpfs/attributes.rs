//! Extended attributes in memory (xattr(7)): `user.` and `trusted.` and `security.` names, few and small.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::XattrFlags;
use machine::heap::{Grow, try_arc_slice, try_insert, try_to_vec};

/// Bytes of names and values that one file may have: the kernel's memory, so a limit.
const BYTES_MAX: usize = 128 * 1024;

/// The attributes of one file.
#[derive(Default)]
pub(super) struct Attributes {
    values: BTreeMap<Arc<[u8]>, Vec<u8>>,
    bytes: usize,
}

impl Attributes {
    pub(super) fn get(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        Ok(try_to_vec(self.values.get(name).ok_or(Errno::ENODATA)?)?)
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8], how: XattrFlags) -> Result<(), Errno> {
        let old = self.values.get(name).map(Vec::len);
        match old {
            Some(_) if how.contains(XattrFlags::CREATE) => return Err(Errno::EEXIST),
            None if how.contains(XattrFlags::REPLACE) => return Err(Errno::ENODATA),
            _ => {}
        }
        let released = old.map_or(0, |len| len + name.len());
        let bytes = self.bytes - released + name.len() + value.len();
        if bytes > BYTES_MAX {
            return Err(Errno::ENOSPC);
        }
        let copy = try_to_vec(value)?;
        try_insert(&mut self.values, try_arc_slice(name)?, copy)?;
        self.bytes = bytes;
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Result<(), Errno> {
        let value = self.values.remove(name).ok_or(Errno::ENODATA)?;
        self.bytes -= name.len() + value.len();
        Ok(())
    }

    pub(super) fn names(&self) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::new();
        for name in self.values.keys() {
            names.try_extend(name)?;
            names.try_push(0)?;
        }
        Ok(names)
    }
}
