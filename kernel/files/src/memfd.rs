//! Files in memory without a name (memfd_create(2)), and their seals.

use alloc::sync::Arc;

use abi::Errno;
use abi::fcntl::{MemfdFlags, OpenFlags, Seals};
use abi::mount::MountFlags;
use abi::stat::S_IFREG;
use machine::heap::{Grow, try_to_vec};
use machine::sync::Once;

use crate::credentials::{Credentials, Ownership};
use crate::dentry::Dentry;
use crate::filesystem::Superblock;
use crate::inode::{NewBody, NewNode, Opening, downcast};
use crate::mount::{Mount, Path};
use crate::open_file::OpenFile;
use crate::tmpfs::{Options, Tmpfs, TmpfsNode};

static MOUNT: Once<Arc<Mount>> = Once::new();

/// The file system of all of them, which no namespace shows.
fn mount() -> Arc<Mount> {
    if let Some(mount) = MOUNT.get() {
        return Arc::clone(mount);
    }
    let unlimited = i64::MAX as u64;
    let tmpfs = Tmpfs::new(Options { size: unlimited, inodes: unlimited, mode: 0o777, uid: 0, gid: 0 });
    let superblock = Superblock::new(tmpfs);
    let root = Arc::clone(superblock.root());
    let fresh = Mount::new(superblock, root, MountFlags::empty(), "tmpfs");
    match MOUNT.set(Arc::clone(&fresh)) {
        Ok(()) => fresh,
        Err(fresh) => MOUNT.get().map_or(fresh, Arc::clone),
    }
}

/// A new empty file that /proc/PID/fd shows as `/memfd:NAME (deleted)`. ENOSPC, ENOMEM.
pub fn create(name: &[u8], flags: MemfdFlags, credentials: &Credentials) -> Result<Arc<OpenFile>, Errno> {
    let mount = mount();
    let permissions = if flags.contains(MemfdFlags::NOEXEC_SEAL) { 0o666 } else { 0o777 };
    let ownership = Ownership { mode: S_IFREG | permissions, uid: credentials.fsuid, gid: credentials.fsgid };
    let inode = mount.root().inode().create_unnamed(NewNode { body: NewBody::Regular, ownership })?;
    let contents = downcast::<TmpfsNode>(&inode).ok_or(Errno::EINVAL)?;
    let contents = contents.contents()?;
    if flags.intersects(MemfdFlags::ALLOW_SEALING | MemfdFlags::NOEXEC_SEAL) {
        contents.allow_seals();
    }
    if flags.contains(MemfdFlags::NOEXEC_SEAL) {
        contents.add_seals(Seals::EXEC)?;
    }
    let mut label = try_to_vec(b"memfd:")?;
    label.try_extend(name)?;
    let dentry = Dentry::unlinked(Arc::clone(&inode), mount.root(), &label)?;
    let path = Path { mount, dentry };
    let flags = OpenFlags::RDWR | OpenFlags::LARGEFILE;
    let file = inode.open(&Opening { flags, credentials, path: &path })?;
    Ok(OpenFile::new(file, path, flags, false)?)
}

fn node(file: &OpenFile) -> Result<Arc<TmpfsNode>, Errno> {
    downcast::<TmpfsNode>(file.inode()).ok_or(Errno::EINVAL)
}

/// F_GET_SEALS: EINVAL for a file that cannot be sealed.
pub fn seals(file: &OpenFile) -> Result<Seals, Errno> {
    Ok(node(file)?.contents().map_err(|_| Errno::EINVAL)?.seals())
}

/// F_ADD_SEALS: EPERM when sealing is sealed or the file is not open for writing, EINVAL for unknown seals.
pub fn add_seals(file: &OpenFile, seals: u32) -> Result<(), Errno> {
    if !file.flags().can_write() {
        return Err(Errno::EPERM);
    }
    let seals = Seals::from_bits(seals).ok_or(Errno::EINVAL)?;
    let node = node(file)?;
    let contents = node.contents().map_err(|_| Errno::EINVAL)?;
    contents.add_seals(seals)
}
