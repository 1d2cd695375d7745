//! Device files: drivers registered by number, and the tree of nodes in /dev.

mod chacha;
mod memory;
pub(crate) mod nodes;
mod random;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::stat::{device_major, device_minor, device_number};
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_format};
use machine::sync::{Rank, SpinLock};

use crate::file::File;
use crate::inode::Opening;

pub use memory::{KernelLog, LogRecord, set_kernel_log};
pub use nodes::{add_link, add_node, register_kind, remove_node, superblock};
pub use random::{add_entropy, fill, is_seeded, wait_until_seeded};

/// What stands behind device numbers.
pub trait Device: Send + Sync {
    /// Opens the device with this minor number.
    fn open(&self, minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno>;
}

struct Driver {
    name: String,
    last_minor: u32,
    device: Arc<dyn Device>,
}

/// Drivers by major and first minor number.
type Table = SpinLock<BTreeMap<(u32, u32), Driver>>;

static CHARACTER: Table = SpinLock::new(Rank::Table, BTreeMap::new());
static BLOCK: Table = SpinLock::new(Rank::Table, BTreeMap::new());

#[expect(clippy::disallowed_methods, reason = "made at boot")]
fn register_in(table: &Table, name: &str, numbers: (u32, u32, u32), device: Arc<dyn Device>) {
    let (major, first_minor, last_minor) = numbers;
    let driver = Driver { name: String::from(name), last_minor, device };
    let old = table.lock().insert((major, first_minor), driver);
    drop(old);
}

fn find_in(table: &Table, number: u64) -> Option<Arc<dyn Device>> {
    let (major, minor) = (device_major(number), device_minor(number));
    let drivers = table.lock();
    let ((found_major, _), driver) = drivers.range(..=(major, minor)).next_back()?;
    (*found_major == major && minor <= driver.last_minor).then(|| Arc::clone(&driver.device))
}

/// Registers a driver of character devices for `minors` of `major`, called `name` in /proc/devices.
pub fn register(name: &str, major: u32, minors: core::ops::RangeInclusive<u32>, device: Arc<dyn Device>) {
    register_in(&CHARACTER, name, (major, *minors.start(), *minors.end()), device);
}

/// Registers a driver of block devices.
pub fn register_block(
    name: &str,
    major: u32,
    minors: core::ops::RangeInclusive<u32>,
    device: Arc<dyn Device>,
) {
    register_in(&BLOCK, name, (major, *minors.start(), *minors.end()), device);
}

/// Opens a character device by number: ENXIO where nothing is registered.
pub fn open(number: u64, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
    let device = find_in(&CHARACTER, number).ok_or(Errno::ENXIO)?;
    device.open(device_minor(number), opening)
}

/// Opens a block device by number: ENXIO where nothing is registered.
pub fn open_block(number: u64, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
    let device = find_in(&BLOCK, number).ok_or(Errno::ENXIO)?;
    device.open(device_minor(number), opening)
}

/// Majors and names of drivers.
pub type DriverNames = Vec<(u32, String)>;

/// The registered character and block drivers, for /proc/devices: ENOMEM.
pub fn registered() -> Result<(DriverNames, DriverNames), OutOfMemory> {
    let list = |table: &Table| {
        let mut names = DriverNames::new();
        for ((major, _), driver) in table.lock().iter() {
            names.try_push((*major, try_format(format_args!("{}", driver.name))?))?;
        }
        names.dedup();
        Ok(names)
    };
    Ok((list(&CHARACTER)?, list(&BLOCK)?))
}

/// Registers the devices that need no hardware and their nodes: null, zero, full, random, urandom, kmsg; the links to
/// descriptors; the directories pts and shm.
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn start() -> Result<(), Errno> {
    register_kind();
    register("mem", memory::MAJOR, 0..=255, Arc::new(memory::MemoryDevices));
    for (name, minor, permissions) in memory::NODES {
        add_node(name, crate::Kind::CharacterDevice, permissions, device_number(memory::MAJOR, minor))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        add_link(name, target)?;
    }
    nodes::add_directory("pts", 0o755)?;
    nodes::add_directory("shm", 0o1777)
}
