//! A file tree in memory: what goes into an initramfs, or into a folder of the host.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// One entry of a tree. Modes are permission bits only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Folder { mode: u32 },
    /// A regular file.
    File { mode: u32, data: Vec<u8> },
    /// A symbolic link.
    Link { target: String },
    /// A character device.
    Characters { mode: u32, major: u32, minor: u32 },
}

/// Nodes by path, without a leading slash. The parents of every node are there.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Puts `node` at `path`, over what was there, and makes the folders above it.
    pub fn add(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            self.nodes.entry(path[..end].to_owned()).or_insert(Node::Folder { mode: 0o755 });
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// A directory with the usual permissions.
    pub fn folder(&mut self, path: &str) {
        self.add(path, Node::Folder { mode: 0o755 });
    }

    /// A file that anybody can read.
    pub fn file(&mut self, path: &str, data: impl Into<Vec<u8>>) {
        self.add(path, Node::File { mode: 0o644, data: data.into() });
    }

    /// A file that anybody can run.
    pub fn program(&mut self, path: &str, data: impl Into<Vec<u8>>) {
        self.add(path, Node::File { mode: 0o755, data: data.into() });
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, Node::Link { target: target.to_owned() });
    }

    /// The entries in order of their paths, so that a folder comes before what it holds.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Writes the tree under `folder`, which must exist. Devices are left out: they need root, and the host has its own.
    pub fn write_to(&self, folder: &Path) -> Result<()> {
        for (path, node) in self.nodes() {
            let place = folder.join(path);
            let written = match node {
                Node::Folder { mode } => std::fs::create_dir(&place).and_then(|()| set_mode(&place, *mode)),
                Node::File { mode, data } => {
                    std::fs::write(&place, data).and_then(|()| set_mode(&place, *mode))
                }
                Node::Link { target } => std::os::unix::fs::symlink(target, &place),
                Node::Characters { .. } => Ok(()),
            };
            written.with_context(|| format!("cannot write {}", place.display()))?;
        }
        Ok(())
    }
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_a_file_are_made_and_come_first() {
        let mut tree = Tree::default();
        tree.file("/a/b/c", "text");
        let paths: Vec<_> = tree.nodes().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"]);
    }

    #[test]
    fn a_later_entry_takes_the_place_of_an_earlier_one() {
        let mut tree = Tree::default();
        tree.link("init", "bin/busybox");
        tree.program("init", "other");
        assert_eq!(tree.nodes().count(), 1);
    }

    #[test]
    fn a_tree_written_to_a_folder_keeps_links_and_permissions() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut tree = Tree::default();
        tree.program("bin/tool", "x");
        tree.link("bin/alias", "tool");
        tree.write_to(folder.path())?;
        assert_eq!(std::fs::read_link(folder.path().join("bin/alias"))?, Path::new("tool"));
        assert_eq!(std::fs::metadata(folder.path().join("bin/alias"))?.permissions().mode() & 0o777, 0o755);
        Ok(())
    }
}
