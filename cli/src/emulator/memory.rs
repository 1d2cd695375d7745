//! Sizes of memory as people write them: 24M, 1G.

use std::fmt;
use std::str::FromStr;

/// A size of memory in whole mebibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySize {
    mebibytes: u64,
}

impl MemorySize {
    /// A size in MiB.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self { mebibytes }
    }

    /// The size in KiB.
    pub const fn kibibytes(self) -> u64 {
        self.mebibytes * 1024
    }
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a size such as 24M or 1G, not '{text}'");
        let (number, factor) = match text.as_bytes().last() {
            Some(b'M' | b'm') => (&text[..text.len() - 1], 1),
            Some(b'G' | b'g') => (&text[..text.len() - 1], 1024),
            _ => (text, 1),
        };
        let number: u64 = number.parse().map_err(|_| expected())?;
        match number.checked_mul(factor) {
            Some(mebibytes) if mebibytes > 0 => Ok(Self { mebibytes }),
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.mebibytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_mebibytes_and_gibibytes() {
        assert_eq!("24M".parse(), Ok(MemorySize::mebibytes(24)));
        assert_eq!("24".parse(), Ok(MemorySize::mebibytes(24)));
        assert_eq!("2g".parse(), Ok(MemorySize::mebibytes(2048)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "M", "0", "-1M", "1T", "99999999999999999999G", "18446744073709551615G", "1é"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
    }
}
