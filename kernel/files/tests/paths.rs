//! Names: looking up, making, removing, renaming, with Linux's errors.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use abi::Errno;
use abi::fcntl::{OpenFlags, RenameFlags, ResolveFlags};
use files::{Lookup, OpenHow};
use support::{World, run, write};

fn on_machine(body: impl FnOnce() + Send + 'static) {
    run(1, 1, body);
}

fn look(world: &World, path: &str) -> Result<u64, Errno> {
    Ok(world.context().look_up(None, path.as_bytes(), Lookup::FOLLOW)?.inode().metadata().inode)
}

#[test]
fn a_file_is_found_by_every_spelling_of_its_path() {
    on_machine(|| {
        let world = World::new();
        world.mkdir("/a").unwrap();
        world.mkdir("/a/b").unwrap();
        world.create("/a/b/c", b"hello").unwrap();
        let inode = look(&world, "/a/b/c").unwrap();
        for path in ["a/b/c", "//a///b//c", "/a/./b/../b/c", "/../a/b/c", "/a/b/../../a/b/./c"] {
            assert_eq!(look(&world, path), Ok(inode), "{path}");
        }
        assert_eq!(world.contents("/a/b/c").unwrap(), b"hello");
    });
}

#[test]
fn lookups_fail_as_on_linux() {
    on_machine(|| {
        let world = World::new();
        world.mkdir("/d").unwrap();
        world.create("/f", b"").unwrap();
        world.symlink("loop", "/loop").unwrap();
        world.symlink("nowhere", "/dangling").unwrap();
        let long = "x".repeat(256);
        for (path, error) in [
            ("", Errno::ENOENT),
            ("/f/", Errno::ENOTDIR),
            ("/f/x", Errno::ENOTDIR),
            ("/f/..", Errno::ENOTDIR),
            ("/none/x", Errno::ENOENT),
            ("/loop", Errno::ELOOP),
            ("/loop/x", Errno::ELOOP),
            ("/dangling", Errno::ENOENT),
            (&long, Errno::ENAMETOOLONG),
        ] {
            assert_eq!(look(&world, path), Err(error), "{path}");
        }
        assert_eq!(look(&world, &"a/".repeat(2048)), Err(Errno::ENAMETOOLONG));
        assert_eq!(look(&world, &"./".repeat(2000)), look(&world, "/"));
    });
}

#[test]
fn links_are_followed_forty_times_and_no_more() {
    on_machine(|| {
        let world = World::new();
        world.create("/l0", b"end").unwrap();
        for number in 1..=41 {
            world.symlink(&format!("l{}", number - 1), &format!("/l{number}")).unwrap();
        }
        assert!(look(&world, "/l40").is_ok());
        assert_eq!(look(&world, "/l41"), Err(Errno::ELOOP));
    });
}

#[test]
fn links_in_the_middle_go_on_behind_their_text() {
    on_machine(|| {
        let world = World::new();
        for directory in ["/a", "/a/b", "/c"] {
            world.mkdir(directory).unwrap();
        }
        world.create("/a/b/file", b"1").unwrap();
        world.symlink("../a/", "/c/up").unwrap();
        world.symlink("/c/up/b", "/c/deep").unwrap();
        assert_eq!(world.contents("/c/deep/file").unwrap(), b"1");
        assert_eq!(world.contents("/c/up/b/../b/file").unwrap(), b"1");
        assert_eq!(look(&world, "/c/deep/.."), look(&world, "/a"));
    });
}

#[test]
fn opening_follows_the_rules_of_its_flags() {
    on_machine(|| {
        let world = World::new();
        world.mkdir("/d").unwrap();
        world.create("/f", b"12345").unwrap();
        world.symlink("f", "/l").unwrap();
        world.symlink("new", "/ln").unwrap();
        let open = |path: &str, flags| world.open(path, flags).map(drop);
        let creat = OpenFlags::CREAT;
        assert_eq!(open("/f", creat | OpenFlags::EXCL), Err(Errno::EEXIST));
        assert_eq!(open("/l", creat | OpenFlags::EXCL), Err(Errno::EEXIST));
        assert_eq!(open("/l", OpenFlags::NOFOLLOW), Err(Errno::ELOOP));
        assert_eq!(open("/l", OpenFlags::NOFOLLOW | OpenFlags::PATH), Ok(()));
        assert_eq!(open("/d", OpenFlags::WRONLY), Err(Errno::EISDIR));
        assert_eq!(open("/d", creat), Err(Errno::EISDIR));
        assert_eq!(open("/x/", creat), Err(Errno::EISDIR));
        assert_eq!(open("/f", OpenFlags::DIRECTORY), Err(Errno::ENOTDIR));
        assert_eq!(open("/f/", OpenFlags::empty()), Err(Errno::ENOTDIR));
        assert_eq!(open("/ln", creat | OpenFlags::WRONLY), Ok(()));
        assert!(look(&world, "/new").is_ok());
        assert_eq!(open("/f", OpenFlags::WRONLY | OpenFlags::TRUNC), Ok(()));
        assert_eq!(world.contents("/f").unwrap(), b"");
        let unnamed = world.open("/d", OpenFlags::TMPFILE | OpenFlags::RDWR).unwrap();
        write(&unnamed, b"x").unwrap();
        assert_eq!(unnamed.metadata().links, 0);
        world.context().link(unnamed.path(), None, b"/named").unwrap();
        assert_eq!(world.contents("/named").unwrap(), b"x");
    });
}

