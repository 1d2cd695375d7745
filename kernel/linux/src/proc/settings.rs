//! /proc/sys: settings of the kernel (proc(5)). Those that can be changed do what they say; the others tell how things are.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use files::pseudo::{Node, Text, Tree};
use machine::heap::try_to_vec;
use memory::overcommit;

use super::{namespaces, put};
use crate::process::ids::PID_MAX;
use crate::process::limits::NR_OPEN;
use crate::release;

/// A file that always says the same.
fn constant(tree: &Tree, name: &str, value: &'static str) {
    tree.add(
        name,
        Node::text(move |text| {
            put!(text, "{value}\n");
            Ok(())
        }),
    );
}

fn number(tree: &Tree, name: &str, value: u64) {
    tree.add(
        name,
        Node::text(move |text| {
            put!(text, "{value}\n");
            Ok(())
        }),
    );
}

/// One line of what was written, without its end.
fn line(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == b'\n').next().unwrap_or_default()
}

fn parse<T: core::str::FromStr>(bytes: &[u8]) -> Result<T, Errno> {
    core::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()).ok_or(Errno::EINVAL)
}

/// Registers everything below /proc/sys.
pub fn register(root: &Tree) {
    kernel(&root.add_directory("kernel"));
    memory(&root.add_directory("vm"));
    file_systems(&root.add_directory("fs"));
}

fn kernel(tree: &Arc<Tree>) {
    constant(tree, "ostype", release::SYSTEM);
    constant(tree, "osrelease", release::RELEASE);
    constant(tree, "version", release::VERSION);
    constant(tree, "core_pattern", "core");
    constant(tree, "tainted", "0");
    constant(tree, "dmesg_restrict", "0");
    constant(tree, "randomize_va_space", "2");
    constant(tree, "yama_ptrace_scope", "0");
    constant(tree, "cap_last_cap", "40");
    number(tree, "pid_max", PID_MAX as u64);
    number(tree, "ngroups_max", crate::calls::GROUPS_MAX as u64);
    tree.add(
        "threads-max",
        Node::text(|text| {
            let limit = crate::init().map_or(0, |init| init.limits.soft(abi::resource::RLIMIT_NPROC) * 2);
            put!(text, "{limit}\n");
            Ok(())
        }),
    );
    name(tree, "hostname", |names| names.host(), |names, value| names.set_host(value));
    name(tree, "domainname", |names| names.domain(), |names, value| names.set_domain(value));
    let random = tree.add_directory("random");
    constant(&random, "poolsize", "256");
    constant(&random, "entropy_avail", "256");
    random.add(
        "uuid",
        Node::text(|text| {
            uuid(text);
            Ok(())
        }),
    );
    let boot: machine::sync::Once<Vec<u8>> = machine::sync::Once::new();
    random.add(
        "boot_id",
        Node::text(move |text| {
            if boot.get().is_none() {
                let mut made = Text::default();
                uuid(&mut made);
                // Of two readers that come first, one's stays.
                let _ = boot.set(try_to_vec(made.first_page())?);
            }
            text.push(boot.get().map_or(&[][..], |id| id));
            Ok(())
        }),
    );
}

/// A random UUID (RFC 9562, version 4).
fn uuid(text: &mut Text) {
    let mut bytes = [0; 16];
    crate::random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (index, byte) in bytes.iter().enumerate() {
        put!(text, "{}{byte:02x}", if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" });
    }
    put!(text, "\n");
}

type Names = crate::process::namespaces::Names;

fn name(tree: &Tree, name: &str, get: fn(&Names) -> Vec<u8>, set: fn(&Names, Vec<u8>)) {
    let read = move |text: &mut Text| {
        let namespaces = namespaces().ok_or(Errno::ENOENT)?;
        text.push(&get(&namespaces.names));
        text.push(b"\n");
        Ok(())
    };
    let write = move |bytes: &[u8]| {
        let namespaces = namespaces().ok_or(Errno::ENOENT)?;
        set(&namespaces.names, try_to_vec(line(bytes))?);
        Ok(())
    };
    tree.add(name, Node::setting(read, write));
}

fn memory(tree: &Tree) {
    let read = |text: &mut Text| {
        let mode = match overcommit::mode() {
            overcommit::Mode::Heuristic => 0,
            overcommit::Mode::Always => 1,
            overcommit::Mode::Never => 2,
        };
        put!(text, "{mode}\n");
        Ok(())
    };
    let write = |bytes: &[u8]| {
        overcommit::set_mode(match parse::<u32>(bytes)? {
            0 => overcommit::Mode::Heuristic,
            1 => overcommit::Mode::Always,
            2 => overcommit::Mode::Never,
            _ => return Err(Errno::EINVAL),
        });
        Ok(())
    };
    tree.add("overcommit_memory", Node::setting(read, write));
    number(tree, "max_map_count", memory::space::MAX_AREAS as u64);
    number(tree, "mmap_min_addr", memory::space::LOWEST_ADDRESS as u64);
    let drop_caches = |bytes: &[u8]| {
        let what: u32 = parse(bytes)?;
        if what & 1 != 0 {
            memory::reclaim::shrink(usize::MAX / 2);
        }
        Ok(())
    };
    tree.add("drop_caches", Node::command(drop_caches));
}

fn file_systems(tree: &Tree) {
    number(tree, "nr_open", NR_OPEN);
    number(tree, "file-max", NR_OPEN * 1024);
    number(tree, "pipe-max-size", files::pipe::SIZE_MAX_BYTES as u64);
}
