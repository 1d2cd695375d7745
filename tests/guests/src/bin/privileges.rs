//! Privileges of files: who loses set-user-ID and set-group-ID by which change of the contents, and who may change what.

use rustix::fs::{
    CWD, FallocateFlags, Mode, OFlags, copy_file_range, fallocate, ftruncate, openat, sendfile,
};
use rustix::io::{pwrite, write};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

type Change = fn(&mut File) -> io::Result<()>;

/// What changes a file.
const CHANGES: &[(&str, Change)] = &[
    ("nothing", |_| Ok(())),
    ("write", |file| file.write_all(b"x")),
    ("write of nothing", |file| write(file, b"").map(|_| ()).map_err(Into::into)),
    ("pwrite", |file| pwrite(file, b"x", 2).map(|_| ()).map_err(Into::into)),
    ("ftruncate", |file| ftruncate(file, 3).map_err(Into::into)),
    ("fallocate", |file| fallocate(file, FallocateFlags::empty(), 0, 100).map_err(Into::into)),
    ("sendfile", |file| sendfile(file, File::open("/etc/source")?, None, 2).map(|_| ()).map_err(Into::into)),
    ("copy_file_range", |file| {
        copy_file_range(File::open("/etc/source")?, None, file, None, 2).map(|_| ()).map_err(Into::into)
    }),
];

const FILE: &str = "/etc/changed";

fn main() -> io::Result<()> {
    if let Some(wanted) = std::env::args().nth(1) {
        return change(&wanted);
    }
    fs::write("/etc/source", "source")?;
    let users = [
        ("root", 0, 0),
        ("the owner", 1000, 1000),
        ("one of the group", 1001, 1000),
        ("another", 1001, 1001),
    ];
    for (who, uid, gid) in users {
        for mode in [0o6777, 0o2767, 0o4666, 0o777] {
            let mut line = format!("{who}, {mode:o}:");
            for change in CHANGES.iter().map(|(name, _)| *name).chain(["opening with O_TRUNC"]) {
                fs::write(FILE, "content")?;
                chown(FILE, Some(1000), Some(1000))?;
                fs::set_permissions(FILE, fs::Permissions::from_mode(mode))?;
                let status = Command::new("/proc/self/exe").arg(change).uid(uid).gid(gid).status()?;
                line += &format!(" {change} {:o}/{:?}", fs::metadata(FILE)?.mode() & 0o7777, status.code());
            }
            println!("{line}");
        }
    }
    for (uid, gid) in [(None, Some(7)), (Some(7), None), (None, None)] {
        for mode in [0o6777, 0o2767, 0o6700] {
            fs::set_permissions(FILE, fs::Permissions::from_mode(mode))?;
            chown(FILE, uid, gid)?;
            println!("chown of {mode:o} to {uid:?} {gid:?}: {:o}", fs::metadata(FILE)?.mode() & 0o7777);
        }
    }
    Ok(())
}

fn change(wanted: &str) -> io::Result<()> {
    match wanted {
        "opening with O_TRUNC" => {
            openat(CWD, FILE, OFlags::WRONLY | OFlags::TRUNC, Mode::empty()).map(drop).map_err(Into::into)
        }
        _ => {
            let mut file = OpenOptions::new().read(true).write(true).open(FILE)?;
            match CHANGES.iter().find(|(name, _)| *name == wanted) {
                Some((_, change)) => change(&mut file),
                None => Err(io::Error::other("no such change")),
            }
        }
    }
}