#[test]
fn making_and_removing_fail_as_on_linux() {
    on_machine(|| {
        let world = World::new();
        let context = world.context();
        world.mkdir("/d").unwrap();
        world.mkdir("/d/e/").unwrap();
        world.create("/f", b"").unwrap();
        assert_eq!(world.mkdir("/d"), Err(Errno::EEXIST));
        assert_eq!(world.mkdir("/"), Err(Errno::EEXIST));
        assert_eq!(world.mkdir("/d/.."), Err(Errno::EEXIST));
        assert_eq!(world.mkdir("/none/x"), Err(Errno::ENOENT));
        assert_eq!(world.symlink("", "/s"), Err(Errno::ENOENT));
        assert_eq!(world.symlink("t", "/s/"), Err(Errno::ENOENT));
        assert_eq!(context.unlink(None, b"/d"), Err(Errno::EISDIR));
        assert_eq!(context.unlink(None, b"/f/"), Err(Errno::ENOTDIR));
        assert_eq!(context.unlink(None, b"/none"), Err(Errno::ENOENT));
        assert_eq!(context.unlink(None, b"/."), Err(Errno::EISDIR));
        assert_eq!(context.remove_directory(None, b"/d"), Err(Errno::ENOTEMPTY));
        assert_eq!(context.remove_directory(None, b"/f"), Err(Errno::ENOTDIR));
        assert_eq!(context.remove_directory(None, b"/d/."), Err(Errno::EINVAL));
        assert_eq!(context.remove_directory(None, b"/d/.."), Err(Errno::ENOTEMPTY));
        assert_eq!(context.remove_directory(None, b"/"), Err(Errno::EBUSY));
        assert_eq!(context.remove_directory(None, b"/d/e"), Ok(()));
        assert_eq!(context.remove_directory(None, b"/d"), Ok(()));
        assert_eq!(context.unlink(None, b"/f"), Ok(()));
        assert_eq!(world.names("/").unwrap(), [".", ".."]);
    });
}

#[test]
fn nothing_is_made_in_a_directory_that_has_been_removed() {
    on_machine(|| {
        let mut world = World::new();
        world.mkdir("/d").unwrap();
        world.cwd = world.context().look_up(None, b"/d", Lookup::FOLLOW).unwrap();
        world.context().remove_directory(None, b"/d").unwrap();
        assert_eq!(world.create("x", b""), Err(Errno::ENOENT));
        assert_eq!(world.mkdir("x"), Err(Errno::ENOENT));
        assert_eq!(world.cwd.absolute(&world.root), Err(Errno::ENOENT));
        assert_eq!(world.cwd.display(&world.root).unwrap(), b"/d (deleted)");
    });
}

#[test]
fn renames_fail_as_on_linux() {
    on_machine(|| {
        let world = World::new();
        for directory in ["/a", "/a/b", "/e", "/full"] {
            world.mkdir(directory).unwrap();
        }
        for file in ["/f", "/g", "/full/x"] {
            world.create(file, file.as_bytes()).unwrap();
        }
        let rename = |old: &str, new: &str, flags| {
            world.context().rename((None, old.as_bytes()), (None, new.as_bytes()), flags)
        };
        let plain = RenameFlags::empty();
        assert_eq!(rename("/a", "/a/b/c", plain), Err(Errno::EINVAL));
        assert_eq!(rename("/a", "/a/b", plain), Err(Errno::EINVAL));
        assert_eq!(rename("/a/b", "/a", plain), Err(Errno::ENOTEMPTY));
        assert_eq!(rename("/a", "/f", plain), Err(Errno::ENOTDIR));
        assert_eq!(rename("/f", "/a", plain), Err(Errno::EISDIR));
        assert_eq!(rename("/e", "/full", plain), Err(Errno::ENOTEMPTY));
        assert_eq!(rename("/f/", "/h", plain), Err(Errno::ENOTDIR));
        assert_eq!(rename("/none", "/h", plain), Err(Errno::ENOENT));
        assert_eq!(rename("/.", "/h", plain), Err(Errno::EBUSY));
        assert_eq!(rename("/f", "/g", RenameFlags::NOREPLACE), Err(Errno::EEXIST));
        assert_eq!(rename("/f", "/h", RenameFlags::EXCHANGE), Err(Errno::ENOENT));
        assert_eq!(rename("/f", "/g", RenameFlags::NOREPLACE | RenameFlags::EXCHANGE), Err(Errno::EINVAL));
        assert_eq!(rename("/a", "/a/b", RenameFlags::EXCHANGE), Err(Errno::EINVAL));
        assert_eq!(rename("/f", "/g", RenameFlags::EXCHANGE), Ok(()));
        assert_eq!(world.contents("/f").unwrap(), b"/g");
        assert_eq!(rename("/f", "/g", plain), Ok(()));
        assert_eq!(world.contents("/g").unwrap(), b"/g");
        assert_eq!(look(&world, "/f"), Err(Errno::ENOENT));
        assert_eq!(rename("/a", "/e", plain), Ok(()));
        assert!(look(&world, "/e/b").is_ok());
        assert_eq!(rename("/e", "/full", RenameFlags::EXCHANGE), Ok(()));
        assert_eq!(world.contents("/e/x").unwrap(), b"/full/x");
        let root = world.root.inode().metadata();
        assert_eq!(root.links, 2 + 2, "two directories below the root");
    });
}

