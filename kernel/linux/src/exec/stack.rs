//! What a program finds at the top of its stack: strings, random bytes, the auxiliary vector, pointers to environment and arguments, and their number.
//!
//! ```text
//!   top      | 8 zero bytes | path of the program | environment strings | argument strings |
//!            | platform name | 16 random bytes | padding to 16 |
//!            | auxiliary vector, ends with AT_NULL |
//!            | environment pointers, NULL |
//!            | argument pointers, NULL |
//!   rsp ->   | number of arguments |                              16-byte aligned (System V ABI, 3.4.1)
//! ```
//!
//! Where everything lies is known from the lengths alone; then the image is written upwards, a page at a time.

use abi::Errno;
use abi::auxv::{AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM, AuxEntry};
use alloc::vec::Vec;
use machine::address::PAGE_SIZE;
use machine::heap::Grow;
use memory::Pieces;
use zerocopy::IntoBytes;

use super::strings::Lists;

/// Strings without their final NUL.
pub struct Strings<'a> {
    /// The path that was executed.
    pub path: &'a [u8],
    /// Arguments and environment.
    pub lists: &'a Lists,
}

/// Where the parts of the finished image lie, as addresses of the program.
pub struct Image {
    /// The stack pointer at the program's first instruction.
    pub stack_pointer: u64,
    /// Argument strings, first to one past the last (/proc/PID/cmdline).
    pub arguments: (u64, u64),
    /// Environment strings, first to one past the last (/proc/PID/environ).
    pub environment: (u64, u64),
    /// The auxiliary vector (/proc/PID/auxv).
    pub auxiliary: Vec<AuxEntry>,
}

/// The name of the platform, which programs find by AT_PLATFORM.
const PLATFORM: &[u8] = b"x86_64\0";

/// Bytes of the strings of a list, with their NULs.
fn text_len(list: &Pieces<Vec<u8>>) -> usize {
    list.iter().fold(0usize, |sum, text| sum.saturating_add(text.len() + 1))
}

/// Bytes that strings and pointers of an argument list need: what is compared with the limit.
pub fn len_bytes(strings: &Strings<'_>) -> usize {
    let len = |list: &Pieces<Vec<u8>>| text_len(list).saturating_add(list.len() * 8);
    let lists = len(&strings.lists.arguments).saturating_add(len(&strings.lists.environment));
    lists.saturating_add(strings.path.len() + 1)
}

/// Has the image that ends at `top` written: `write` is given addresses and bytes. `auxiliary` lacks what only this function knows: the addresses of the path,
/// the platform's name and the random bytes.
pub fn build(
    top: u64,
    strings: &Strings<'_>,
    random: [u8; 16],
    auxiliary: &[AuxEntry],
    write: impl FnMut(u64, &[u8]) -> Result<(), Errno>,
) -> Result<Image, Errno> {
    let Lists { arguments, environment } = strings.lists;
    let below = |from: u64, len: usize| from.checked_sub(len as u64).ok_or(Errno::E2BIG);
    let path = below(top, 8 + strings.path.len() + 1)?;
    let environment_start = below(path, text_len(environment))?;
    let text_start = below(environment_start, text_len(arguments))?;
    let platform = below(text_start, PLATFORM.len())?;
    let random_at = below(platform, random.len())? & !15;

    let mut vector = Vec::new();
    vector.try_grow(auxiliary.len() + 4)?;
    vector.extend_from_slice(auxiliary);
    vector.push(AuxEntry { kind: AT_RANDOM, value: random_at });
    vector.push(AuxEntry { kind: AT_EXECFN, value: path });
    vector.push(AuxEntry { kind: AT_PLATFORM, value: platform });
    vector.push(AuxEntry { kind: AT_NULL, value: 0 });

    let words = 1 + arguments.len() + 1 + environment.len() + 1;
    let stack_pointer = below(random_at, words * 8 + vector.len() * size_of::<AuxEntry>())? & !15;

    let mut output = Output { at: stack_pointer, bytes: Vec::new(), write };
    output.bytes.try_grow_exact(PAGE_SIZE.min((top - stack_pointer) as usize))?;
    output.word(arguments.len() as u64)?;
    for (list, start) in [(arguments, text_start), (environment, environment_start)] {
        let mut at = start;
        for text in list.iter().rev() {
            output.word(at)?;
            at += text.len() as u64 + 1;
        }
        output.word(0)?;
    }
    for entry in &vector {
        output.extend(entry.as_bytes())?;
    }
    output.pad_to(random_at)?;
    output.extend(&random)?;
    output.pad_to(platform)?;
    output.extend(PLATFORM)?;
    for text in
        arguments.iter().rev().chain(environment.iter().rev()).map(Vec::as_slice).chain([strings.path])
    {
        output.extend(text)?;
        output.extend(&[0])?;
    }
    output.pad_to(top)?;
    output.flush()?;

    Ok(Image {
        stack_pointer,
        arguments: (text_start, environment_start),
        environment: (environment_start, path),
        auxiliary: vector,
    })
}

/// Bytes on their way to the program.
struct Output<W> {
    /// Where those that wait belong.
    at: u64,
    bytes: Vec<u8>,
    write: W,
}

