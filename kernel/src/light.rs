//! What happens once there are threads: drivers, the root file system, the first program.

use alloc::format;
use alloc::string::String;

use drivers::serial::{self, COM1};
use drivers::{console, report};
use machine::clock::Refinement;
use machine::frame::{self, Owner};
use machine::sync::Once;
use machine::{boot, clock, cpu};
use threads::softirq;
use threads::time::Timer;

use crate::{job, log, options, root};

/// Logs what kind of machine this is.
pub fn say_machine() {
    let info = boot::info();
    let usable: u64 = info
        .regions
        .iter()
        .filter(|region| region.kind == boot::RegionKind::Usable)
        .map(|region| region.len)
        .sum();
    let (source, missing) =
        boot::processors().map_or(("none", &[][..]), |found| (found.source, &found.missing[..]));
    let count = cpu::count();
    let plural = if count == 1 { "" } else { "s" };
    kernel_log::notice!("Hob {} on {}", env!("CARGO_PKG_VERSION"), cpu::brand());
    kernel_log::notice!(
        "{count} processor{plural} ({source}), {} of memory, clock {} by {}, booted by {}",
        size(usable),
        clock::source_name(),
        clock::reference_name(),
        info.protocol
    );
    if clock::source_name() == "tsc-unsynchronised" {
        kernel_log::warn!(
            "the time stamp counter is not trusted, and there is no other clock: time never goes back, but may go faster or slower"
        );
    }
    for apic_id in missing {
        kernel_log::error!("the processor with APIC id {apic_id} did not start");
    }
    if cpu::has_meltdown_flaw() {
        kernel_log::warn!(
            "this processor may let programs read the kernel's memory (Meltdown), and Hob does not prevent it: run \
             only programs that you trust"
        );
    }
    kernel_log::info!("command line: {}", info.command_line);
    for region in &info.regions {
        kernel_log::info!("memory {:#014x} {:>10} KiB {:?}", region.start.0, region.len / 1024, region.kind);
    }
    kernel_log::info!("{} frames free of {}", frame::count(Owner::Free), frame::total());
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    if bytes < 10 << 20 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{} MiB", (bytes + (1 << 19)) >> 20)
    }
}

/// When the clock is measured again, in nanoseconds since boot: a second is long enough for some millionths.
const REFINE_AT_NS: u64 = 1_000_000_000;

/// Measures the clock again, once, when more time has passed than the boot could wait for.
fn refine_clock_later() {
    static TIMER: Once<Timer> = Once::new();
    let made = Timer::new(|| match clock::refine() {
        Refinement::Better { from_hz, to_hz, error_ppm } => kernel_log::info!(
            "clock: {}.{:03} MHz, {} ppm from what it was taken for, exact to {error_ppm} ppm",
            to_hz / 1_000_000,
            to_hz / 1000 % 1000,
            i128::from(to_hz).abs_diff(from_hz.into()) * 1_000_000 / u128::from(from_hz.max(1)),
        ),
        Refinement::Unsteady => kernel_log::warn!("clock: the time stamp counter has changed its rate"),
        Refinement::Impossible => {}
    });
    // Called once.
    let _ = made.map(|timer| TIMER.set(timer));
    if let Some(timer) = TIMER.get() {
        timer.set(REFINE_AT_NS);
    }
}

/// The first thread: lights the rest and becomes nothing.
pub fn light() {
    let options = options::get();
    softirq::register(softirq::Kind::Device, || {
        serial::work();
        kernel_log::notify();
    });
    refine_clock_later();
    log::share();
    if let Err(error) = files::start() {
        panic!("the file systems could not be started: {error}");
    }
    if options.has_report
        && let Err(error) = report::start(job::host_says)
    {
        kernel_log::error!("the report on ttyS1 could not be opened: {error}");
    }
    let terminal = serial::Port::open(COM1).and_then(|port| console::start(&port, 0, options.window));
    match terminal {
        Ok(terminal) => {
            kernel_log::notice!("console: /dev/{}", terminal.name());
            job::set_console(terminal);
        }
        Err(error) => kernel_log::error!("the console on ttyS0 could not be opened: {error}"),
    }
    seed();
    if options.offers_failures {
        linux::offer_failures();
    }
    linux::set_command_line(&boot::info().command_line);
    linux::start_file_systems();
    let namespace = root::make();
    job::start(namespace);
}

/// Gives the random generator what the machine has: RDRAND, or the jitter of the clock against the processor.
fn seed() {
    let mut bytes = [0; 64];
    let mut is_good = true;
    for chunk in bytes.chunks_exact_mut(8) {
        let word = machine::random::hardware_u64().unwrap_or_else(|| {
            is_good = false;
            jitter()
        });
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    // Jitter is credited with a bit for each eight of its samples.
    files::device::add_entropy(&bytes, if is_good { 512 } else { 256 });
}

/// Folds 256 intervals between reads of the counter, with memory accesses in between, into a word.
fn jitter() -> u64 {
    let mut word = 0u64;
    let mut last = machine::random::cycles();
    for _ in 0..256 {
        core::hint::black_box(alloc::vec![0u8; 64]);
        let now = machine::random::cycles();
        word = word.rotate_left(7) ^ now.wrapping_sub(last).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        last = now;
    }
    word
}
