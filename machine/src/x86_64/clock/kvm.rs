//! The counter's rate in KVM's own words: kvm-clock (Linux: Documentation/virt/kvm/x86/msr.rst and cpuid.rst).

use core::arch::x86_64::__cpuid;
use core::cell::UnsafeCell;

use crate::clock::pvclock::Told;
use crate::x86_64::cpuid::features;
use crate::x86_64::{instructions, memory};

const SIGNATURE: u32 = 0x4000_0000;
const FEATURES: u32 = 0x4000_0001;
/// The registers of the clock are the newer pair.
const FEATURE_CLOCK: u32 = 1 << 3;
const MSR_SYSTEM_TIME: u32 = 0x4b56_4d01;

/// Where the hypervisor writes what it knows. It may not cross a page.
#[repr(C, align(64))]
struct Area(UnsafeCell<[u32; Told::WORDS]>);

// SAFETY: used by `ask` alone, which the boot processor calls once.
unsafe impl Sync for Area {}

static AREA: Area = Area(UnsafeCell::new([0; Told::WORDS]));

/// What KVM says of the counter; `None` under anything else.
pub fn ask() -> Option<Told> {
    let signature = __cpuid(SIGNATURE);
    let name = [signature.ebx, signature.ecx, signature.edx].map(u32::to_le_bytes);
    let is_kvm = features().is_virtual && name.as_flattened() == b"KVMKVMKVM\0\0\0";
    if !is_kvm || __cpuid(FEATURES).eax & FEATURE_CLOCK == 0 {
        return None;
    }
    let address = AREA.0.get() as u64 - memory::IMAGE;
    let mut words = [0; Told::WORDS];
    // SAFETY: KVM reports the register. It writes to the area, which is of the size that it wants, until the second write
    // says that nobody wants it any more; the area is memory of nobody else's, read here only.
    unsafe {
        instructions::write_msr(MSR_SYSTEM_TIME, address | 1);
        for (index, word) in words.iter_mut().enumerate() {
            *word = AREA.0.get().cast::<u32>().add(index).read_volatile();
        }
        instructions::write_msr(MSR_SYSTEM_TIME, 0);
    }
    Told::parse(words)
}
