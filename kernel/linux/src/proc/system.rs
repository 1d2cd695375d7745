//! The machine as a whole in /proc: memory, processors, load, mounts, devices.

use abi::Errno;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use files::pseudo::{Node, Text, Tree};
use files::{Link, Mount, Path, filesystem};
use machine::address::PAGE_SIZE;
use machine::frame::{self, Owner};
use machine::sync::Once;
use machine::{clock, cpu};
use threads::load;

use super::status::Subject;
use super::{namespaces, put};
use crate::process::Task;
use crate::process::account::ticks;
use crate::process::place::Directories;
use crate::{processor, release};

/// Writes a file's text.
type WriteText = fn(&mut Text);

/// Registers everything.
pub fn register(root: &Tree) {
    let files: [(&str, WriteText); 14] = [
        ("meminfo", memory),
        ("cpuinfo", processors),
        ("stat", statistics),
        ("uptime", uptime),
        ("loadavg", averages),
        ("version", version),
        ("cmdline", command_line),
        ("interrupts", interrupts),
        ("vmstat", memory_counters),
        ("partitions", |text| put!(text, "major minor  #blocks  name\n\n")),
        ("swaps", |text| put!(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")),
        ("diskstats", |_| {}),
        ("modules", |_| {}),
        ("softirqs", softirqs),
    ];
    for (name, write) in files {
        root.add(
            name,
            Node::text(move |text| {
                write(text);
                Ok(())
            }),
        );
    }
    root.add("filesystems", Node::text(file_systems));
    root.add("devices", Node::text(devices));
    let target = |text: &'static str| Node::link(move |_| Ok(Link::Target(Arc::from(text.as_bytes()))));
    root.add("mounts", target("self/mounts"));
}

fn kib(frames: usize) -> usize {
    frames * PAGE_SIZE / 1024
}

/// /proc/meminfo.
fn memory(text: &mut Text) {
    let free = frame::count(Owner::Free);
    let shared = memory::object::memory_pages();
    let cache = frame::count(Owner::Cache);
    let dirty = memory::reclaim::dirty_pages();
    for (name, pages) in [
        ("MemTotal", frame::total()),
        ("MemFree", free),
        ("MemAvailable", memory::reclaim::available_pages()),
        ("Buffers", 0),
        ("Cached", cache),
        ("SwapCached", 0),
        ("Active", frame::count(Owner::User) + cache),
        ("Inactive", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", dirty),
        ("Writeback", 0),
        ("AnonPages", frame::count(Owner::User)),
        ("Mapped", 0),
        ("Shmem", shared),
        ("Slab", frame::count(Owner::Heap)),
        ("SReclaimable", 0),
        ("SUnreclaim", frame::count(Owner::Heap)),
        ("KernelStack", frame::count(Owner::Stack)),
        ("PageTables", frame::count(Owner::PageTable)),
        ("CommitLimit", memory::overcommit::commit_limit()),
        ("Committed_AS", memory::overcommit::committed()),
    ] {
        put!(text, "{name}:{:width$} {:8} kB\n", "", kib(pages), width = 14usize.saturating_sub(name.len()));
    }
}

/// /proc/cpuinfo.
fn processors(text: &mut Text) {
    let identity = processor::identity();
    let names = processor::feature_names();
    let brand = cpu::brand();
    for number in 0..cpu::count() {
        put!(text, "processor\t: {number}\nvendor_id\t: {}\n", identity.vendor);
        put!(text, "cpu family\t: {}\nmodel\t\t: {}\n", identity.family, identity.model);
        put!(text, "model name\t: {brand}\nstepping\t: {}\n", identity.stepping);
        if let Some(scale) = clock::tsc_scale() {
            // Ticks a second, from nanoseconds a tick in fixed point.
            let hertz = (1_000_000_000u128 << scale.shift) / u128::from(scale.multiplier.max(1));
            let kilohertz = (hertz / 1000) as u64;
            put!(text, "cpu MHz\t\t: {}.{:03}\n", kilohertz / 1000, kilohertz % 1000);
        }
        put!(text, "physical id\t: 0\nsiblings\t: {}\ncore id\t\t: {number}\n", cpu::count());
        put!(text, "cpu cores\t: {}\nfpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\n", cpu::count());
        put!(text, "flags\t\t: {names}\nclflush size\t: 64\ncache_alignment\t: 64\n");
        let (physical, linear) = identity.address_bits;
        put!(text, "address sizes\t: {physical} bits physical, {linear} bits virtual\npower management:\n\n");
    }
}

fn cpu_line(text: &mut Text, name: fmt::Arguments<'_>, user_ns: u64, system_ns: u64, idle_ns: u64) {
    put!(text, "{name} {} 0 {} {} 0 0 0 0 0 0\n", ticks(user_ns), ticks(system_ns), ticks(idle_ns));
}

/// /proc/stat.
fn statistics(text: &mut Text) {
    let (mut user, mut system, mut idle, mut switches) = (0, 0, 0, 0);
    for number in 0..cpu::count() {
        let times = load::times(number);
        user += times.user_ns;
        system += times.system_ns;
        idle += times.idle_ns;
        switches += times.switches;
    }
    cpu_line(text, format_args!("cpu "), user, system, idle);
    for number in 0..cpu::count() {
        let times = load::times(number);
        cpu_line(text, format_args!("cpu{number}"), times.user_ns, times.system_ns, times.idle_ns);
    }
    let mut total = 0;
    machine::interrupts::for_each_count(|_, counts| total += counts.iter().sum::<u64>());
    let booted = crate::time::wall_offset_ns() / 1_000_000_000;
    let made = namespaces().map_or(0, |namespaces| namespaces.pids.last());
    put!(text, "intr {total}\nctxt {switches}\nbtime {booted}\nprocesses {made}\n");
    put!(text, "procs_running {}\nprocs_blocked 0\n", load::running().max(1));
}

/// /proc/uptime.
fn uptime(text: &mut Text) {
    let now = ticks(clock::now_ns());
    let idle: u64 = (0..cpu::count()).map(|number| load::times(number).idle_ns).sum();
    let idle = ticks(idle);
    put!(text, "{}.{:02} {}.{:02}\n", now / 100, now % 100, idle / 100, idle % 100);
}

/// /proc/loadavg.
fn averages(text: &mut Text) {
    for average in load::averages() {
        // Rounded to hundredths, as Linux does.
        let one = 1 << load::FIXED_SHIFT;
        let average = average + one / 200;
        put!(text, "{}.{:02} ", average >> load::FIXED_SHIFT, (average % one) * 100 / one);
    }
    let (total, last) =
        namespaces().map_or((0, 0), |namespaces| (namespaces.pids.task_count(), namespaces.pids.last()));
    put!(text, "{}/{total} {last}\n", load::running().max(1));
}

/// /proc/version.
fn version(text: &mut Text) {
    put!(text, "{} version {} (hob@hob) {}\n", release::SYSTEM, release::RELEASE, release::VERSION);
}

/// /proc/cmdline.
fn command_line(text: &mut Text) {
    text.push(COMMAND_LINE.get().map_or(&[][..], |line| line.as_bytes()));
    text.push(b"\n");
}

static COMMAND_LINE: Once<String> = Once::new();

/// Says what the kernel was started with.
pub fn set_command_line(line: &str) {
    // Said once, at boot.
    let _ = COMMAND_LINE.set(String::from(line));
}

/// /proc/filesystems.
fn file_systems(text: &mut Text) -> Result<(), Errno> {
    for (name, needs_device) in filesystem::kinds()? {
        put!(text, "{}\t{name}\n", if needs_device { "" } else { "nodev" });
    }
    Ok(())
}

/// /proc/devices.
fn devices(text: &mut Text) -> Result<(), Errno> {
    let (characters, blocks) = files::device::registered()?;
    put!(text, "Character devices:\n");
    for (major, name) in characters {
        put!(text, "{major:3} {name}\n");
    }
    put!(text, "\nBlock devices:\n");
    for (major, name) in blocks {
        put!(text, "{major:3} {name}\n");
    }
    Ok(())
}

/// /proc/interrupts.
fn interrupts(text: &mut Text) {
    put!(text, "     ");
    for number in 0..cpu::count() {
        put!(text, "      CPU{number:<2}");
    }
    put!(text, "\n");
    machine::interrupts::for_each_count(|name, counts| {
        put!(text, "{name:>4}:");
        for count in counts {
            put!(text, " {count:10}");
        }
        put!(text, "\n");
    });
}

/// /proc/softirqs: what was raised, by processor.
fn softirqs(text: &mut Text) {
    put!(text, "            ");
    for number in 0..cpu::count() {
        put!(text, "      CPU{number:<2}");
    }
    put!(text, "\n{:>12}", "ALL:");
    for number in 0..cpu::count() {
        put!(text, " {:10}", threads::softirq::raised(number));
    }
    put!(text, "\n");
}

/// /proc/vmstat.
fn memory_counters(text: &mut Text) {
    for (name, value) in [
        ("nr_free_pages", frame::count(Owner::Free)),
        ("nr_anon_pages", frame::count(Owner::User)),
        ("nr_file_pages", frame::count(Owner::Cache)),
        ("nr_dirty", memory::reclaim::dirty_pages()),
        ("nr_page_table_pages", frame::count(Owner::PageTable)),
        ("nr_shmem", memory::object::memory_pages()),
        ("oom_kill", memory::oom::kills()),
    ] {
        put!(text, "{name} {value}\n");
    }
}

/// Where a process sees mounts from.
fn directories(subject: &Subject) -> Option<Arc<Directories>> {
    let task = subject.task.clone().or_else(Task::current)?;
    Some(task.place()?.directories())
}

/// Tells of the mounts that a process sees, each with its place as seen from its root.
fn each_mount(subject: &Subject, text: &mut Text, tell: impl Fn(&mut Text, &Arc<Mount>, &[u8])) {
    let Some(directories) = directories(subject) else { return };
    let all = directories.namespace.mounts().map_err(Errno::from);
    let outcome = all.and_then(|mounts| {
        mounts.iter().try_for_each(|mount| {
            let root = Path { mount: mount.clone(), dentry: mount.root().clone() };
            tell(text, mount, &root.display(&directories.root)?);
            Ok(())
        })
    });
    if let Err(error) = outcome {
        text.fail(error);
    }
}

/// Spaces and their like as octal numbers, as in mtab (fstab(5)).
fn push_escaped(text: &mut Text, name: &[u8]) {
    for &byte in name {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\\' | b'#') {
            put!(text, "\\{byte:03o}");
        } else {
            text.push(&[byte]);
        }
    }
}

/// /proc/PID/mounts.
pub fn mounts_of(subject: &Subject, text: &mut Text) {
    each_mount(subject, text, |text, mount, place| {
        push_escaped(text, mount.source().as_bytes());
        text.push(b" ");
        push_escaped(text, place);
        let kind = mount.superblock().file_system().kind();
        put!(text, " {kind} {} 0 0\n", mount.options());
    });
}

/// /proc/PID/mountinfo.
pub fn mount_info(subject: &Subject, text: &mut Text) {
    each_mount(subject, text, |text, mount, place| {
        let parent = mount.place().map_or(mount.id(), |place| place.mount.id());
        let device = mount.root().inode().metadata().device;
        let (major, minor) = (abi::stat::device_major(device), abi::stat::device_minor(device));
        put!(text, "{} {parent} {major}:{minor} / ", mount.id());
        push_escaped(text, place);
        let file_system = mount.superblock().file_system();
        put!(text, " {} - {} ", if mount.is_read_only() { "ro" } else { "rw" }, file_system.kind());
        push_escaped(text, mount.source().as_bytes());
        put!(text, " {}\n", mount.options());
    });
}

/// /proc/PID/mountstats.
pub fn mount_statistics(subject: &Subject, text: &mut Text) {
    each_mount(subject, text, |text, mount, place| {
        put!(text, "device {} mounted on ", mount.source());
        push_escaped(text, place);
        put!(text, " with fstype {}\n", mount.superblock().file_system().kind());
    });
}
