//! Device files, mounts, pseudo-terminals and files made of answers.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::fmt::Write;

use abi::Errno;
use abi::fcntl::{OpenFlags, RenameFlags};
use abi::ioctl::{FIONREAD, TCGETS, TIOCGPTN, TIOCSPTLCK};
use abi::mount::{MountFlags, UmountFlags};
use files::pseudo::{Node, PseudoFileSystem, Tree};
use files::{KernelArgument, Superblock};
use support::{World, read, run, write};

fn world_with_devices() -> World {
    files::start().unwrap();
    let world = World::new();
    world.mkdir("/dev").unwrap();
    let context = world.context();
    context.mount(b"dev", b"/dev", b"devtmpfs", MountFlags::empty(), b"").unwrap();
    context.mount(b"pts", b"/dev/pts", b"devpts", MountFlags::empty(), b"").unwrap();
    world
}

#[test]
fn devices_are_found_by_their_numbers() {
    run(1, 1, || {
        let world = world_with_devices();
        let open = |path| world.open(path, OpenFlags::RDWR);
        let null = open("/dev/null").unwrap();
        assert_eq!((write(&null, b"gone"), read(&null, 10)), (Ok(4), Ok(vec![])));
        assert_eq!(read(&open("/dev/zero").unwrap(), 5), Ok(vec![0; 5]));
        assert_eq!(write(&open("/dev/full").unwrap(), b"x"), Err(Errno::ENOSPC));
        assert_eq!(read(&open("/dev/urandom").unwrap(), 1000).unwrap().len(), 1000);
        assert_eq!(open("/dev/tty").map(drop), Err(Errno::ENXIO));
        let zero = abi::stat::device_number(1, 5);
        world.context().make_node(None, b"/mine", abi::stat::S_IFCHR | 0o666, zero).unwrap();
        assert_eq!(read(&open("/mine").unwrap(), 3), Ok(vec![0; 3]));
        let user = world.as_user(1000);
        assert_eq!(
            user.context().make_node(None, b"/dev/shm/x", abi::stat::S_IFCHR, zero).map(drop),
            Err(Errno::EPERM)
        );
    });
}

#[test]
fn a_mount_in_use_stays_and_an_unused_one_goes() {
    run(1, 1, || {
        let world = world_with_devices();
        let context = world.context();
        world.mkdir("/mnt").unwrap();
        context.mount(b"none", b"/mnt", b"tmpfs", MountFlags::empty(), b"size=1m").unwrap();
        world.create("/mnt/f", b"inside").unwrap();
        let held = world.open("/mnt/f", OpenFlags::empty()).unwrap();
        assert_eq!(context.unmount(b"/mnt", UmountFlags::empty()), Err(Errno::EBUSY));
        assert_eq!(context.remove_directory(None, b"/mnt"), Err(Errno::EBUSY));
        drop(held);
        assert_eq!(world.create("/mnt/big", &vec![1; 2 << 20]).map(drop), Ok(()));
        assert_eq!(world.contents("/mnt/big").unwrap().len(), (1 << 20) - 4096, "the file system is full");
        assert_eq!(context.unmount(b"/mnt", UmountFlags::empty()), Ok(()));
        assert_eq!(world.contents("/mnt/f"), Err(Errno::ENOENT));
        assert_eq!(context.unmount(b"/mnt", UmountFlags::empty()), Err(Errno::EINVAL));
        assert_eq!(context.mount(b"", b"/mnt", b"nothing", MountFlags::empty(), b""), Err(Errno::ENODEV));
        context.mount(b"none", b"/mnt", b"tmpfs", MountFlags::RDONLY, b"").unwrap();
        assert_eq!(world.create("/mnt/f", b""), Err(Errno::EROFS));
    });
}

#[test]
fn what_the_master_types_the_slave_reads() {
    run(1, 1, || {
        let world = world_with_devices();
        let master = world.open("/dev/ptmx", OpenFlags::RDWR | OpenFlags::NOCTTY).unwrap();
        let mut number = [0; 4];
        master.ioctl(TIOCGPTN, &mut KernelArgument(&mut number)).unwrap();
        let name = format!("/dev/pts/{}", u32::from_ne_bytes(number));
        let open = || world.open(&name, OpenFlags::RDWR | OpenFlags::NOCTTY);
        assert_eq!(open().map(drop), Err(Errno::EIO), "it is locked");
        master.ioctl(TIOCSPTLCK, &mut KernelArgument(&mut [0; 4])).unwrap();
        let slave = open().unwrap();
        slave.ioctl(TCGETS, &mut KernelArgument(&mut [0; 36])).unwrap();
        assert_eq!(write(&master, b"hi\x7fo\r"), Ok(5));
        slave.ioctl(FIONREAD, &mut KernelArgument(&mut number)).unwrap();
        assert_eq!(i32::from_ne_bytes(number), 3);
        assert_eq!(read(&slave, 100).unwrap(), b"ho\n");
        assert_eq!(read(&master, 100).unwrap(), b"hi\x08 \x08o\r\n");
        assert_eq!(write(&slave, b"out\n"), Ok(4));
        assert_eq!(read(&master, 100).unwrap(), b"out\r\n");
        drop(slave);
        assert_eq!(read(&master, 1), Err(Errno::EIO));
        let slave = open().unwrap();
        drop(master);
        assert_eq!(read(&slave, 1), Err(Errno::EIO));
        assert_eq!(open().map(drop), Err(Errno::ENOENT));
    });
}

