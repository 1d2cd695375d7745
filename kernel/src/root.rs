//! The first file system: a tmpfs with the initramfs unpacked into it, and what every program expects mounted.

use alloc::sync::Arc;

use abi::Errno;
use abi::mount::MountFlags;
use files::tmpfs::{Options, Tmpfs};
use files::{
    Context, Credentials, Lookup, Mount, MountNamespace, MountRequest, Superblock, filesystem, initramfs,
};
use machine::boot;

/// What is mounted: kind, place, options. Places that are not there are made.
const MOUNTS: [(&str, &str, &str, MountFlags); 5] = [
    ("devtmpfs", "/dev", "mode=755", MountFlags::NOSUID),
    ("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", MountFlags::NOSUID.union(MountFlags::NOEXEC)),
    ("proc", "/proc", "", MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC)),
    ("sysfs", "/sys", "", MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC)),
    ("tmpfs", "/tmp", "mode=1777", MountFlags::NOSUID.union(MountFlags::NODEV)),
];

/// Makes the root. What is wrong with the initramfs is logged, and the boot goes on with what came before the fault.
pub fn make() -> Arc<MountNamespace> {
    let options = Options { mode: 0o755, ..Options::default() };
    let namespace = MountNamespace::new(Superblock::new(Tmpfs::new(options)), "rootfs");
    let credentials = Credentials::root();
    let root = namespace.root().clone();
    let context =
        Context { root: &root, cwd: &root, namespace: &namespace, credentials: &credentials, umask: 0 };
    match &boot::info().initramfs {
        None => kernel_log::error!("no initramfs: give one with --initramfs or the boot loader's module"),
        Some(archive) => match initramfs::unpack(&context, archive.bytes()) {
            Ok(unpacked) => {
                kernel_log::notice!("initramfs: {} entries, {} KiB", unpacked.entries, unpacked.bytes / 1024)
            }
            Err(error) => kernel_log::error!("{error}"),
        },
    }
    for (kind, place, options, flags) in MOUNTS {
        // As mount(2) has it where nobody says otherwise.
        if let Err(error) = mount(&context, kind, place, options, flags | MountFlags::RELATIME) {
            kernel_log::error!("{kind} could not be mounted on {place}: {error}");
        }
    }
    namespace
}

fn mount(
    context: &Context<'_>,
    kind: &'static str,
    place: &str,
    options: &str,
    flags: MountFlags,
) -> Result<(), Errno> {
    let path = match context.look_up(None, place.as_bytes(), Lookup::FOLLOW) {
        Err(Errno::ENOENT) => context.make_directory(None, place.as_bytes(), 0o755)?,
        found => found?,
    };
    let request = MountRequest { source: kind.as_bytes(), options: options.as_bytes(), flags };
    let superblock = filesystem::make(kind.as_bytes(), &request)?;
    let dentry = Arc::clone(superblock.root());
    context.namespace.attach(&Mount::new(superblock, dentry, flags, kind), path)
}
