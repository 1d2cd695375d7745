//! The memory of the program that runs, through the machine's copies.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::sync::{Arc, OnceLock};

use abi::Errno;
use machine::frame::{Frame, Owner};
use memory::user::{self, UserSink, UserSource};
use memory::{Access, AddressSpace, FaultError, Object, Sink, Source, UserAddress};
use support::*;

static SPACE: OnceLock<Arc<AddressSpace>> = OnceLock::new();

fn fault(address: UserAddress, access: Access) -> Result<(), FaultError> {
    SPACE.get().unwrap().fault(address, access)
}

/// Runs `body` on a thread of a program that has four pages of memory, of which the third cannot be touched.
fn as_program(body: impl FnOnce(&AddressSpace, UserAddress) + Send + 'static) {
    threads::hosted::run(1, 1, || {
        let space = SPACE.get_or_init(space);
        user::set_fault_handler(fault);
        let there = anonymous(space, 4 * PAGE);
        space.protect(at(there, 2 * PAGE), PAGE, NONE).unwrap();
        let thread = threads::Builder::new(b"program")
            .space(space.space().clone())
            .spawn(move || body(space, there))
            .unwrap();
        thread.join();
    });
}

#[test]
fn pages_are_brought_in_as_they_are_copied_to_and_from() {
    as_program(|_, there| {
        let text: Vec<u8> = (0..PAGE).map(|index| index as u8).collect();
        user::write_bytes(at(there, 100), &text).unwrap();
        let mut back = vec![0; PAGE];
        user::read_bytes(at(there, 100), &mut back).unwrap();
        assert_eq!(back, text);
        user::zero_bytes(at(there, PAGE - 10), 20).unwrap();
        user::read_bytes(at(there, PAGE - 11), &mut back[..22]).unwrap();
        assert_eq!(
            &back[..22],
            &[&text[PAGE - 111..PAGE - 110], &[0; 20], &text[PAGE - 90..PAGE - 89]].concat()
        );
        user::write_value(at(there, 8), &0x1234_5678_u64).unwrap();
        assert_eq!(user::read_value(at(there, 8)), Ok(0x1234_5678_u64));
        assert_eq!(user::read_array::<u32>(at(there, 8), 2), Ok(vec![0x1234_5678, 0]));
    });
}

#[test]
fn wild_addresses_give_efault() {
    as_program(|_, there| {
        let mut byte = [0; 16];
        for bad in [
            0,
            8,
            usize::MAX,
            usize::MAX - 7,
            0xffff_8000_0000_0000,
            0x7fff_ffff_efff,
            at(there, 2 * PAGE).0,
            1 << 63,
        ] {
            let bad = UserAddress(bad);
            assert_eq!(user::read_bytes(bad, &mut byte), Err(Errno::EFAULT), "{bad:?}");
            assert_eq!(user::write_bytes(bad, &byte), Err(Errno::EFAULT), "{bad:?}");
            assert_eq!(user::read_value::<u64>(bad), Err(Errno::EFAULT), "{bad:?}");
            assert!(user::read_string(bad, 100).is_err(), "{bad:?}");
            assert!(user::read_u32(bad).is_err(), "{bad:?}");
            assert!(user::update_u32(bad, Some).is_err(), "{bad:?}");
        }
        assert_eq!(user::read_array::<u64>(there, usize::MAX), Err(Errno::EFAULT));
        assert_eq!(user::read_array::<u64>(there, usize::MAX / 8), Err(Errno::EFAULT));
        assert_eq!(user::read_u32(at(there, 2)), Err(Errno::EINVAL));
        assert!(UserSink::new(UserAddress(1 << 63), 1).is_err());
        assert!(UserSource::new(there, 1 << 63).is_err());
        assert!(UserSource::new(there, usize::MAX).is_err());
        assert!(UserSink::vector(vec![(there, 10), (UserAddress(usize::MAX), 1)]).is_err());
    });
}

