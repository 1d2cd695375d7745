//! Random words for layouts and programs' start, from the generator behind /dev/urandom.

/// Fills `into`.
pub fn fill(into: &mut [u8]) {
    files::device::fill(into);
}

/// A random word.
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
