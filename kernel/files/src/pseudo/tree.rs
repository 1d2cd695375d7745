//! A directory of registered nodes, with room for one that knows more entries.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;
use machine::sync::{Rank, SpinLock};

use super::{Directory, Listed, Node};
use crate::metadata::Kind;

/// Positions of registered nodes begin here: behind those of the directory that knows more (process ids end at 2^22).
const FIRST_REGISTERED: u64 = 1 << 32;

struct Entries {
    by_name: BTreeMap<String, (u64, Arc<Node>)>,
    by_position: BTreeMap<u64, String>,
    next: u64,
}

/// A directory to which nodes are added by name. Registered nodes come first in lookups and last in lists.
pub struct Tree {
    entries: SpinLock<Entries>,
    more: Option<Arc<dyn Directory>>,
}

impl Tree {
    /// An empty directory.
    pub fn new() -> Arc<Self> {
        Self::with(None)
    }

    /// A directory that has the entries of `more` besides those that are registered. Its positions stay below 2^32.
    pub fn in_front_of(more: Arc<dyn Directory>) -> Arc<Self> {
        Self::with(Some(more))
    }

    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    fn with(more: Option<Arc<dyn Directory>>) -> Arc<Self> {
        let entries =
            Entries { by_name: BTreeMap::new(), by_position: BTreeMap::new(), next: FIRST_REGISTERED };
        Arc::new(Self { entries: SpinLock::new(Rank::Inode, entries), more })
    }

    /// Adds a node, in place of one that has the name.
    #[expect(clippy::disallowed_methods, reason = "made at boot")]
    pub fn add(&self, name: &str, node: Node) {
        let node = Arc::new(node);
        let mut entries = self.entries.lock();
        let position = match entries.by_name.get(name) {
            Some((position, _)) => *position,
            None => {
                let position = entries.next;
                entries.next += 1;
                entries.by_position.insert(position, String::from(name));
                position
            }
        };
        let old = entries.by_name.insert(String::from(name), (position, node));
        drop(entries);
        drop(old);
    }

    /// Adds an empty directory, to be filled by the caller.
    pub fn add_directory(&self, name: &str) -> Arc<Tree> {
        let tree = Self::new();
        self.add(name, Node::directory(Arc::clone(&tree) as _));
        tree
    }

    /// Takes a node away.
    pub fn remove(&self, name: &str) {
        let mut entries = self.entries.lock();
        let old = entries.by_name.remove(name);
        if let Some((position, _)) = &old {
            entries.by_position.remove(position);
        }
        drop(entries);
        drop(old);
    }
}

impl Directory for Tree {
    fn lookup(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let registered = core::str::from_utf8(name)
            .ok()
            .and_then(|name| self.entries.lock().by_name.get(name).map(|(_, node)| Arc::clone(node)));
        match (registered, &self.more) {
            (Some(node), _) => Ok(node),
            (None, Some(more)) => more.lookup(name),
            (None, None) => Err(Errno::ENOENT),
        }
    }

    fn list(&self, position: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let mut goes_on = true;
        if position < FIRST_REGISTERED
            && let Some(more) = &self.more
        {
            more.list(position, &mut |listed| {
                goes_on = visit(listed);
                goes_on
            })?;
        }
        let mut position = position.max(FIRST_REGISTERED);
        while goes_on {
            let found = {
                let entries = self.entries.lock();
                let found = entries.by_position.range(position..).next();
                found.and_then(|(at, name)| {
                    let (_, node) = entries.by_name.get(name)?;
                    Some((*at, name.clone(), Arc::clone(node)))
                })
            };
            let Some((at, name, node)) = found else { break };
            position = at + 1;
            goes_on = visit(Listed {
                name: name.as_bytes(),
                number: node.number(),
                kind: node.kind(),
                next: position,
            });
        }
        Ok(())
    }

    fn subdirectories(&self) -> u64 {
        let here = {
            let entries = self.entries.lock();
            entries.by_name.values().filter(|(_, node)| node.kind() == Kind::Directory).count() as u64
        };
        here + self.more.as_ref().map_or(0, |more| more.subdirectories())
    }
}
