//! Words that threads of programs wait on: which word a program means, and the list of locks that a thread leaves behind.

pub mod robust;

use abi::Errno;
use machine::address::UserAddress;
use memory::AddressSpace;
use threads::futex::{self, FutexKey};

/// The key of a word: EINVAL where it is not aligned, EFAULT where it cannot be a program's.
pub fn key(space: &AddressSpace, word: UserAddress, is_private: bool) -> Result<FutexKey, Errno> {
    if !word.0.is_multiple_of(size_of::<u32>()) {
        return Err(Errno::EINVAL);
    }
    if !word.is_user_range(size_of::<u32>()) {
        return Err(Errno::EFAULT);
    }
    if !is_private {
        // What names the word to other processes is the page, which must be there.
        memory::user::read_u32(word)?;
    }
    let (first, second) = space.futex_key(word, is_private)?;
    Ok(FutexKey(first, second))
}

/// Wakes who waits on a word that the kernel has changed. Waiters may have named it as private or not: both are told.
pub fn wake_word(space: &AddressSpace, word: UserAddress, most: usize) {
    for is_private in [false, true] {
        if let Ok(key) = key(space, word, is_private) {
            futex::wake(key, most, futex::ANY);
        }
    }
}
