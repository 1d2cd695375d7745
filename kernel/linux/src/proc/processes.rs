//! The numbers in /proc: a directory for each process, and in it one for each of its threads.

use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;
use files::Kind;
use files::pseudo::{Directory, Listed, Node, Text, Tree};
use machine::heap::{try_arc_slice, try_format};
use machine::sync::atomic::Ordering;

use super::links::{self, DescriptorDirectory};
use super::status::{self, Subject};
use super::{maps, namespaces, put, system};
use crate::process::{Process, Task};

/// A decimal number as a name has it: no sign, no leading zero.
pub fn parse(name: &[u8]) -> Option<i32> {
    if name.first() == Some(&b'0') && name.len() > 1 || name.first() == Some(&b'+') {
        return None;
    }
    core::str::from_utf8(name).ok()?.parse().ok().filter(|&number| number >= 0)
}

/// The node of a file about `subject`. What is remembered of it holds until the process, or the thread, has gone.
type MakeNode = fn(&Subject) -> Node;

fn text(subject: &Subject, write: fn(&Subject, &mut Text)) -> Node {
    let subject = subject.clone();
    Node::text(move |text| {
        write(&subject, text);
        Ok(())
    })
}

/// What is in a process's directory, in the order in which it is listed.
const ENTRIES: &[(&str, Kind, MakeNode)] = &[
    ("stat", Kind::Regular, |subject| text(subject, status::stat)),
    ("statm", Kind::Regular, |subject| text(subject, status::statm)),
    ("status", Kind::Regular, |subject| text(subject, status::status)),
    ("comm", Kind::Regular, comm),
    ("cmdline", Kind::Regular, |subject| program_bytes(subject, |layout| layout.arguments)),
    ("environ", Kind::Regular, |subject| {
        program_bytes(subject, |layout| layout.environment).permissions(0o400)
    }),
    ("auxv", Kind::Regular, |subject| text(subject, auxiliary).permissions(0o400)),
    ("maps", Kind::Regular, |subject| text(subject, maps::maps)),
    ("smaps", Kind::Regular, |subject| text(subject, maps::smaps)),
    ("smaps_rollup", Kind::Regular, |subject| text(subject, maps::rollup)),
    ("fd", Kind::Directory, |subject| {
        Node::directory(DescriptorDirectory::links(subject)).permissions(0o500)
    }),
    ("fdinfo", Kind::Directory, |subject| Node::directory(DescriptorDirectory::details(subject))),
    ("exe", Kind::Symlink, |subject| links::place(subject, links::executable)),
    ("cwd", Kind::Symlink, |subject| links::place(subject, links::working_directory)),
    ("root", Kind::Symlink, |subject| links::place(subject, links::root)),
    ("limits", Kind::Regular, |subject| text(subject, status::limits)),
    ("io", Kind::Regular, |subject| text(subject, status::io).permissions(0o400)),
    ("mounts", Kind::Regular, |subject| text(subject, system::mounts_of)),
    ("mountinfo", Kind::Regular, |subject| text(subject, system::mount_info)),
    ("mountstats", Kind::Regular, |subject| text(subject, system::mount_statistics)),
    ("oom_score", Kind::Regular, |subject| text(subject, status::oom_score)),
    ("oom_score_adj", Kind::Regular, oom_adjustment),
    ("wchan", Kind::Regular, |subject| text(subject, |_, text| put!(text, "0"))),
    ("cgroup", Kind::Regular, |subject| text(subject, |_, text| put!(text, "0::/\n"))),
    ("loginuid", Kind::Regular, |subject| text(subject, |_, text| put!(text, "4294967295"))),
    ("sessionid", Kind::Regular, |subject| text(subject, |_, text| put!(text, "4294967295"))),
];

