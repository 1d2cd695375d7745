//! Whether the processor can run the guest itself (KVM) or QEMU must translate it (TCG).

use std::fs;

/// How guest instructions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// KVM where the processor has it and its device opens. A machine may show a /dev/kvm without vmx or svm; ordinary
    /// guests crawl there.
    pub fn best() -> Self {
        let has_flag = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| has_virtualization(&text));
        let opens = || fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        if has_flag && opens() { Self::Kvm } else { Self::Tcg }
    }

    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The processor model that offers the most.
    pub fn cpu(self) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => "max",
        }
    }
}

/// Whether /proc/cpuinfo's text names Intel's or AMD's virtualization.
fn has_virtualization(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flag_of_its_own_counts_as_virtualization() {
        assert!(has_virtualization("flags\t\t: fpu svm sse"));
        assert!(!has_virtualization("flags\t\t: fpu svm_lock sse\nmodel name\t: vmx"));
    }
}
