//! The areas of an address space as maps and smaps tell them (proc(5)), and its memory as bytes.

use abi::Errno;
use files::pseudo::Text;
use machine::address::UserAddress;
use memory::space::{AreaReport, PageUse};
use memory::{AddressSpace, AreaFlags, MapKind, Protection};

use super::put;
use super::status::Subject;

fn line(area: &AreaReport, text: &mut Text) {
    let letter = |right, letter| if area.protection.contains(right) { letter } else { '-' };
    let (device, inode) = area.identity;
    let start = text.len();
    put!(
        text,
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {inode} ",
        area.range.start,
        area.range.end,
        letter(Protection::READ, 'r'),
        letter(Protection::WRITE, 'w'),
        letter(Protection::EXECUTE, 'x'),
        if area.kind == MapKind::Shared { 's' } else { 'p' },
        area.offset_bytes,
        abi::stat::device_major(device),
        abi::stat::device_minor(device),
    );
    match &area.name {
        Ok(name) if name.is_empty() => {}
        Ok(name) => {
            // Names begin in the same column.
            let missing = (start + 73).saturating_sub(text.len());
            put!(text, "{:missing$}", "");
            text.push(name);
        }
        Err(error) => text.fail(*error),
    }
    text.push(b"\n");
}

fn space(subject: &Subject) -> Option<alloc::sync::Arc<AddressSpace>> {
    Some(subject.process.program()?.space().clone())
}

/// /proc/PID/maps.
pub fn maps(subject: &Subject, text: &mut Text) {
    if let Some(space) = space(subject) {
        space.for_each_area(UserAddress::NULL, |area| {
            line(&area, text);
            true
        });
    }
}

fn kib(pages: usize) -> usize {
    pages * 4
}

fn sizes(size_kib: usize, used: &PageUse, text: &mut Text) {
    put!(text, "Size:           {size_kib:8} kB\n");
    put!(text, "KernelPageSize: {:8} kB\nMMUPageSize:    {:8} kB\n", 4, 4);
    amounts(used, text);
}

fn amounts(used: &PageUse, text: &mut Text) {
    for (name, amount) in [
        ("Rss:", kib(used.resident)),
        ("Pss:", used.proportional_bytes / 1024),
        ("Shared_Clean:", kib(used.shared_clean)),
        ("Shared_Dirty:", kib(used.shared_dirty)),
        ("Private_Clean:", kib(used.private_clean)),
        ("Private_Dirty:", kib(used.private_dirty)),
        ("Referenced:", kib(used.referenced)),
        ("Anonymous:", kib(used.anonymous)),
        ("LazyFree:", 0),
        ("AnonHugePages:", 0),
        ("ShmemPmdMapped:", 0),
        ("FilePmdMapped:", 0),
        ("Shared_Hugetlb:", 0),
        ("Private_Hugetlb:", 0),
        ("Swap:", 0),
        ("SwapPss:", 0),
        ("Locked:", 0),
    ] {
        put!(text, "{name:<15} {amount:8} kB\n");
    }
}

/// /proc/PID/smaps.
pub fn smaps(subject: &Subject, text: &mut Text) {
    let Some(space) = space(subject) else { return };
    space.for_each_area(UserAddress::NULL, |area| {
        line(&area, text);
        let used = space.page_use(area.range.clone());
        sizes(area.range.len() / 1024, &used, text);
        put!(text, "THPeligible:           0\nVmFlags:");
        for (is_set, name) in [
            (area.protection.contains(Protection::READ), "rd"),
            (area.protection.contains(Protection::WRITE), "wr"),
            (area.protection.contains(Protection::EXECUTE), "ex"),
            (area.kind == MapKind::Shared, "sh"),
            (true, "mr"),
            (true, "mw"),
            (true, "me"),
            (area.flags.contains(AreaFlags::GROWS_DOWN), "gd"),
            (area.flags.contains(AreaFlags::LOCKED), "lo"),
            (area.flags.contains(AreaFlags::DONT_FORK), "dc"),
            (area.flags.contains(AreaFlags::NO_RESERVE), "nr"),
            (area.flags.contains(AreaFlags::DONT_DUMP), "dd"),
        ] {
            if is_set {
                put!(text, " {name}");
            }
        }
        text.push(b"\n");
        true
    });
}

/// /proc/PID/smaps_rollup: the sum of all areas.
pub fn rollup(subject: &Subject, text: &mut Text) {
    let Some(space) = space(subject) else { return };
    let mut sum = PageUse::default();
    let (mut first, mut last) = (usize::MAX, 0);
    space.for_each_area(UserAddress::NULL, |area| {
        let used = space.page_use(area.range.clone());
        (first, last) = (first.min(area.range.start), area.range.end);
        sum.resident += used.resident;
        sum.proportional_bytes += used.proportional_bytes;
        sum.shared_clean += used.shared_clean;
        sum.shared_dirty += used.shared_dirty;
        sum.private_clean += used.private_clean;
        sum.private_dirty += used.private_dirty;
        sum.referenced += used.referenced;
        sum.anonymous += used.anonymous;
        true
    });
    put!(text, "{:08x}-{last:08x} ---p 00000000 00:00 0 {:>23}[rollup]\n", first.min(last), "");
    amounts(&sum, text);
}

/// Bytes of the program's memory between two addresses: arguments, environment. A process without memory has none.
pub fn bytes(subject: &Subject, range: (u64, u64), text: &mut Text) -> Result<(), Errno> {
    let Some(space) = space(subject) else { return Ok(()) };
    let mut at = range.0;
    let mut chunk = [0; 256];
    while at < range.1 {
        let len = ((range.1 - at) as usize).min(chunk.len());
        let part = chunk.get_mut(..len).unwrap_or_default();
        let done = space.read_remote(UserAddress(at as usize), part, true)?;
        text.push(part.get(..done).unwrap_or_default());
        if done < len {
            break;
        }
        at += done as u64;
    }
    Ok(())
}
