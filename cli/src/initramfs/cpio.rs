//! Writing the cpio "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

use super::tree::{Node, Tree};

/// The archive that holds `tree`: parents before children, the trailer last. Times are zero, so that the same tree
/// always gives the same bytes.
pub fn archive(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut inode = 1;
    for (path, node) in tree.nodes() {
        let (mode, data, device): (u32, &[u8], (u32, u32)) = match node {
            Node::Folder { mode } => (0o040000 | mode, &[], (0, 0)),
            Node::File { mode, data } => (0o100000 | mode, data, (0, 0)),
            Node::Link { target } => (0o120777, target.as_bytes(), (0, 0)),
            Node::Characters { mode, major, minor } => (0o020000 | mode, &[], (*major, *minor)),
        };
        entry(&mut bytes, path, inode, mode, data, device);
        inode += 1;
    }
    entry(&mut bytes, "TRAILER!!!", 0, 0, &[], (0, 0));
    bytes
}

/// Appends one header, its name and its data, each padded to four bytes.
fn entry(bytes: &mut Vec<u8>, name: &str, inode: u32, mode: u32, data: &[u8], (major, minor): (u32, u32)) {
    let links = if mode & 0o170000 == 0o040000 { 2 } else { 1 };
    let fields =
        [inode, mode, 0, 0, links, 0, data.len() as u32, 0, 0, major, minor, name.len() as u32 + 1, 0];
    bytes.extend_from_slice(b"070701");
    for field in fields {
        bytes.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    pad(bytes);
    bytes.extend_from_slice(data);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
