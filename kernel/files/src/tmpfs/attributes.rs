//! Extended attributes in memory (xattr(7)): `user.` and `trusted.` and `security.` names, few and small.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::XattrFlags;

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
        self.values.get(name).cloned().ok_or(Errno::ENODATA)
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
        let mut copy = Vec::new();
        copy.try_reserve_exact(value.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend_from_slice(value);
        self.values.insert(Arc::from(name), copy);
        self.bytes = bytes;
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Result<(), Errno> {
        let value = self.values.remove(name).ok_or(Errno::ENODATA)?;
        self.bytes -= name.len() + value.len();
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<u8> {
        let mut names = Vec::new();
        for name in self.values.keys() {
            names.extend_from_slice(name);
            names.push(0);
        }
        names
    }
}
