//! Counters with a known rate, against which the time stamp counter is measured: HPET, the ACPI timer, the 8254.

use crate::address::PhysicalAddress;
use crate::clock::calibration::Reference;
use crate::sync::Once;
use crate::x86_64::memory::IoMapping;
use crate::x86_64::{firmware, memory, ports};

/// Names, as Linux has them.
const ACPI_TIMER: &str = "acpi_pm";
pub const PIT: &str = "pit";

/// Rate of the 8254, in Hz.
const PIT_HZ: u64 = 1_193_182;
/// Rate of the ACPI timer, in Hz (ACPI 6.5, 4.8.2.1).
const ACPI_TIMER_HZ: u64 = 3_579_545;

/// The references that this machine says it has, the best first. The last is always there.
pub fn all() -> impl Iterator<Item = (&'static str, &'static (dyn Reference + Sync))> {
    static HPET: Once<Hpet> = Once::new();
    static ACPI: Once<AcpiTimer> = Once::new();
    let hpet = firmware::hpet().and_then(Hpet::new).and_then(|hpet| {
        // Called once.
        let _ = HPET.set(hpet);
        HPET.get()
    });
    let acpi = firmware::acpi_timer().and_then(|(port, is_32_bits)| {
        let _ = ACPI.set(AcpiTimer { port, is_32_bits });
        ACPI.get()
    });
    let hpet = hpet.map(|hpet| ("hpet", hpet as &'static (dyn Reference + Sync)));
    let acpi = acpi.map(|timer| (ACPI_TIMER, timer as &'static (dyn Reference + Sync)));
    hpet.into_iter().chain(acpi).chain(core::iter::once_with(|| {
        ports::pit_start();
        (PIT, &Pit as &'static (dyn Reference + Sync))
    }))
}

/// The high precision event timer.
struct Hpet {
    registers: IoMapping,
    hz: u64,
}

impl Hpet {
    // HPET specification 1.0a, 2.3.4.
    const CAPABILITIES: usize = 0;
    const CONFIGURATION: usize = 0x10;
    const COUNTER: usize = 0xf0;

    fn new(address: PhysicalAddress) -> Option<Self> {
        let registers = memory::map_device(address, 0x400).ok()?;
        let register = |offset: usize| registers.pointer().wrapping_add(offset).cast::<u64>();
        // SAFETY: the mapping covers the device's registers; counting on harms nobody.
        let period_fs = unsafe {
            register(Self::CONFIGURATION).write_volatile(register(Self::CONFIGURATION).read_volatile() | 1);
            register(Self::CAPABILITIES).read_volatile() >> 32
        };
        if period_fs == 0 || period_fs > 100_000_000 {
            return None;
        }
        Some(Self { registers, hz: 1_000_000_000_000_000 / period_fs })
    }
}

impl Reference for Hpet {
    fn read(&self) -> u64 {
        // SAFETY: the mapping covers the register; one of 32 bits is the lower half of one of 64.
        unsafe { self.registers.pointer().add(Self::COUNTER).cast::<u32>().read_volatile() }.into()
    }

    fn modulus(&self) -> u64 {
        1 << 32
    }

    fn hz(&self) -> u64 {
        self.hz
    }
}

/// The timer of ACPI's power management.
struct AcpiTimer {
    port: u16,
    is_32_bits: bool,
}

impl Reference for AcpiTimer {
    fn read(&self) -> u64 {
        // SAFETY: the FADT names the port as that of the timer, whose reading changes nothing.
        u64::from(unsafe { ports::port_in_u32(self.port) }) % self.modulus()
    }

    fn modulus(&self) -> u64 {
        if self.is_32_bits { 1 << 32 } else { 1 << 24 }
    }

    fn hz(&self) -> u64 {
        ACPI_TIMER_HZ
    }
}

/// Channel 0 of the 8254, through its latch: that needs no gate, and QEMU's microvm has nothing else.
struct Pit;

impl Reference for Pit {
    fn read(&self) -> u64 {
        // It counts down, and starts again from 65536.
        u64::from(!ports::pit_count())
    }

    fn modulus(&self) -> u64 {
        1 << 16
    }

    fn hz(&self) -> u64 {
        PIT_HZ
    }
}
