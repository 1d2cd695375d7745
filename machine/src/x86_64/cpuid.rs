//! What this processor can do, and switching on what it has.

use alloc::string::String;
use alloc::vec::Vec;
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

use super::{context, descriptors, instructions, traps, usercopy};
use crate::sync::Once;

/// The features that the kernel chooses by.
#[derive(Debug, Clone, Copy)]
pub struct Features {
    pub smep: bool,
    pub smap: bool,
    pub umip: bool,
    pub fsgsbase: bool,
    pub xsave: bool,
    pub xsaveopt: bool,
    pub gigabyte_pages: bool,
    pub rdrand: bool,
    pub x2apic: bool,
    pub tsc_deadline: bool,
    /// The time stamp counter runs at one rate, whatever the core's.
    pub invariant_tsc: bool,
    /// A hypervisor or an emulator is below.
    pub is_virtual: bool,
    /// Programs may be able to read the kernel's memory past its protection (CVE-2017-5754).
    pub has_meltdown: bool,
    /// A processor that must be left alone for 10 ms after its reset: of before 2005 or so.
    pub slow_reset: bool,
    /// State components to enable in XCR0, and the bytes they take.
    pub xcr0: u64,
    pub xsave_len: usize,
}

static FEATURES: Once<Features> = Once::new();

fn leaf(leaf: u32) -> CpuidResult {
    __cpuid(leaf)
}

/// The features, found at the first call (on the boot processor).
pub fn features() -> &'static Features {
    if FEATURES.get().is_none() {
        // The other processors find it set; were two to race, both set the same.
        let _ = FEATURES.set(probe());
    }
    match FEATURES.get() {
        Some(features) => features,
        None => unreachable!("just set"),
    }
}

/// State components that Hob gives to programs: x87, SSE, AVX, AVX-512 (Intel SDM vol. 1, 13.1).
const WANTED_STATE: u64 = 0b1110_0111;
const AVX512_STATE: u64 = 0b1110_0000;

fn probe() -> Features {
    let highest = leaf(0).eax;
    let basic = leaf(1);
    let extended =
        if highest >= 7 { __cpuid_count(7, 0) } else { CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 } };
    let highest_extended = leaf(0x8000_0000).eax;
    let amd = leaf(0x8000_0001);
    let xsave = basic.ecx & 1 << 26 != 0;
    let (mut xcr0, mut xsave_len, mut xsaveopt) = (3, 512, false);
    if xsave {
        let state = __cpuid_count(0xd, 0);
        xcr0 = (u64::from(state.edx) << 32 | u64::from(state.eax)) & WANTED_STATE;
        if xcr0 & AVX512_STATE != AVX512_STATE {
            xcr0 &= !AVX512_STATE;
        }
        // Offset and size of each component past the legacy area and the header.
        xsave_len = 576;
        for component in (2..63).filter(|component| xcr0 & 1 << component != 0) {
            let place = __cpuid_count(0xd, component);
            xsave_len = xsave_len.max(place.ebx as usize + place.eax as usize);
        }
        xsaveopt = __cpuid_count(0xd, 1).eax & 1 != 0;
    }
    Features {
        smep: extended.ebx & 1 << 7 != 0,
        smap: extended.ebx & 1 << 20 != 0,
        umip: extended.ecx & 1 << 2 != 0,
        fsgsbase: extended.ebx & 1 != 0,
        xsave,
        xsaveopt,
        gigabyte_pages: amd.edx & 1 << 26 != 0,
        rdrand: basic.ecx & 1 << 30 != 0,
        x2apic: basic.ecx & 1 << 21 != 0,
        tsc_deadline: basic.ecx & 1 << 24 != 0,
        invariant_tsc: highest_extended >= 0x8000_0007 && leaf(0x8000_0007).edx & 1 << 8 != 0,
        is_virtual: basic.ecx & 1 << 31 != 0,
        has_meltdown: has_meltdown(if highest >= 7 { extended.edx } else { 0 }),
        slow_reset: !is_quick_to_reset(basic.eax),
        xcr0,
        xsave_len,
    }
}

