//! Archives: written and read again, put one after the other, and damaged.

use formats::cpio::{
    Device, Fault, MODE_BLOCK, MODE_CHARACTER, MODE_DIRECTORY, MODE_FIFO, MODE_FILE, MODE_KIND, MODE_SOCKET,
    MODE_SYMLINK, Metadata, Reader, WriteError, Writer,
};
use proptest::prelude::*;

fn sample() -> Vec<u8> {
    let mut writer = Writer::new();
    let program = Metadata { permissions: 0o4755, user: 1, group: 2, modified: 1_700_000_000 };
    writer.directory(b"bin", &Metadata::root(0o755)).expect("written");
    writer.file(b"bin/sh", &program, b"hello").expect("written");
    writer.hard_links(&[b"bin/ls", b"bin/cat"], &program, b"data").expect("written");
    writer.symlink(b"bin/ash", &Metadata::root(0o777), b"sh").expect("written");
    let null = Device { major: 1, minor: 3 };
    writer.character(b"null", &Metadata::root(0o666), null).expect("written");
    writer.block(b"disk", &Metadata::root(0o660), Device { major: 254, minor: 0 }).expect("written");
    writer.fifo(b"pipe", &Metadata::root(0o600)).expect("written");
    writer.socket(b"log", &Metadata::root(0o600)).expect("written");
    writer.finish()
}

#[test]
fn what_was_written_is_read_again() {
    let bytes = sample();
    assert_eq!(bytes.len() % 512, 0);
    let entries: Vec<_> = Reader::new(&bytes).collect::<Result<_, _>>().expect("a good archive");
    let kinds: Vec<_> = entries.iter().map(|entry| entry.mode & MODE_KIND).collect();
    let expected = [
        MODE_DIRECTORY,
        MODE_FILE,
        MODE_FILE,
        MODE_FILE,
        MODE_SYMLINK,
        MODE_CHARACTER,
        MODE_BLOCK,
        MODE_FIFO,
        MODE_SOCKET,
    ];
    assert_eq!(kinds, expected);
    let program = entries[1];
    assert_eq!((program.name, program.data), (&b"bin/sh"[..], &b"hello"[..]));
    assert_eq!((program.mode & 0o7777, program.user, program.group), (0o4755, 1, 2));
    assert_eq!(program.modified, 1_700_000_000);
    assert_eq!(entries[4].data, b"sh");
    assert_eq!(entries[5].represents, Device { major: 1, minor: 3 });
}

#[test]
fn the_names_of_one_file_share_a_key_and_the_last_has_the_contents() {
    let bytes = sample();
    let entries: Vec<_> = Reader::new(&bytes).collect::<Result<_, _>>().expect("a good archive");
    let (first, second) = (entries[2], entries[3]);
    assert_eq!(first.file, second.file);
    assert_eq!((first.links, second.links), (2, 2));
    assert_eq!((first.data, second.data), (&b""[..], &b"data"[..]));
    assert_ne!(first.file, entries[1].file);
}

#[test]
fn archives_that_follow_each_other_are_read_on_and_have_inodes_of_their_own() {
    let mut bytes = sample();
    bytes.extend([0; 12]);
    bytes.extend(sample());
    bytes.extend(b"\x1f\x8bcompressed");
    let mut reader = Reader::new(&bytes);
    let entries: Vec<_> = reader.by_ref().collect::<Result<_, _>>().expect("good archives");
    assert_eq!(entries.len(), 18);
    assert_eq!(entries[1].name, entries[10].name);
    assert_ne!(entries[1].file, entries[10].file);
    assert_eq!(reader.rest(), b"\x1f\x8bcompressed");
}

#[test]
fn an_archive_may_end_without_a_trailer_but_not_within_an_entry() {
    let bytes = sample();
    let trailer = bytes.windows(10).position(|name| name == b"TRAILER!!!").expect("a trailer") - 110;
    let read = |end: usize| Reader::new(&bytes[..end]).collect::<Result<Vec<_>, _>>();
    assert_eq!(read(trailer).expect("an end between entries").len(), 9);
    let error = read(trailer + 50).expect_err("cut off");
    assert_eq!((error.offset, error.fault), (trailer, Fault::Truncated));
}

