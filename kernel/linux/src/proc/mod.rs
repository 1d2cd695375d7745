//! /proc and /sys: what the kernel tells of itself and of processes, in Linux's text formats (proc(5)).
//!
//! | file | what it registers |
//! |---|---|
//! | `system` | /proc/meminfo, cpuinfo, stat, uptime, ... |
//! | `settings` | /proc/sys |
//! | `processes` | the numbers in /proc, `self`, and what is in such a directory |
//! | `status` | stat, statm, status: text from a process |
//! | `maps` | maps, smaps: text from an address space |
//! | `links` | fd, exe, cwd, root |
//! | `sysfs` | the few files of /sys that programs look for |

mod links;
mod maps;
mod processes;
mod settings;
mod status;
mod sysfs;
mod system;

use alloc::boxed::Box;

use files::Superblock;
use files::filesystem;
use files::pseudo::{PseudoFileSystem, Tree};

/// The types that statfs(2) shows (linux/magic.h).
const PROC_MAGIC: i64 = 0x9fa0;
const SYSFS_MAGIC: i64 = 0x6265_6572;

/// Makes `proc` and `sysfs` known to mount(2). Called once, at boot.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn start_file_systems() {
    filesystem::register(
        "proc",
        false,
        Box::new(|_| {
            let root = Tree::in_front_of(processes::all());
            system::register(&root);
            settings::register(&root.add_directory("sys"));
            processes::register(&root);
            Ok(Superblock::new(PseudoFileSystem::without_free_names("proc", PROC_MAGIC, root)))
        }),
    );
    filesystem::register(
        "sysfs",
        false,
        Box::new(|_| {
            let root = Tree::new();
            sysfs::register(&root);
            Ok(Superblock::new(PseudoFileSystem::new("sysfs", SYSFS_MAGIC, root)))
        }),
    );
}

pub use sysfs::offer_failures;
pub use system::set_command_line;

/// The namespaces that /proc shows: those of the reader, or of the first process for the kernel's own threads.
fn namespaces() -> Option<alloc::sync::Arc<crate::process::Namespaces>> {
    match crate::process::Task::current() {
        Some(task) => Some(task.process().namespaces.clone()),
        None => crate::init().map(|init| init.namespaces.clone()),
    }
}

/// Text that `write!` cannot fail to add to.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => {{
        // Text takes everything.
        let _ = ::core::fmt::Write::write_fmt($text, ::core::format_args!($($argument)*));
    }};
}
use put;