/// Intel's processors have the flaw unless they say otherwise: RDCL_NO, bit 0 of IA32_ARCH_CAPABILITIES (Intel SDM vol. 4,
/// table 2-2), a register that is there when bit 29 of leaf 7's EDX is set. AMD's never had it.
fn has_meltdown(leaf_7_edx: u32) -> bool {
    const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
    let vendor = leaf(0);
    let vendor = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    if vendor.as_flattened() != b"GenuineIntel" {
        return false;
    }
    // SAFETY: the register exists, as the bit says, and reading it changes nothing.
    let is_mended =
        leaf_7_edx & 1 << 29 != 0 && unsafe { instructions::read_msr(IA32_ARCH_CAPABILITIES) } & 1 != 0;
    !is_mended
}

/// Whether a processor with this signature (leaf 1) needs no pause between its reset and its start, as the MultiProcessor
/// Specification asked for (1.4, B.4): Intel's family 6 and AMD's from 15 on do not, nor do those of AMD's heirs.
fn is_quick_to_reset(signature: u32) -> bool {
    let vendor = leaf(0);
    let vendor = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    let base = signature >> 8 & 0xf;
    let family = if base == 0xf { base + (signature >> 20 & 0xff) } else { base };
    match vendor.as_flattened() {
        b"GenuineIntel" => family == 6 || family > 0xf,
        b"AuthenticAMD" | b"HygonGenuine" => family >= 0xf,
        _ => false,
    }
}

/// Switches on, on the calling processor, what `features` has: protections, extended state, the call
/// instruction.
pub fn enable() {
    let features = features();
    let mut cr4 = instructions::read_cr4();
    cr4 |= 1 << 9 | 1 << 10; // OSFXSR, OSXMMEXCPT
    for (has, bit) in [
        (features.smep, 20),
        (features.smap, 21),
        (features.umip, 11),
        (features.fsgsbase, 16),
        (features.xsave, 18),
    ] {
        if has {
            cr4 |= 1 << bit;
        }
    }
    let mut cr0 = instructions::read_cr0();
    cr0 |= 1 << 16 | 1 << 1 | 1 << 5; // WP, MP, NE
    cr0 &= !(1 << 2 | 1 << 3); // EM, TS: programs use the FPU at will, the kernel never does
    let selectors = u64::from(descriptors::USER_BASE) << 48 | u64::from(descriptors::KERNEL_CODE) << 32;
    // SAFETY: each bit set in CR4 is one that CPUID reports; CR0 keeps paging and protection; the registers
    // of SYSCALL exist on every x86-64 processor, the entry is the kernel's, and the mask keeps interrupts
    // off, the direction forward and traps out at entry.
    unsafe {
        instructions::write_cr4(cr4);
        instructions::write_cr0(cr0);
        if features.xsave {
            instructions::write_xcr0(features.xcr0);
        }
        let efer = instructions::read_msr(0xc000_0080);
        instructions::write_msr(0xc000_0080, efer | 1 | 1 << 11); // SCE, NXE
        instructions::write_msr(0xc000_0081, selectors);
        instructions::write_msr(0xc000_0082, traps::call_entry_address());
        instructions::write_msr(0xc000_0084, 0x4_7700); // AC NT IOPL DF IF TF
    }
    usercopy::set_smap(features.smap);
    context::init_processor();
}

/// A word of hardware randomness.
pub fn random_u64() -> Option<u64> {
    if !features().rdrand {
        return None;
    }
    (0..10).find_map(|_| {
        let (value, is_good): (u64, u8);
        // SAFETY: CPUID reports the instruction.
        unsafe {
            core::arch::asm!("rdrand {0}", "setc {1}", out(reg) value, out(reg_byte) is_good, options(nomem, nostack));
        }
        (is_good != 0).then_some(value)
    })
}

pub fn has_meltdown_flaw() -> bool {
    features().has_meltdown
}

/// The processor's own name for itself.
pub fn cpu_brand() -> String {
    let mut name = Vec::new();
    if leaf(0x8000_0000).eax >= 0x8000_0004 {
        for part in 0x8000_0002..=0x8000_0004 {
            let words = leaf(part);
            name.extend([words.eax, words.ebx, words.ecx, words.edx].into_iter().flat_map(u32::to_le_bytes));
        }
    }
    String::from_utf8_lossy(&name).trim_matches(|letter| letter == ' ' || letter == '\0').into()
}
