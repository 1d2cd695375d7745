//! The records of getdents64(2) (`struct linux_dirent64`): a fixed head, the name, NULs up to eight bytes.

use crate::plain::plain;

plain! {
    /// What stands before the name; the record is packed with no gap between `d_type` and the name.
    #[repr(packed)]
    pub struct Dirent64Head {
        pub d_ino: u64,
        /// Where lseek(2) must go to read the entry after this one.
        pub d_off: i64,
        /// The whole record in bytes: what to add to reach the next.
        pub d_reclen: u16,
        pub d_type: u8,
    }
}

/// Where the name begins in a record.
pub const DIRENT64_NAME_OFFSET: usize = size_of::<Dirent64Head>();

/// The bytes that an entry with a name of this length takes: head, name, one NUL at least, and
/// padding to eight bytes. `None` where `d_reclen` could not say it.
pub const fn dirent64_length(name_length: usize) -> Option<u16> {
    let Some(unpadded) = name_length.checked_add(DIRENT64_NAME_OFFSET + 1) else { return None };
    let Some(length) = unpadded.checked_next_multiple_of(8) else { return None };
    if length <= u16::MAX as usize { Some(length as u16) } else { None }
}