#[test]
fn files_made_of_answers_are_made_anew_at_their_start() {
    run(1, 1, || {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let root = Tree::new();
        root.add(
            "count",
            Node::text(|text| {
                let _ = writeln!(text, "asked {}", ASKED.fetch_add(1, Ordering::Relaxed));
                Ok(())
            }),
        );
        let below = root.add_directory("sys");
        below.add(
            "knob",
            Node::setting(
                |text| {
                    text.push(b"1\n");
                    Ok(())
                },
                |bytes| {
                    if bytes == b"2" { Ok(()) } else { Err(Errno::EINVAL) }
                },
            ),
        );
        let magic = abi::stat::PROC_SUPER_MAGIC;
        let superblock = Superblock::new(PseudoFileSystem::without_free_names("proc", magic, root));
        files::filesystem::register("proc", false, Box::new(move |_| Ok(superblock.clone())));
        let world = World::new();
        world.mkdir("/proc").unwrap();
        world.context().mount(b"proc", b"/proc", b"proc", MountFlags::empty(), b"").unwrap();
        let count = world.open("/proc/count", OpenFlags::empty()).unwrap();
        assert_eq!(
            (read(&count, 3).unwrap(), read(&count, 100).unwrap()),
            (b"ask".to_vec(), b"ed 0\n".to_vec())
        );
        count.seek(files::Seek::Start(0)).unwrap();
        assert_eq!(read(&count, 100).unwrap(), b"asked 1\n");
        let knob = world.open("/proc/sys/knob", OpenFlags::RDWR).unwrap();
        assert_eq!((write(&knob, b"2"), write(&knob, b"3")), (Ok(1), Err(Errno::EINVAL)));
        assert_eq!(world.open("/proc/count", OpenFlags::WRONLY).map(drop), Err(Errno::EACCES));
        assert_eq!(world.names("/proc").unwrap(), [".", "..", "count", "sys"]);
        assert_eq!(world.contents("/proc/none"), Err(Errno::ENOENT));
    });
}

#[test]
fn nothing_can_be_made_where_only_answers_are() {
    run(1, 1, || {
        let world = World::new();
        for (name, magic) in [("proc", abi::stat::PROC_SUPER_MAGIC), ("sysfs", abi::stat::SYSFS_MAGIC)] {
            let root = Tree::new();
            root.add("old", Node::text(|_| Ok(())));
            let system = match name {
                "proc" => PseudoFileSystem::without_free_names(name, magic, root),
                _ => PseudoFileSystem::new(name, magic, root),
            };
            let superblock = Superblock::new(system);
            files::filesystem::register(name, false, Box::new(move |_| Ok(superblock.clone())));
            world.mkdir(&format!("/{name}")).unwrap();
            let at = format!("/{name}");
            world
                .context()
                .mount(name.as_bytes(), at.as_bytes(), name.as_bytes(), MountFlags::empty(), b"")
                .unwrap();
        }
        let errors = |world: &World, at: &str| {
            let (old, new) = (format!("/{at}/old"), format!("/{at}/new"));
            let context = world.context();
            [
                world.create(&new, b"").err(),
                world.mkdir(&new).err(),
                world.mkdir(&old).err(),
                world.symlink("x", &new).err(),
                context.rename((None, old.as_bytes()), (None, new.as_bytes()), RenameFlags::empty()).err(),
                context.unlink(None, old.as_bytes()).err(),
                context.unlink(None, new.as_bytes()).err(),
            ]
        };
        let (eacces, eexist, enoent, eperm) =
            (Some(Errno::EACCES), Some(Errno::EEXIST), Some(Errno::ENOENT), Some(Errno::EPERM));
        assert_eq!(errors(&world, "proc"), [enoent, enoent, eexist, enoent, enoent, eperm, enoent]);
        assert_eq!(errors(&world, "sysfs"), [eacces, eperm, eexist, eperm, eperm, eperm, enoent]);
        let user = world.as_user(1000);
        assert_eq!(errors(&user, "proc"), [enoent, enoent, eexist, enoent, enoent, eacces, enoent]);
        assert_eq!(errors(&user, "sysfs"), [eacces, eacces, eexist, eacces, eacces, eacces, enoent]);
    });
}
