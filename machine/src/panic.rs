//! The end after a bug: say where, stop everything.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use formats::symbols::Table;

use crate::arch;
use crate::console::Console;
use crate::power;
use crate::sync::Once;

/// The place that `./hob` fills with the table of symbols (docs/testing.md): magic number and length, the
/// table behind.
#[unsafe(link_section = ".hob_symbols")]
#[used]
static SYMBOLS: [u64; 2] = [u64::from_le_bytes(*b"HOBSYMS\0"), 0];

static HOOK: Once<fn(&PanicInfo<'_>)> = Once::new();
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// Sets what is told of a panic before the machine stops, on the processor that panicked, the others stopped
/// already. Called once.
pub fn set_panic_hook(hook: fn(&PanicInfo<'_>)) {
    // The first one stays.
    let _ = HOOK.set(hook);
}

/// Length of the table in bytes, and where it is.
fn symbols() -> Option<Table<'static>> {
    let (start, len) = symbols_extent();
    // SAFETY: the loader put `len` bytes behind the header, which are never written.
    Table::parse(unsafe { core::slice::from_raw_parts(start, len) })
}

/// First byte and length of the symbol table in the image.
pub(crate) fn symbols_extent() -> (*const u8, usize) {
    let header = &raw const SYMBOLS;
    // SAFETY: a static of our own; volatile because `./hob` changes the length after the link.
    let len = unsafe { (&raw const (*header)[1]).read_volatile() };
    (header.wrapping_add(1).cast(), len as usize)
}

/// Writes "name+offset", or the address alone.
fn write_place(out: &mut dyn Write, address: u64) {
    let _ = match symbols().as_ref().and_then(|table| table.find(address)) {
        Some(location) => writeln!(out, "  {address:#x} {}+{:#x}", location.name, location.offset),
        None => writeln!(out, "  {address:#x}"),
    };
}

/// Writes the calls that led here, innermost first.
pub fn write_backtrace(out: &mut dyn Write) {
    arch::walk_stack(&mut |address| write_place(out, address));
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    arch::stop_others();
    if HAS_PANICKED.swap(true, Ordering::SeqCst) {
        // The panic itself went wrong: nothing more can be trusted.
        power::debug_exit(2);
        power::stop();
    }
    let mut console = Console::unlocked();
    let _ = writeln!(console, "\nkernel panic on processor {}: {info}", crate::cpu::current());
    write_backtrace(&mut console);
    if let Some(hook) = HOOK.get() {
        hook(info);
    }
    power::debug_exit(2);
    power::stop()
}
