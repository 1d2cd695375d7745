//! How many write to a file, against how many run it: neither while the other (ETXTBSY).

use core::sync::atomic::{AtomicI32, Ordering};

use abi::Errno;

/// Positive: that many writers; negative: that many running programs.
#[derive(Debug, Default)]
pub struct WriterCount(AtomicI32);

impl WriterCount {
    /// Nobody.
    pub const fn new() -> Self {
        Self(AtomicI32::new(0))
    }

    fn step(&self, by: i32) -> Result<(), Errno> {
        let allowed = |count: i32| (count.signum() != -by).then(|| count.checked_add(by)).flatten();
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, allowed) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::ETXTBSY),
        }
    }

    /// One more writer, for as long as [`end_writing`](Self::end_writing) is not called: ETXTBSY while the file runs.
    pub fn begin_writing(&self) -> Result<(), Errno> {
        self.step(1)
    }

    /// One writer less.
    pub fn end_writing(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// One more program that runs from the file: ETXTBSY while somebody has it open for writing.
    pub fn begin_running(&self) -> Result<(), Errno> {
        self.step(-1)
    }

    /// One such program less.
    pub fn end_running(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// How many have the file open for writing.
    pub fn writing(&self) -> u32 {
        self.0.load(Ordering::Acquire).max(0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_run_while_it_is_written_nor_written_while_it_runs() {
        let count = WriterCount::new();
        assert_eq!(count.begin_writing(), Ok(()));
        assert_eq!(count.begin_writing(), Ok(()));
        assert_eq!(count.begin_running(), Err(Errno::ETXTBSY));
        count.end_writing();
        count.end_writing();
        assert_eq!(count.begin_running(), Ok(()));
        assert_eq!(count.begin_writing(), Err(Errno::ETXTBSY));
        count.end_running();
        assert_eq!(count.begin_writing(), Ok(()));
    }
}