#[test]
fn a_name_that_is_filled_up_with_nuls_ends_at_the_first() {
    let mut writer = Writer::new();
    writer.file(b"name123", &Metadata::root(0o644), b"data").expect("written");
    let mut bytes = writer.finish();
    bytes[114..117].fill(0);
    let entry = Reader::new(&bytes).next().expect("an entry").expect("good");
    assert_eq!((entry.name, entry.data), (&b"name"[..], &b"data"[..]));
}

#[test]
fn damage_is_named_with_its_place_and_ends_the_reading() {
    let bytes = sample();
    let after = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        let mut reader = Reader::new(&bytes);
        let fault = reader.by_ref().find_map(Result::err).map(|error| error.fault);
        assert!(reader.next().is_none());
        fault
    };
    assert_eq!(after(5, b'3'), Some(Fault::BadMagic));
    assert_eq!(after(20, b'x'), Some(Fault::BadNumber));
    assert_eq!(after(110, 0), Some(Fault::BadName));
    assert_eq!(after(113, b'!'), Some(Fault::BadName));
    assert_eq!(after(54, b'f'), Some(Fault::Truncated));
    assert_eq!(after(0, b'x'), None, "what does not begin like an archive is left as rest");
}

#[test]
fn an_archive_with_checksums_is_verified() {
    let mut writer = Writer::new();
    writer.file(b"f", &Metadata::root(0o644), &[1, 2, 0xff]).expect("written");
    let mut bytes = writer.finish();
    let trailer = bytes.windows(10).position(|name| name == b"TRAILER!!!").expect("a trailer") - 110;
    bytes[5] = b'2';
    bytes[trailer + 5] = b'2';
    bytes[102..110].copy_from_slice(b"00000102");
    assert_eq!(Reader::new(&bytes).filter(Result::is_ok).count(), 1);
    bytes[109] = b'3';
    let fault = Reader::new(&bytes).find_map(Result::err).map(|error| error.fault);
    assert_eq!(fault, Some(Fault::BadChecksum));
}

#[test]
fn nothing_is_an_empty_archive() {
    assert_eq!(Reader::new(&[]).count(), 0);
    assert_eq!(Reader::new(&[0; 1000]).count(), 0);
}

#[test]
fn names_that_the_format_cannot_say_are_refused() {
    let mut writer = Writer::new();
    for name in [&b""[..], b"a\0b", b"TRAILER!!!", &[b'a'; 4096]] {
        assert_eq!(writer.file(name, &Metadata::root(0), b""), Err(WriteError::BadName));
    }
    assert_eq!(Reader::new(&writer.finish()).count(), 0);
}

proptest! {
    #[test]
    fn any_files_go_the_round(files in prop::collection::vec(("[a-z/.]{1,40}", prop::collection::vec(any::<u8>(), 0..200)), 0..20)) {
        let mut writer = Writer::new();
        for (name, data) in &files {
            writer.file(name.as_bytes(), &Metadata::root(0o644), data).expect("written");
        }
        let bytes = writer.finish();
        let read: Vec<_> = Reader::new(&bytes).collect::<Result<_, _>>().expect("a good archive");
        prop_assert_eq!(read.len(), files.len());
        for (entry, (name, data)) in read.iter().zip(&files) {
            prop_assert_eq!((entry.name, entry.data), (name.as_bytes(), &data[..]));
        }
    }

    #[test]
    fn no_damage_breaks_the_reader(bytes in crate::support::damaged(sample())) {
        let read = Reader::new(&bytes).count();
        prop_assert!(read <= bytes.len() / 110 + 1);
    }

    #[test]
    fn no_bytes_break_the_reader(mut bytes in prop::collection::vec(any::<u8>(), 0..600), is_magic: bool) {
        if is_magic && bytes.len() > 6 {
            bytes[..6].copy_from_slice(b"070701");
        }
        let _ = Reader::new(&bytes).count();
    }
}