fn comm(subject: &Subject) -> Node {
    let (shown, changed) = (subject.clone(), subject.clone());
    let read = move |text: &mut Text| {
        text.push(&shown.name());
        text.push(b"\n");
        Ok(())
    };
    let write = move |bytes: &[u8]| {
        let thread = changed.task.as_ref().and_then(|task| task.thread()).ok_or(Errno::ESRCH)?;
        let own = Task::current().is_some_and(|task| Arc::ptr_eq(task.process(), &changed.process));
        if !own {
            return Err(Errno::EINVAL);
        }
        thread.set_name(bytes.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default());
        Ok(())
    };
    Node::setting(read, write)
}

fn program_bytes(subject: &Subject, range: fn(&crate::process::program::Layout) -> (u64, u64)) -> Node {
    let subject = subject.clone();
    Node::text(move |text| {
        let Some(program) = subject.process.program() else { return Ok(()) };
        maps::bytes(&subject, range(&program.layout), text)
    })
}

fn auxiliary(subject: &Subject, text: &mut Text) {
    if let Some(program) = subject.process.program() {
        for entry in &program.layout.auxiliary {
            text.push(zerocopy::IntoBytes::as_bytes(entry));
        }
    }
}

fn oom_adjustment(subject: &Subject) -> Node {
    let (shown, changed) = (subject.clone(), subject.clone());
    let read = move |text: &mut Text| {
        status::oom_adjustment(&shown, text);
        Ok(())
    };
    let write = move |bytes: &[u8]| {
        let number = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?.trim();
        let number: i32 = number.parse().map_err(|_| Errno::EINVAL)?;
        if !(-1000..=1000).contains(&number) {
            return Err(Errno::EINVAL);
        }
        let is_better = number < changed.process.oom_adjustment.load(Ordering::Relaxed) as i32;
        let may =
            Task::current().is_none_or(|task| task.credentials().has(abi::capability::CAP_SYS_RESOURCE));
        if is_better && !may {
            return Err(Errno::EACCES);
        }
        changed.process.oom_adjustment.store(number as u32, Ordering::Relaxed);
        Ok(())
    };
    Node::setting(read, write)
}

/// Who owns the files of a process: its effective user, unless it may not be looked into.
fn owner(subject: &Subject) -> (u32, u32) {
    match &subject.task {
        Some(task) if subject.process.dumpable.load(Ordering::Relaxed) == 1 => {
            let who = task.credentials();
            (who.euid, who.egid)
        }
        _ => (0, 0),
    }
}

/// /proc/PID, or /proc/PID/task/TID.
struct OneProcess(Subject);

impl OneProcess {
    fn node_number(&self, index: usize) -> u64 {
        (self.0.id() as u64) << 13 | 0x1000 | index as u64
    }
}

impl Directory for OneProcess {
    #[expect(clippy::disallowed_methods, reason = "a look-up has an allowance")]
    fn lookup(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let (uid, gid) = owner(&self.0);
        let finish = |node: Node, index| {
            let is_listed = self.0.process.is_listed.clone();
            let is_watched = matches!(name, b"mounts" | b"mountinfo" | b"mountstats");
            let node = if is_watched { node } else { node.unwatched() };
            let node = node.owned_by(uid, gid).numbered(self.node_number(index));
            Arc::new(node.current_while(move || is_listed.load(Ordering::Acquire)))
        };
        if !self.0.is_thread && name == b"task" {
            let threads = Arc::new(Threads(self.0.process.clone()));
            return Ok(finish(Node::directory(threads), ENTRIES.len()));
        }
        let found = ENTRIES.iter().enumerate().find(|(_, entry)| entry.0.as_bytes() == name);
        let (index, (_, _, make)) = found.ok_or(Errno::ENOENT)?;
        Ok(finish(make(&self.0), index))
    }

    fn list(&self, position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let task = (!self.0.is_thread).then_some(("task", Kind::Directory));
        let all = ENTRIES.iter().map(|entry| (entry.0, entry.1)).chain(task);
        for (index, (name, kind)) in all.enumerate() {
            let at = index as u64 + 2;
            let entry = Listed { name: name.as_bytes(), number: self.node_number(index), kind, next: at + 1 };
            if at >= position && !visit(entry) {
                break;
            }
        }
        Ok(())
    }

