//! Files in /tmp: creating, appending, holes, truncating, links, renaming, folders, what must be refused.

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, linkat, open, renameat_with};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};

fn main() -> io::Result<()> {
    fs::create_dir("/tmp/work")?;
    std::env::set_current_dir("/tmp/work")?;
    content()?;
    holes()?;
    links()?;
    renaming()?;
    folders()?;
    unlinked()?;
    refused()
}

/// The number of an error.
fn error<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn show(name: &str) {
    match fs::symlink_metadata(name) {
        Ok(data) => println!("{name}: mode {:o}, {} bytes, {} links", data.mode(), data.len(), data.nlink()),
        Err(error) => println!("{name}: error {:?}", error.raw_os_error()),
    }
}

fn list(name: &str) -> io::Result<()> {
    let entries: io::Result<Vec<_>> = fs::read_dir(name)?
        .map(|entry| {
            let entry = entry?;
            let kind = entry.file_type()?;
            let kind = match () {
                () if kind.is_dir() => 'd',
                () if kind.is_symlink() => 'l',
                () if kind.is_fifo() => 'p',
                () => '-',
            };
            Ok(format!("{kind}{}", entry.file_name().display()))
        })
        .collect();
    let mut entries = entries?;
    entries.sort();
    println!("in {name}: {entries:?}");
    Ok(())
}

fn content() -> io::Result<()> {
    fs::write("plain", "0123456789")?;
    show("plain");
    println!("exclusive: {:?}", error(File::create_new("plain")));
    let mut appending =
        [OpenOptions::new().append(true).open("plain")?, OpenOptions::new().append(true).open("plain")?];
    for round in 0..4 {
        appending[round % 2].write_all(format!("<{round}>").as_bytes())?;
    }
    appending[0].seek(SeekFrom::Start(2))?;
    appending[0].write_all(b"end")?;
    println!("appended: {:?}, at {}", fs::read_to_string("plain")?, appending[0].stream_position()?);
    let mut file = OpenOptions::new().read(true).write(true).open("plain")?;
    file.write_at(b"ab", 3)?;
    let mut buffer = [0; 8];
    println!("read at: {:?} {}", file.read_at(&mut buffer, 1)?, buffer.escape_ascii());
    println!("behind the end: {}", file.read_at(&mut buffer, 1000)?);
    println!("from the end: {}", file.seek(SeekFrom::End(-4))?);
    println!("read: {} then {}", file.read(&mut buffer)?, file.read(&mut buffer)?);
    println!("before the start: {:?}", error(file.seek(SeekFrom::Current(-100))));
    let private = OpenOptions::new().write(true).create_new(true).mode(0o666).open("masked")?;
    println!("umask: {:o}", private.metadata()?.mode());
    println!("not readable: {:?}", error((&private).read(&mut buffer)));
    println!("truncated on opening: {}", File::create("plain")?.metadata()?.len());
    Ok(())
}

fn holes() -> io::Result<()> {
    let file = File::create_new("sparse")?;
    file.write_at(b"far", 10 << 20)?;
    show("sparse");
    println!("few blocks: {}", file.metadata()?.blocks() < 100);
    let file = OpenOptions::new().read(true).write(true).open("sparse")?;
    let mut buffer = [1; 64];
    println!("a hole: {} {}", file.read_at(&mut buffer, 5 << 20)?, buffer == [0; 64]);
    file.set_len((10 << 20) + 1)?;
    file.set_len((10 << 20) + 3)?;
    println!("cut and grown: {} {}", file.read_at(&mut buffer, 10 << 20)?, buffer[..3].escape_ascii());
    fs::remove_file("sparse")
}

fn links() -> io::Result<()> {
    fs::write("one", "shared")?;
    fs::hard_link("one", "two")?;
    show("one");
    println!("the same: {}", fs::metadata("one")?.ino() == fs::metadata("two")?.ino());
    fs::remove_file("one")?;
    println!("two: {:?}, {} links", fs::read_to_string("two")?, fs::metadata("two")?.nlink());
    symlink("two", "soft")?;
    symlink("soft", "softer")?;
    symlink("nowhere", "dangling")?;
    symlink("loop", "loop")?;
    show("soft");
    println!("softer: {:?} {:?}", fs::read_link("softer")?, fs::read_to_string("softer")?);
    println!(
        "dangling: {:?}, exclusive {:?}",
        error(File::open("dangling")),
        error(File::create_new("dangling"))
    );
    println!("loop: {:?}", error(File::open("loop")));
    println!("no following: {:?}", open("soft", OFlags::NOFOLLOW, rustix::fs::Mode::empty()).err());
    println!(
        "written through a dangling link: {:?} {:?}",
        fs::write("dangling", "new"),
        fs::read_to_string("nowhere")
    );
    println!("a link to a folder: {:?}", error(fs::hard_link(".", "folder")));
    println!("a link to a link: {:?}", linkat(CWD, "soft", CWD, "soft too", AtFlags::empty()));
    println!("it is one: {:?}", fs::read_link("soft too")?);
    println!("canonical: {:?}", fs::canonicalize("./../work/softer")?);
    list(".")
}

