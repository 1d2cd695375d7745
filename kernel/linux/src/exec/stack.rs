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
//! The image is built in kernel memory and copied once.

use abi::Errno;
use abi::auxv::{AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM, AuxEntry};
use alloc::vec::Vec;
use machine::heap::Grow;
use zerocopy::IntoBytes;

/// Arguments and environment: strings without their final NUL.
pub struct Strings<'a> {
    /// The path that was executed.
    pub path: &'a [u8],
    /// The arguments, the program's name first.
    pub arguments: &'a [Vec<u8>],
    /// The environment.
    pub environment: &'a [Vec<u8>],
}

/// The finished image and where its parts lie, as addresses of the program.
pub struct Image {
    /// The stack pointer at the program's first instruction.
    pub stack_pointer: u64,
    /// The bytes from there to the top.
    pub bytes: Vec<u8>,
    /// Argument strings, first to one past the last (/proc/PID/cmdline).
    pub arguments: (u64, u64),
    /// Environment strings, first to one past the last (/proc/PID/environ).
    pub environment: (u64, u64),
    /// The auxiliary vector (/proc/PID/auxv).
    pub auxiliary: Vec<AuxEntry>,
}

/// Bytes that strings and pointers of an argument list need: what is compared with the limit.
pub fn len_bytes(strings: &Strings<'_>) -> usize {
    let text =
        |list: &[Vec<u8>]| list.iter().fold(0usize, |sum, text| sum.saturating_add(text.len() + 1 + 8));
    text(strings.arguments).saturating_add(text(strings.environment)).saturating_add(strings.path.len() + 1)
}

/// Builds the image that ends at `top`. `auxiliary` lacks what only this function knows: the addresses of the path, the platform's name and the random bytes.
pub fn build(
    top: u64,
    strings: &Strings<'_>,
    random: [u8; 16],
    auxiliary: &[AuxEntry],
) -> Result<Image, Errno> {
    let mut text = Text { bytes: Vec::new() };
    let argument_offsets = text.push_all(strings.arguments)?;
    let environment_offsets = text.push_all(strings.environment)?;
    let environment_end = text.bytes.len();
    let path = text.push(strings.path)?;
    text.extend(&[0; 8])?;

    let text_start = top.checked_sub(text.bytes.len() as u64).ok_or(Errno::E2BIG)?;
    let platform_text = b"x86_64\0";
    let platform = text_start.checked_sub(platform_text.len() as u64).ok_or(Errno::E2BIG)?;
    let random_at = platform.checked_sub(random.len() as u64).ok_or(Errno::E2BIG)? & !15;

    let mut vector = Vec::new();
    vector.try_grow(auxiliary.len() + 4)?;
    vector.extend_from_slice(auxiliary);
    vector.push(AuxEntry { kind: AT_RANDOM, value: random_at });
    vector.push(AuxEntry { kind: AT_EXECFN, value: text_start + path as u64 });
    vector.push(AuxEntry { kind: AT_PLATFORM, value: platform });
    vector.push(AuxEntry { kind: AT_NULL, value: 0 });

    let words = 1 + argument_offsets.len() + 1 + environment_offsets.len() + 1;
    let tables = (words * 8 + vector.len() * size_of::<AuxEntry>()) as u64;
    let stack_pointer = random_at.checked_sub(tables).ok_or(Errno::E2BIG)? & !15;

    let mut image = Text { bytes: Vec::new() };
    image.bytes.try_grow_exact((top - stack_pointer) as usize)?;
    image.word(strings.arguments.len() as u64)?;
    for offsets in [&argument_offsets, &environment_offsets] {
        for &offset in offsets {
            image.word(text_start + offset as u64)?;
        }
        image.word(0)?;
    }
    for entry in &vector {
        image.extend(entry.as_bytes())?;
    }
    image.pad_to((random_at - stack_pointer) as usize)?;
    image.extend(&random)?;
    image.pad_to((platform - stack_pointer) as usize)?;
    image.extend(platform_text)?;
    image.extend(&text.bytes)?;

    let split = environment_offsets.first().copied().unwrap_or(environment_end) as u64;
    Ok(Image {
        stack_pointer,
        bytes: image.bytes,
        arguments: (text_start, text_start + split),
        environment: (text_start + split, text_start + environment_end as u64),
        auxiliary: vector,
    })
}

/// Bytes that grow without ever failing hard.
struct Text {
    bytes: Vec<u8>,
}

impl Text {
    fn extend(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.bytes.try_grow(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn word(&mut self, word: u64) -> Result<(), Errno> {
        self.extend(&word.to_ne_bytes())
    }

    fn pad_to(&mut self, len: usize) -> Result<(), Errno> {
        let missing = len.saturating_sub(self.bytes.len());
        self.bytes.try_grow(missing)?;
        self.bytes.resize(self.bytes.len() + missing, 0);
        Ok(())
    }

    /// Adds a string and its NUL; returns its offset.
    fn push(&mut self, text: &[u8]) -> Result<usize, Errno> {
        let offset = self.bytes.len();
        self.extend(text)?;
        self.extend(&[0])?;
        Ok(offset)
    }

    fn push_all(&mut self, list: &[Vec<u8>]) -> Result<Vec<usize>, Errno> {
        let mut offsets = Vec::new();
        offsets.try_grow_exact(list.len())?;
        for text in list {
            offsets.push(self.push(text)?);
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const TOP: u64 = 0x7fff_ffff_f000;

    fn word(image: &Image, index: usize) -> u64 {
        u64::from_ne_bytes(image.bytes[index * 8..index * 8 + 8].try_into().unwrap())
    }

    fn text(image: &Image, address: u64) -> &[u8] {
        let rest = &image.bytes[(address - image.stack_pointer) as usize..];
        &rest[..rest.iter().position(|&byte| byte == 0).unwrap()]
    }

    fn sample() -> Image {
        let arguments = vec![b"ls".to_vec(), b"-l".to_vec()];
        let environment = vec![b"HOME=/".to_vec()];
        let strings = Strings { path: b"/bin/ls", arguments: &arguments, environment: &environment };
        build(TOP, &strings, [7; 16], &[AuxEntry { kind: 6, value: 4096 }]).unwrap()
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
    fn a_stack_too_low_for_the_image_is_refused() {
        let strings = Strings { path: b"x", arguments: &[], environment: &[] };
        assert!(build(64, &strings, [0; 16], &[]).is_err());
    }
}