    fn subdirectories(&self) -> u64 {
        if self.0.is_thread { 2 } else { 3 }
    }
}

#[expect(clippy::disallowed_methods, reason = "a look-up has an allowance")]
fn directory(subject: Subject) -> Arc<Node> {
    let (uid, gid) = owner(&subject);
    let number = (subject.id() as u64) << 13 | if subject.is_thread { 1 } else { 0 };
    let is_listed = subject.process.is_listed.clone();
    let node = Node::directory(Arc::new(OneProcess(subject))).owned_by(uid, gid).numbered(number);
    Arc::new(node.current_while(move || is_listed.load(Ordering::Acquire)))
}

/// Lists numbers that ascend; the position after a number is the number and three.
fn list_numbers(numbers: &[i32], position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool, mark: u64) {
    for &number in numbers {
        let at = number as u64 + 2;
        if at < position {
            continue;
        }
        let mut name = Text::default();
        put!(&mut name, "{number}");
        let entry = Listed {
            name: name.first_page(),
            number: (number as u64) << 13 | mark,
            kind: Kind::Directory,
            next: at + 1,
        };
        if !visit(entry) {
            break;
        }
    }
}

/// The processes, by number.
struct AllProcesses;

/// The directory of all processes.
#[expect(clippy::disallowed_methods, reason = "a look-up has an allowance")]
pub fn all() -> Arc<dyn Directory> {
    Arc::new(AllProcesses)
}

impl Directory for AllProcesses {
    fn lookup(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let number = parse(name).ok_or(Errno::ENOENT)?;
        let pids = &namespaces().ok_or(Errno::ENOENT)?.pids;
        if let Some(process) = pids.process(number) {
            let task = process.leader();
            return Ok(directory(Subject { process, task, is_thread: false }));
        }
        // A thread's number is found though it is not listed (proc(5), /proc/TID).
        let task = pids.task(number).ok_or(Errno::ENOENT)?;
        Ok(directory(Subject { process: task.process().clone(), task: Some(task), is_thread: false }))
    }

    fn list(&self, position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let Some(namespaces) = namespaces() else { return Ok(()) };
        list_numbers(&namespaces.pids.process_numbers()?, position, visit, 0);
        Ok(())
    }

    fn subdirectories(&self) -> u64 {
        namespaces().map_or(0, |namespaces| namespaces.pids.process_count() as u64)
    }
}

/// /proc/PID/task.
struct Threads(Arc<Process>);

impl Directory for Threads {
    fn lookup(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let number = parse(name).ok_or(Errno::ENOENT)?;
        let find = |task: &Arc<Task>| (task.tid() == number).then(|| task.clone());
        let task = self.0.find_task(find).ok_or(Errno::ENOENT)?;
        Ok(directory(Subject { process: self.0.clone(), task: Some(task), is_thread: true }))
    }

    fn list(&self, position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        list_numbers(&self.0.task_numbers()?, position, visit, 1);
        Ok(())
    }

    fn subdirectories(&self) -> u64 {
        self.0.state.lock().live_threads as u64
    }
}

/// Registers `self` and `thread-self`.
pub fn register(root: &Tree) {
    use files::Link;
    let target = |text: String| Ok(Link::Target(try_arc_slice(text.as_bytes())?));
    root.add(
        "self",
        Node::link(move |_| {
            let task = Task::current().ok_or(Errno::ENOENT)?;
            target(try_format(format_args!("{}", task.process().pid()))?)
        }),
    );
    root.add(
        "thread-self",
        Node::link(move |_| {
            let task = Task::current().ok_or(Errno::ENOENT)?;
            target(try_format(format_args!("{}/task/{}", task.process().pid(), task.tid()))?)
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_name_processes() {
        assert_eq!(parse(b"1"), Some(1));
        assert_eq!(parse(b"0"), Some(0));
        for name in [&b"01"[..], b"-1", b"+1", b"", b"1x", b"99999999999"] {
            assert_eq!(parse(name), None);
        }
    }
}
