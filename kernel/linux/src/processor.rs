//! What the processor says of itself (CPUID), for the auxiliary vector and /proc/cpuinfo.

use alloc::string::String;
use core::arch::x86_64::{__cpuid, __cpuid_count};

/// The feature bits that Linux gives as AT_HWCAP: EDX of leaf 1.
pub fn features_edx() -> u32 {
    __cpuid(1).edx
}

/// The maker, family, model and stepping.
pub struct Identity {
    /// The maker's name.
    pub vendor: String,
    /// The family.
    pub family: u32,
    /// The model.
    pub model: u32,
    /// The stepping.
    pub stepping: u32,
    /// Bits of physical and of virtual addresses.
    pub address_bits: (u32, u32),
}

/// Which processor this is (Intel SDM volume 2, CPUID).
#[expect(clippy::disallowed_methods, reason = "made at boot")]
pub fn identity() -> Identity {
    let maker = __cpuid(0);
    let bytes: alloc::vec::Vec<u8> =
        [maker.ebx, maker.edx, maker.ecx].iter().flat_map(|word| word.to_le_bytes()).collect();
    let version = __cpuid(1).eax;
    let (base_family, base_model) = (version >> 8 & 0xf, version >> 4 & 0xf);
    let family = if base_family == 0xf { base_family + (version >> 20 & 0xff) } else { base_family };
    let model = if base_family >= 6 { base_model | (version >> 16 & 0xf) << 4 } else { base_model };
    let sizes = if __cpuid(0x8000_0000).eax >= 0x8000_0008 { __cpuid(0x8000_0008).eax } else { 36 | 48 << 8 };
    Identity {
        vendor: String::from_utf8_lossy(&bytes).into_owned(),
        family,
        model,
        stepping: version & 0xf,
        address_bits: (sizes & 0xff, sizes >> 8 & 0xff),
    }
}

/// Names of feature bits as /proc/cpuinfo has them: leaf, register (0 EAX to 3 EDX), bit.
const FEATURES: &[(u32, usize, u32, &str)] = &[
    (1, 3, 0, "fpu"),
    (1, 3, 1, "vme"),
    (1, 3, 2, "de"),
    (1, 3, 3, "pse"),
    (1, 3, 4, "tsc"),
    (1, 3, 5, "msr"),
    (1, 3, 6, "pae"),
    (1, 3, 7, "mce"),
    (1, 3, 8, "cx8"),
    (1, 3, 9, "apic"),
    (1, 3, 11, "sep"),
    (1, 3, 12, "mtrr"),
    (1, 3, 13, "pge"),
    (1, 3, 14, "mca"),
    (1, 3, 15, "cmov"),
    (1, 3, 16, "pat"),
    (1, 3, 17, "pse36"),
    (1, 3, 19, "clflush"),
    (1, 3, 23, "mmx"),
    (1, 3, 24, "fxsr"),
    (1, 3, 25, "sse"),
    (1, 3, 26, "sse2"),
    (1, 3, 27, "ss"),
    (1, 3, 28, "ht"),
    (0x8000_0001, 3, 11, "syscall"),
    (0x8000_0001, 3, 20, "nx"),
    (0x8000_0001, 3, 26, "pdpe1gb"),
    (0x8000_0001, 3, 27, "rdtscp"),
    (0x8000_0001, 3, 29, "lm"),
    (1, 2, 0, "pni"),
    (1, 2, 1, "pclmulqdq"),
    (1, 2, 9, "ssse3"),
    (1, 2, 12, "fma"),
    (1, 2, 13, "cx16"),
    (1, 2, 17, "pcid"),
    (1, 2, 19, "sse4_1"),
    (1, 2, 20, "sse4_2"),
    (1, 2, 21, "x2apic"),
    (1, 2, 22, "movbe"),
    (1, 2, 23, "popcnt"),
    (1, 2, 25, "aes"),
    (1, 2, 26, "xsave"),
    (1, 2, 28, "avx"),
    (1, 2, 29, "f16c"),
    (1, 2, 30, "rdrand"),
    (1, 2, 31, "hypervisor"),
    (0x8000_0001, 2, 0, "lahf_lm"),
    (0x8000_0001, 2, 5, "abm"),
    (7, 1, 0, "fsgsbase"),
    (7, 1, 3, "bmi1"),
    (7, 1, 5, "avx2"),
    (7, 1, 7, "smep"),
    (7, 1, 8, "bmi2"),
    (7, 1, 9, "erms"),
    (7, 1, 10, "invpcid"),
    (7, 1, 18, "rdseed"),
    (7, 1, 19, "adx"),
    (7, 1, 20, "smap"),
    (7, 1, 23, "clflushopt"),
    (7, 2, 2, "umip"),
];

/// The processor's features, separated by spaces.
pub fn feature_names() -> String {
    let most = __cpuid(0).eax;
    let most_extended = __cpuid(0x8000_0000).eax;
    let mut names = String::new();
    for &(leaf, register, bit, name) in FEATURES {
        let is_there = if leaf < 0x8000_0000 { leaf <= most } else { leaf <= most_extended };
        if !is_there {
            continue;
        }
        let result = __cpuid_count(leaf, 0);
        let words = [result.eax, result.ebx, result.ecx, result.edx];
        if words[register] >> bit & 1 != 0 {
            if !names.is_empty() {
                names.push(' ');
            }
            names.push_str(name);
        }
    }
    names
}
