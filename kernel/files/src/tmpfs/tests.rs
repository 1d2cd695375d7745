//! Options of a mount.

use super::*;

#[test]
fn options_are_read_with_their_units_and_unknown_ones_refused() {
    let options = Options::parse(b"size=2m,mode=755,nr_inodes=1k,uid=7,gid=8").unwrap();
    assert_eq!(options, Options { size: 2 << 20, inodes: 1024, mode: 0o755, uid: 7, gid: 8 });
    for wrong in [&b"size=x"[..], b"mode=9", b"colour=red", b"size", b"\xff", b"size=99999999999g"] {
        assert_eq!(Options::parse(wrong), Err(Errno::EINVAL), "{:?}", String::from_utf8_lossy(wrong));
    }
}

#[test]
fn a_limit_of_zero_is_none() {
    assert_eq!(Options::parse(b"size=0").unwrap().size, i64::MAX as u64);
}
