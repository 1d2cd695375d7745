//! The floors of the house: a crate uses only what stands lower.

use crate::suites::Package;

/// The kernel's crates and the floors they stand on. Two on one floor do not know each other.
const FLOORS: [(&str, u32); 12] = [
    ("abi", 0),
    ("formats", 0),
    ("machine", 1),
    ("kernel-log", 2),
    ("threads", 3),
    ("memory", 4),
    ("block", 5),
    ("network", 5),
    ("files", 6),
    ("linux", 7),
    ("drivers", 7),
    ("kernel", 8),
];

fn floor(name: &str) -> Option<u32> {
    FLOORS.iter().find(|(other, _)| *other == name).map(|(_, floor)| *floor)
}

/// Every dependency that points upwards or sideways, in words.
pub fn violations(packages: &[(String, &Package)]) -> Vec<String> {
    let mut violations = Vec::new();
    for (folder, package) in packages {
        let used = package.dependencies.iter().filter(|other| other.kind.as_deref() != Some("dev"));
        for other in used.filter(|other| other.path.is_some()) {
            if let Some(reason) = forbidden(folder, &package.name, &other.name) {
                violations.push(format!("{} may not use {}: {reason}", package.name, other.name));
            }
        }
    }
    violations
}

/// Why the crate in `folder` may not use `other`, if it may not.
fn forbidden(folder: &str, name: &str, other: &str) -> Option<&'static str> {
    let other_floor = floor(other)?;
    match floor(name) {
        Some(own) if other_floor >= own => Some("it does not stand on a lower floor"),
        Some(_) => None,
        // Test kernels are made of the kernel's crates.
        None if folder.starts_with("tests/") || folder.starts_with("bench/") => None,
        None if other_floor > 0 => Some("programs use no crate of the kernel but abi and formats"),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_may_look_down_and_neither_up_nor_sideways() {
        assert_eq!(forbidden("kernel/files", "files", "memory"), None);
        assert!(forbidden("kernel/memory", "memory", "files").is_some());
        assert!(forbidden("kernel/drivers", "drivers", "linux").is_some());
    }

    #[test]
    fn a_service_uses_formats_and_no_crate_of_the_kernel() {
        assert_eq!(forbidden("cli", "cli", "formats"), None);
        assert!(forbidden("apps/hub", "hub", "threads").is_some());
        assert_eq!(forbidden("tests/machine", "machine-tests", "threads"), None);
    }
}
