//! The arguments and the environment that a program is given, and how much of them there may be.

use alloc::vec::Vec;

use abi::Errno;
use machine::address::UserAddress;
use machine::heap::try_to_vec;
use memory::{Pieces, user};

use super::stack::{self, Strings};

/// The longest single string with its NUL (Linux: MAX_ARG_STRLEN).
const STRING_MAX: usize = 32 * 4096;
/// What is always allowed, and the most that is whatever the stack's limit (Linux: ARG_MAX, three quarters of _STK_LIM).
const LEAST: usize = 32 * 4096;
const MOST: usize = (8 << 20) / 4 * 3;

/// How many bytes of strings and pointers a program may be given under a stack limit: a quarter of it (execve(2), "Limits").
pub fn limit_bytes(stack_limit: u64) -> usize {
    usize::try_from(stack_limit / 4).unwrap_or(usize::MAX).clamp(LEAST, MOST)
}

/// Both lists, each from its last string to its first, as they are read.
pub struct Lists {
    /// The arguments, the program's name last.
    pub arguments: Pieces<Vec<u8>>,
    /// The environment.
    pub environment: Pieces<Vec<u8>>,
}

impl Lists {
    /// Lists of these strings: ENOMEM.
    pub fn of(arguments: Vec<Vec<u8>>, environment: Vec<Vec<u8>>) -> Result<Self, Errno> {
        let list = |strings: Vec<Vec<u8>>| {
            let mut list = Pieces::new();
            strings.into_iter().rev().try_for_each(|string| list.push(string)).map(|()| list)
        };
        Ok(Self { arguments: list(arguments)?, environment: list(environment)? })
    }

    /// Reads both for the program at `path`: EFAULT, E2BIG past `limit` bytes, ENOMEM. A program without arguments gets an empty one, as in Linux since 5.18.
    ///
    /// Linux's order decides which error a caller gets who has made several: the pointers of both lists are counted, then the strings are read, the environment's first
    /// and the last of a list before the first.
    pub fn read(
        path: &[u8],
        arguments: UserAddress,
        environment: UserAddress,
        limit: usize,
    ) -> Result<Self, Errno> {
        let most = limit / size_of::<u64>();
        let (argument_count, environment_count) = (count(arguments, most)?, count(environment, most)?);
        let pointers = argument_count.max(1).checked_add(environment_count).ok_or(Errno::E2BIG)?;
        let pointers_len = pointers.checked_mul(size_of::<u64>()).ok_or(Errno::E2BIG)?;
        let taken = pointers_len.checked_add(path.len() + 1).ok_or(Errno::E2BIG)?;
        let mut left = limit.checked_sub(taken).ok_or(Errno::E2BIG)?;
        let environment = read_list(environment, environment_count, &mut left)?;
        let mut arguments = read_list(arguments, argument_count, &mut left)?;
        if arguments.is_empty() {
            arguments.push(Vec::new())?;
        }
        Ok(Self { arguments, environment })
    }

    /// Puts the interpreter of a script in front: its name, its argument, the script's path in place of the script's own first argument.
    pub fn interpret(
        &mut self,
        interpreter: &[u8],
        argument: Option<&[u8]>,
        script: &[u8],
    ) -> Result<(), Errno> {
        self.arguments.pop();
        self.arguments.push(try_to_vec(script)?)?;
        if let Some(argument) = argument {
            self.arguments.push(try_to_vec(argument)?)?;
        }
        Ok(self.arguments.push(try_to_vec(interpreter)?)?)
    }

    /// E2BIG when strings and pointers together are more than `limit` bytes.
    pub fn check(&self, path: &[u8], limit: usize) -> Result<(), Errno> {
        if stack::len_bytes(&Strings { path, lists: self }) > limit { Err(Errno::E2BIG) } else { Ok(()) }
    }
}

/// The address of a list's pointer.
fn place(list: UserAddress, index: usize) -> Result<UserAddress, Errno> {
    index.checked_mul(size_of::<u64>()).and_then(|offset| list.checked_add(offset)).ok_or(Errno::EFAULT)
}

/// How many pointers a list has before the null at its end: E2BIG past `most`. A null list is empty.
fn count(list: UserAddress, most: usize) -> Result<usize, Errno> {
    let mut count = 0;
    while list != UserAddress::NULL && user::read_value::<u64>(place(list, count)?)? != 0 {
        count += 1;
        if count > most {
            return Err(Errno::E2BIG);
        }
    }
    Ok(count)
}

/// Reads the strings of a list, the last first, and takes them and their NULs off what is `left`.
fn read_list(list: UserAddress, count: usize, left: &mut usize) -> Result<Pieces<Vec<u8>>, Errno> {
    let mut strings = Pieces::new();
    for index in (0..count).rev() {
        let pointer: u64 = user::read_value(place(list, index)?)?;
        let string = user::read_string(UserAddress(pointer as usize), STRING_MAX)
            .map_err(|error| if error == Errno::ENAMETOOLONG { Errno::E2BIG } else { error })?;
        *left = left.checked_sub(string.len() + 1).ok_or(Errno::E2BIG)?;
        strings.push(string)?;
    }
    Ok(strings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_limit_is_a_quarter_of_the_stack_within_bounds() {
        assert_eq!(limit_bytes(8 << 20), 2 << 20);
        assert_eq!(limit_bytes(0), LEAST);
        assert_eq!(limit_bytes(u64::MAX), MOST);
    }

    #[test]
    fn a_script_takes_the_place_of_its_own_name() {
        let mut lists = Lists::of(vec![b"x".to_vec(), b"-a".to_vec()], vec![]).unwrap();
        lists.interpret(b"/bin/sh", Some(b"-e"), b"./script").unwrap();
        let expected: Vec<&[u8]> = vec![b"/bin/sh", b"-e", b"./script", b"-a"];
        assert!(lists.arguments.iter().rev().eq(expected));
    }

    #[test]
    fn too_many_bytes_are_refused() {
        let lists = Lists::of(vec![vec![b'x'; 100]; 10], vec![]).unwrap();
        assert_eq!(lists.check(b"x", 1000), Err(Errno::E2BIG));
        assert_eq!(lists.check(b"x", 2000), Ok(()));
    }
}
