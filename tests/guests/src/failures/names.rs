//! Names and files of which a model is kept: a call that fails has changed nothing, one that succeeds all that it says.

use crate::errno;
use crate::storm::Chance;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, open, renameat_with};
use rustix::io::{Errno, pwrite};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Names, in two folders.
const NAMES: usize = 8;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
enum Thing {
    Folder,
    /// The link of this number, and where it leads.
    Link(u64, String),
    /// The file of this number.
    File(u64),
}

/// The model of a folder's tree.
pub struct Names {
    root: String,
    things: BTreeMap<usize, Thing>,
    contents: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

impl Names {
    pub fn new(root: &str) -> io::Result<Self> {
        for folder in ["0", "1"] {
            fs::create_dir_all(format!("{root}/{folder}"))?;
        }
        Ok(Self { root: root.into(), things: BTreeMap::new(), contents: BTreeMap::new(), next: 0 })
    }

    fn path(&self, name: usize) -> String {
        format!("{}/{}/name-{name}", self.root, name % 2)
    }

    /// Does one thing by chance, and says which.
    pub fn step(&mut self, chance: &mut Chance) -> String {
        let (name, other) = (chance.below(NAMES), chance.below(NAMES));
        let (path, there) = (self.path(name), self.path(other));
        match chance.below(10) {
            0 | 1 => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
                let result = open(&path, flags, Mode::from_raw_mode(0o600));
                if let Ok(file) = &result {
                    self.contents.insert(self.next, Vec::new());
                    self.things.insert(name, Thing::File(self.next));
                    self.next += 1;
                    // What is in it may be a part, or nothing.
                    let _ = self.write(name, file, 7);
                }
                format!("create {path}: {:?}", result.err())
            }
            2 => {
                let result = fs::create_dir(&path).map_err(errno);
                if result.is_ok() {
                    self.things.insert(name, Thing::Folder);
                }
                format!("create folder {path}: {result:?}")
            }
            3 => {
                let result = rustix::fs::symlink(&there, &path);
                if result.is_ok() {
                    self.things.insert(name, Thing::Link(self.next, there));
                    self.next += 1;
                }
                format!("link {path}: {result:?}")
            }
            4 => {
                let result = rustix::fs::link(&path, &there);
                if let (Ok(()), Some(thing)) = (result, self.things.get(&name).cloned()) {
                    self.things.insert(other, thing);
                }
                format!("link {path} {there}: {result:?}")
            }
            5 => {
                let result = rustix::fs::rename(&path, &there);
                let (one, two) = (self.things.get(&name).cloned(), self.things.get(&other).cloned());
                // Two names of one thing stay, as POSIX has it.
                let is_same = name == other || one == two && one != Some(Thing::Folder);
                if let (Ok(()), Some(thing), false) = (result, one, is_same) {
                    self.things.remove(&name);
                    self.things.insert(other, thing);
                }
                format!("rename {path} {there}: {result:?}")
            }
            6 => {
                let result = renameat_with(CWD, &path, CWD, &there, RenameFlags::EXCHANGE);
                if let (Ok(()), Some(one), Some(two)) =
                    (result, self.things.get(&name).cloned(), self.things.get(&other).cloned())
                {
                    self.things.insert(name, two);
                    self.things.insert(other, one);
                }
                format!("exchange {path} {there}: {result:?}")
            }
            7 => {
                let result = rustix::fs::unlink(&path).or_else(|error| match error {
                    Errno::ISDIR => rustix::fs::rmdir(&path),
                    other => Err(other),
                });
                if result.is_ok() {
                    self.things.remove(&name);
                }
                format!("unlink {path}: {result:?}")
            }
            kind => {
                let flags = OFlags::WRONLY | OFlags::NOFOLLOW;
                match open(&path, flags, Mode::empty()) {
                    Err(error) => format!("open {path}: {error}"),
                    Ok(file) if kind == 8 => {
                        let result = self.write(name, &file, name as u8);
                        format!("write {path}: {result:?}")
                    }
                    Ok(file) => {
                        let len = chance.below(20_000);
                        let result = rustix::fs::ftruncate(&file, len as u64);
                        if let (Ok(()), Some(content)) = (result, self.content(name)) {
                            content.resize(len, 0);
                        }
                        format!("truncate {path} to {len}: {result:?}")
                    }
                }
            }
        }
    }

    /// Writes at the end of the file of a name.
    fn write(&mut self, name: usize, file: &OwnedFd, value: u8) -> Result<usize, Errno> {
        let Some(content) = self.content(name) else { return Err(Errno::NOENT) };
        let len = pwrite(file, &[value; 10_000], content.len() as u64)?;
        content.resize(content.len() + len, value);
        Ok(len)
    }

    fn content(&mut self, name: usize) -> Option<&mut Vec<u8>> {
        match self.things.get(&name) {
            Some(Thing::File(number)) => self.contents.get_mut(number),
            _ => None,
        }
    }

    /// Compares everything, after a step.
    pub fn check(&self, step: &str) -> io::Result<()> {
        let wrong = |what: String| Err(io::Error::other(format!("{step}; {what}")));
        let listed: usize = ["0", "1"]
            .iter()
            .map(|folder| fs::read_dir(format!("{}/{folder}", self.root)).map_or(0, Iterator::count))
            .sum();
        if listed != self.things.len() {
            return wrong(format!("{listed} names, not {}", self.things.len()));
        }
        for (&name, thing) in &self.things {
            let path = self.path(name);
            let about = fs::symlink_metadata(&path)?;
            let holds = match thing {
                Thing::Folder => about.is_dir(),
                Thing::Link(_, target) => fs::read_link(&path)?.to_str() == Some(target),
                Thing::File(number) => {
                    let links = self.things.values().filter(|other| *other == thing).count();
                    about.is_file()
                        && about.nlink() == links as u64
                        && self.contents.get(number) == Some(&fs::read(&path)?)
                }
            };
            if !holds {
                return wrong(format!("{path} is no {thing:?}: {about:?}"));
            }
        }
        Ok(())
    }
}