#[test]
fn strings_end_at_their_zero_and_may_end_at_a_bad_page() {
    as_program(|_, there| {
        user::write_bytes(at(there, 2 * PAGE - 4), b"abc\0").unwrap();
        assert_eq!(user::read_string(at(there, 2 * PAGE - 4), 100), Ok(b"abc".to_vec()));
        assert_eq!(user::read_string(at(there, 2 * PAGE - 4), 4), Ok(b"abc".to_vec()));
        assert_eq!(user::read_string(at(there, 2 * PAGE - 4), 3), Err(Errno::ENAMETOOLONG));
        user::write_bytes(at(there, 2 * PAGE - 4), b"abcd").unwrap();
        assert_eq!(user::read_string(at(there, 2 * PAGE - 4), 100), Err(Errno::EFAULT));
        user::write_bytes(at(there, PAGE - 200), &[b'x'; 400]).unwrap();
        assert_eq!(user::read_string(at(there, PAGE - 200), 1000).map(|string| string.len()), Ok(400));
        assert_eq!(user::read_string(there, 0), Err(Errno::ENAMETOOLONG));
    });
}

#[test]
fn words_are_changed_in_one_piece_and_left_alone_when_told_so() {
    as_program(|_, there| {
        assert_eq!(user::update_u32(there, |value| Some(value + 5)), Ok(0));
        assert_eq!(user::update_u32(there, |_| None), Ok(5));
        assert_eq!(user::read_u32(there), Ok(5));
    });
}

#[test]
fn a_transfer_into_a_bad_page_is_short_and_one_that_begins_there_fails() {
    as_program(|_, there| {
        let frame = Frame::new(Owner::User).unwrap();
        frame.write(0, &[7; PAGE]);
        let mut sink = UserSink::new(at(there, 2 * PAGE - 10), 100).unwrap();
        assert_eq!(sink.write_frame(&frame, 0, 100), Ok(10));
        assert_eq!(sink.remaining(), 90);
        assert_eq!(sink.write(&[1]), Err(Errno::EFAULT));
        assert_eq!(sink.zero(1), Err(Errno::EFAULT));
        let mut source = UserSource::new(at(there, 2 * PAGE - 10), 100).unwrap();
        let mut bytes = [0; 50];
        assert_eq!(source.read(&mut bytes), Ok(10));
        assert_eq!(bytes[..11], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0]);
        assert_eq!(source.read(&mut bytes), Err(Errno::EFAULT));
    });
}

#[test]
fn lists_of_buffers_are_filled_and_emptied_in_order() {
    as_program(|_, there| {
        let list = || vec![(at(there, 10), 3), (at(there, 500), 0), (at(there, PAGE - 1), 4), (there, 2)];
        let object = Object::memory(0).unwrap();
        let mut text = memory::KernelSource::new(b"abcdefghi");
        object.write(0, &mut text).unwrap();
        let mut sink = UserSink::vector(list()).unwrap();
        assert_eq!(object.read(0, &mut sink), Ok(9));
        assert_eq!(sink.remaining(), 0);
        assert_eq!(user::read_value(there), Ok(*b"hi"));
        assert_eq!(user::read_value(at(there, PAGE - 1)), Ok(*b"defg"));
        let back = Object::memory(0).unwrap();
        assert_eq!(back.write(5, &mut UserSource::vector(list()).unwrap()), Ok(9));
        let mut bytes = [1; 14];
        back.read(0, &mut memory::KernelSink::new(&mut bytes)).unwrap();
        assert_eq!(&bytes, b"\0\0\0\0\0abcdefghi");
    });
}

#[test]
fn a_write_whose_source_ends_in_a_bad_page_keeps_what_came_before() {
    as_program(|_, there| {
        user::write_bytes(at(there, PAGE), &[3; PAGE]).unwrap();
        let (object, _) = disk_object(4);
        let mut source = UserSource::new(at(there, PAGE + 100), 2 * PAGE).unwrap();
        assert_eq!(object.write(0, &mut source), Ok(PAGE - 100));
        let mut bytes = vec![0; PAGE];
        object.read(0, &mut memory::KernelSink::new(&mut bytes)).unwrap();
        assert_eq!((bytes[0], bytes[PAGE - 101], bytes[PAGE - 100]), (3, 3, 1));
        let memory = Object::memory(0).unwrap();
        let mut source = UserSource::new(at(there, 2 * PAGE), PAGE).unwrap();
        assert_eq!(memory.write(0, &mut source), Err(Errno::EFAULT));
        assert_eq!((memory.size(), memory.resident_pages()), (0, 0));
    });
}
