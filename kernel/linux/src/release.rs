//! What the system calls itself (uname(2), /proc/version). Programs compare the release with what they need, so it is the version of Linux whose calls are offered.

/// The system.
pub const SYSTEM: &str = "Linux";
/// The version of Linux that programs may expect.
pub const RELEASE: &str = concat!("6.12.0-hob-", env!("CARGO_PKG_VERSION"));
/// The build.
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC Hob";
/// The machine.
pub const MACHINE: &str = "x86_64";