#[test]
fn users_get_what_permissions_grant() {
    on_machine(|| {
        let world = World::new();
        world.mkdir("/private").unwrap();
        world.create("/private/f", b"").unwrap();
        world.create("/readable", b"x").unwrap();
        world.mkdir("/tmp").unwrap();
        let context = world.context();
        let find = |path: &str| context.look_up(None, path.as_bytes(), Lookup::NO_FOLLOW).unwrap();
        context.change_mode(&find("/private"), 0o700).unwrap();
        context.change_mode(&find("/tmp"), 0o1777).unwrap();
        let user = world.as_user(1000);
        assert_eq!(look(&user, "/private/f"), Err(Errno::EACCES));
        assert_eq!(user.contents("/readable").unwrap(), b"x");
        assert_eq!(user.create("/readable", b"y"), Err(Errno::EACCES));
        assert_eq!(user.create("/new", b"y"), Err(Errno::EACCES));
        user.create("/tmp/mine", b"y").unwrap();
        let other = world.as_user(1001);
        assert_eq!(other.context().unlink(None, b"/tmp/mine"), Err(Errno::EPERM));
        assert_eq!(
            other.context().rename((None, b"/tmp/mine"), (None, b"/tmp/x"), RenameFlags::empty()),
            Err(Errno::EPERM)
        );
        assert_eq!(other.context().change_mode(&find("/tmp/mine"), 0o777), Err(Errno::EPERM));
        assert_eq!(user.context().unlink(None, b"/tmp/mine"), Ok(()));
    });
}

#[test]
fn a_very_deep_tree_is_removed_without_recursion() {
    on_machine(|| {
        let mut world = World::new();
        let root = world.root.clone();
        for _ in 0..20_000 {
            world.mkdir("d").unwrap();
            world.cwd = world.context().look_up(None, b"d", Lookup::FOLLOW).unwrap();
        }
        let deepest = world.cwd.clone();
        // From the bottom up, while the deepest stays in use: a chain of dead parents hangs on it.
        while world.cwd != root {
            let parent = world.cwd.parent().unwrap();
            world.cwd = parent;
            world.context().remove_directory(None, b"d").unwrap();
        }
        drop(deepest);
    });
}

#[test]
fn a_whole_deep_file_system_goes_without_recursion() {
    on_machine(|| {
        let mut world = World::new();
        for _ in 0..20_000 {
            world.mkdir("d").unwrap();
            world.cwd = world.context().look_up(None, b"d", Lookup::FOLLOW).unwrap();
        }
        drop(world);
    });
}

#[test]
fn openat2_rules_keep_a_path_in_its_place() {
    on_machine(|| {
        let world = World::new();
        world.mkdir("/jail").unwrap();
        world.create("/secret", b"s").unwrap();
        world.create("/jail/f", b"f").unwrap();
        world.symlink("/secret", "/jail/out").unwrap();
        world.symlink("/f", "/jail/in").unwrap();
        let jail = world.context().look_up(None, b"/jail", Lookup::FOLLOW).unwrap();
        let open = |path: &str, resolve| {
            let how = OpenHow { flags: OpenFlags::empty(), mode: 0, resolve };
            world.context().open(Some(&jail), path.as_bytes(), how).map(drop)
        };
        assert_eq!(open("../secret", ResolveFlags::BENEATH), Err(Errno::EXDEV));
        assert_eq!(open("out", ResolveFlags::BENEATH), Err(Errno::EXDEV));
        assert_eq!(open("/f", ResolveFlags::BENEATH), Err(Errno::EXDEV));
        assert_eq!(open("../../f", ResolveFlags::IN_ROOT), Ok(()));
        assert_eq!(open("in", ResolveFlags::IN_ROOT), Ok(()));
        assert_eq!(open("out", ResolveFlags::IN_ROOT), Err(Errno::ENOENT));
        assert_eq!(open("in", ResolveFlags::NO_SYMLINKS), Err(Errno::ELOOP));
        assert_eq!(open("f", ResolveFlags::BENEATH), Ok(()));
    });
}