impl<W: FnMut(u64, &[u8]) -> Result<(), Errno>> Output<W> {
    fn flush(&mut self) -> Result<(), Errno> {
        (self.write)(self.at, &self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    fn extend(&mut self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            if self.bytes.len() == self.bytes.capacity() {
                self.flush()?;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.bytes.capacity() - self.bytes.len()));
            self.bytes.extend_from_slice(part);
            bytes = rest;
        }
        Ok(())
    }

    fn word(&mut self, word: u64) -> Result<(), Errno> {
        self.extend(&word.to_ne_bytes())
    }

    /// Zeroes up to an address, which is near.
    fn pad_to(&mut self, address: u64) -> Result<(), Errno> {
        let missing = address - self.at - self.bytes.len() as u64;
        (0..missing).try_for_each(|_| self.extend(&[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const TOP: u64 = 0x7fff_ffff_f000;

    /// An image with its bytes.
    struct Written {
        image: Image,
        bytes: Vec<u8>,
    }

    impl core::ops::Deref for Written {
        type Target = Image;

        fn deref(&self) -> &Image {
            &self.image
        }
    }

    fn written(arguments: &[&[u8]], environment: &[&[u8]], path: &[u8]) -> Result<Written, Errno> {
        let list = |strings: &[&[u8]]| strings.iter().map(|string| string.to_vec()).collect();
        let lists = Lists::of(list(arguments), list(environment))?;
        let mut bytes = Vec::new();
        let mut end = None;
        let image = build(
            TOP,
            &Strings { path, lists: &lists },
            [7; 16],
            &[AuxEntry { kind: 6, value: 4096 }],
            |at, part| {
                assert!(end.is_none_or(|end| end == at) && part.len() <= PAGE_SIZE);
                end = Some(at + part.len() as u64);
                bytes.extend_from_slice(part);
                Ok(())
            },
        )?;
        Ok(Written { image, bytes })
    }

    fn word(image: &Written, index: usize) -> u64 {
        u64::from_ne_bytes(image.bytes[index * 8..index * 8 + 8].try_into().unwrap())
    }

    fn text(image: &Written, address: u64) -> &[u8] {
        let rest = &image.bytes[(address - image.stack_pointer) as usize..];
        &rest[..rest.iter().position(|&byte| byte == 0).unwrap()]
    }

    fn sample() -> Written {
        written(&[b"ls", b"-l"], &[b"HOME=/"], b"/bin/ls").unwrap()
    }

    #[test]
    fn pointers_lead_to_their_strings() {
        let image = sample();
        assert_eq!(image.stack_pointer % 16, 0);
        assert_eq!(image.stack_pointer + image.bytes.len() as u64, TOP);
        assert_eq!(word(&image, 0), 2);
        assert_eq!(text(&image, word(&image, 1)), b"ls");
        assert_eq!(text(&image, word(&image, 2)), b"-l");
        assert_eq!(word(&image, 3), 0);
        assert_eq!(text(&image, word(&image, 4)), b"HOME=/");
        assert_eq!(word(&image, 5), 0);
    }

    #[test]
    fn the_auxiliary_vector_follows_the_environment_and_ends_with_null() {
        let image = sample();
        assert_eq!((word(&image, 6), word(&image, 7)), (6, 4096));
        let find = |kind| image.auxiliary.iter().find(|entry| entry.kind == kind).unwrap().value;
        assert_eq!(text(&image, find(AT_EXECFN)), b"/bin/ls");
        assert_eq!(text(&image, find(AT_PLATFORM)), b"x86_64");
        let random = (find(AT_RANDOM) - image.stack_pointer) as usize;
        assert_eq!(&image.bytes[random..random + 16], &[7; 16]);
        assert_eq!(image.auxiliary.last(), Some(&AuxEntry { kind: AT_NULL, value: 0 }));
    }

    #[test]
    fn proc_finds_the_arguments_as_one_range_of_bytes() {
        let image = sample();
        let start = (image.arguments.0 - image.stack_pointer) as usize;
        let end = (image.arguments.1 - image.stack_pointer) as usize;
        assert_eq!(&image.bytes[start..end], b"ls\0-l\0");
        let end_of_environment = (image.environment.1 - image.stack_pointer) as usize;
        assert_eq!(&image.bytes[end..end_of_environment], b"HOME=/\0");
    }

    #[test]
    fn an_image_of_many_pages_is_written_page_by_page() {
        let long = vec![b'x'; 100_000];
        let arguments: Vec<&[u8]> = vec![&long; 20];
        let image = written(&arguments, &[b"last"], b"path").unwrap();
        assert_eq!(image.stack_pointer + image.bytes.len() as u64, TOP);
        assert!((1..=20).all(|index| text(&image, word(&image, index)).len() == 100_000));
        assert_eq!(text(&image, word(&image, 22)), b"last");
    }

    #[test]
    fn a_stack_too_low_for_the_image_is_refused() {
        let lists = Lists::of(vec![], vec![]).unwrap();
        assert!(build(64, &Strings { path: b"x", lists: &lists }, [0; 16], &[], |_, _| Ok(())).is_err());
    }
}
