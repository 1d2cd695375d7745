//! The links in a process's directory: its open files, its executable, its directories.

use alloc::sync::Arc;

use abi::Errno;
use abi::capability::CAP_SYS_PTRACE;
use files::pseudo::{Directory, Listed, Node, Text};
use files::{Credentials, Kind, Link, OpenFile, Path};

use super::put;
use super::status::Subject;

/// Whether someone may look into a process: he is its user, or may trace (ptrace(2), "access mode checking"): EACCES.
fn check(subject: &Subject, who: &Credentials) -> Result<(), Errno> {
    let Some(task) = &subject.task else { return Err(Errno::ENOENT) };
    let theirs = task.credentials();
    let is_same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|&id| id == who.fsuid)
        && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|&id| id == who.fsgid);
    if is_same || who.has(CAP_SYS_PTRACE) { Ok(()) } else { Err(Errno::EACCES) }
}

/// A link to a place that `find` gives.
pub fn place(subject: &Subject, find: impl Fn(&Subject) -> Option<Path> + Send + Sync + 'static) -> Node {
    let subject = subject.clone();
    Node::link(move |who| {
        check(&subject, who)?;
        find(&subject).map(Link::Place).ok_or(Errno::ENOENT)
    })
}

/// /proc/PID/exe.
pub fn executable(subject: &Subject) -> Option<Path> {
    subject.process.program()?.executable().cloned()
}

/// /proc/PID/cwd.
pub fn working_directory(subject: &Subject) -> Option<Path> {
    Some(subject.task.as_ref()?.place()?.directories().working.clone())
}

/// /proc/PID/root.
pub fn root(subject: &Subject) -> Option<Path> {
    Some(subject.task.as_ref()?.place()?.directories().root.clone())
}

/// /proc/PID/fd and fdinfo: an entry for each descriptor.
pub struct DescriptorDirectory {
    subject: Subject,
    shows_details: bool,
}

impl DescriptorDirectory {
    /// /proc/PID/fd: links to the open files.
    #[expect(clippy::disallowed_methods, reason = "a look-up has an allowance")]
    pub fn links(subject: &Subject) -> Arc<Self> {
        Arc::new(Self { subject: subject.clone(), shows_details: false })
    }

    /// /proc/PID/fdinfo: text about them.
    #[expect(clippy::disallowed_methods, reason = "a look-up has an allowance")]
    pub fn details(subject: &Subject) -> Arc<Self> {
        Arc::new(Self { subject: subject.clone(), shows_details: true })
    }

    fn file(&self, number: i32) -> Result<Arc<OpenFile>, Errno> {
        find(&self.subject, number)
    }

    fn node_number(&self, number: u64) -> u64 {
        let kind = if self.shows_details { 3 } else { 2 };
        (self.subject.process.pid() as u64) << 13 | kind << 10 | (number % 1024)
    }
}

fn find(subject: &Subject, number: i32) -> Result<Arc<OpenFile>, Errno> {
    let table = subject.task.as_ref().and_then(|task| task.descriptors()).ok_or(Errno::ENOENT)?;
    table.get(number).map_err(|_| Errno::ENOENT)
}

impl Directory for DescriptorDirectory {
    #[expect(clippy::disallowed_methods, reason = "a look-up has an allowance")]
    fn lookup(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let number = super::processes::parse(name).ok_or(Errno::ENOENT)?;
        let file = self.file(number)?;
        let subject = self.subject.clone();
        if self.shows_details {
            let read = move |text: &mut Text| {
                let file = find(&subject, number)?;
                put!(text, "pos:\t{}\nflags:\t0{:o}\n", file.position(), file.flags().bits());
                put!(text, "mnt_id:\t{}\nino:\t{}\n", file.path().mount.id(), file.metadata().inode);
                Ok(())
            };
            return Ok(Arc::new(
                Node::text(read).permissions(0o444).numbered(self.node_number(number as u64)),
            ));
        }
        let flags = file.flags();
        let permissions =
            0o100 | if flags.can_read() { 0o400 } else { 0 } | if flags.can_write() { 0o200 } else { 0 };
        let node = Node::link(move |who| {
            check(&subject, who)?;
            Ok(Link::Place(find(&subject, number)?.path().clone()))
        });
        let node = node.permissions(permissions).numbered(self.node_number(number as u64));
        // A number names another file as soon as it is closed and opened: it is looked up each time.
        Ok(Arc::new(node.current_while(|| false)))
    }

    fn list(&self, position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let table = self.subject.task.as_ref().and_then(|task| task.descriptors()).ok_or(Errno::ENOENT)?;
        let kind = if self.shows_details { Kind::Regular } else { Kind::Symlink };
        for number in table.numbers()? {
            let at = number as u64 + 2;
            if at < position {
                continue;
            }
            let mut name = Text::default();
            put!(&mut name, "{number}");
            let entry = Listed {
                name: name.first_page(),
                number: self.node_number(number as u64),
                kind,
                next: at + 1,
            };
            if !visit(entry) {
                break;
            }
        }
        Ok(())
    }
}