fn renaming() -> io::Result<()> {
    fs::write("from", "from")?;
    fs::write("to", "to")?;
    fs::create_dir_all("folder/below/deep")?;
    fs::create_dir("empty")?;
    fs::rename("from", "to")?;
    println!("to: {:?}, from: {:?}", fs::read_to_string("to")?, error(fs::metadata("from")));
    println!("onto itself: {:?}", error(fs::rename("to", "to")));
    println!("a file onto a folder: {:?}", error(fs::rename("to", "empty")));
    println!("a folder onto a file: {:?}", error(fs::rename("empty", "to")));
    println!("onto a full folder: {:?}", error(fs::rename("empty", "folder")));
    println!("into itself: {:?}", error(fs::rename("folder", "folder/below/deep/folder")));
    println!("onto its parent: {:?}", error(fs::rename("folder/below/deep", "folder")));
    println!("onto an empty folder: {:?}", error(fs::rename("folder", "empty")));
    list("empty")?;
    println!("to another file system: {:?}", error(fs::rename("to", "/proc/to")));
    println!("no replacing: {:?}", renameat_with(CWD, "to", CWD, "two", RenameFlags::NOREPLACE));
    renameat_with(CWD, "to", CWD, "empty", RenameFlags::EXCHANGE)?;
    println!("exchanged: {:?}, {}", fs::read_to_string("empty")?, fs::metadata("to")?.is_dir());
    Ok(())
}

fn folders() -> io::Result<()> {
    println!("exchanged, it is a folder: {}", fs::metadata("to")?.is_dir());
    println!("not empty: {:?}", error(fs::remove_dir("to")));
    println!("a file is no folder: {:?} {:?}", error(fs::remove_dir("two")), error(fs::read_dir("two")));
    println!("a folder is no file: {:?} {:?}", error(fs::remove_file("to")), error(fs::write("to", "")));
    println!("again: {:?}", error(fs::create_dir("to")));
    println!("the dot: {:?}, the root: {:?}", error(fs::remove_dir("to/.")), error(fs::remove_dir("/")));
    fs::create_dir("many")?;
    for number in 0..1000 {
        File::create_new(format!("many/a rather long name for file {number:05}"))?;
    }
    let mut names: Vec<_> = fs::read_dir("many")?.map_while(|entry| Some(entry.ok()?.file_name())).collect();
    names.sort();
    names.dedup();
    println!("many: {}, {:?}, {:?}", names.len(), names.first(), names.last());
    fs::remove_dir_all("many")?;
    fs::remove_dir_all("to")?;
    list(".")
}

/// A file without a name lives until it is closed; a folder without one takes no new names.
fn unlinked() -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open("gone")?;
    fs::remove_file("gone")?;
    file.write_all(b"still there")?;
    println!("unlinked: {} links, {:?}", file.metadata()?.nlink(), {
        file.rewind()?;
        io::read_to_string(&file)?
    });
    fs::create_dir("lost")?;
    std::env::set_current_dir("lost")?;
    fs::remove_dir("../lost")?;
    println!("in a removed folder: {:?} {:?}", error(File::create("new")), error(std::env::current_dir()));
    std::env::set_current_dir("/tmp/work")
}

fn refused() -> io::Result<()> {
    fs::set_permissions("two", fs::Permissions::from_mode(0o4751))?;
    show("two");
    println!("missing: {:?}", error(File::open("missing")));
    println!("below a file: {:?}", error(File::open("two/below")));
    println!("a slash behind a file: {:?}", error(File::open("two/")));
    println!("no name: {:?}", error(File::open("")));
    println!("long name: {:?}", error(File::open("x".repeat(256))));
    println!("longest name: {:?}", error(File::create("x".repeat(255))));
    println!("long path: {:?}", error(File::open("x/".repeat(2048))));
    println!("longest path: {:?}", error(File::open("./".repeat(2046) + "two")));
    println!("a folder for writing: {:?}", error(OpenOptions::new().write(true).open("/tmp")));
    println!("a running program: {:?}", error(OpenOptions::new().write(true).open("/proc/self/exe")));
    println!("read of a folder: {:?}", error(File::open("/tmp")?.read(&mut [0; 8])));
    for (folder, old) in [("/proc", "/proc/version"), ("/sys", "/sys/kernel")] {
        let new = format!("{folder}/new");
        println!("in {folder}: {:?}", error(File::create(&new)));
        println!("  exclusively: {:?}", error(File::create_new(&new)));
        println!("  over another: {:?}", error(File::create_new(old)));
        println!(
            "  folder: {:?}, over another: {:?}",
            error(fs::create_dir(&new)),
            error(fs::create_dir(old))
        );
        println!("  link: {:?}, symbolic: {:?}", error(fs::hard_link(old, &new)), error(symlink("x", &new)));
        println!(
            "  renamed: {:?}, into /tmp: {:?}",
            error(fs::rename(old, &new)),
            error(fs::rename(old, "/tmp/x"))
        );
        println!(
            "  removed: {:?}, not there: {:?}",
            error(fs::remove_file(old)),
            error(fs::remove_file(&new))
        );
        println!("  folder removed: {:?}", error(fs::remove_dir(old)));
    }
    Ok(())
}
