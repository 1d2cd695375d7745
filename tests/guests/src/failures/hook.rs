//! The files of /sys/kernel/debug by which the kernel is told which requests fail, and says how full its heap is.

use rustix::io::{Errno, pread, write};
use std::fs::{File, OpenOptions};
use std::io;
use std::time::Duration;

/// Open all the time, so that nothing but reading and writing them can fail.
pub struct Hook {
    fail: File,
    heap: File,
}

impl Hook {
    pub fn open() -> io::Result<Self> {
        let fail = OpenOptions::new().read(true).write(true).open("/sys/kernel/debug/fail")?;
        Ok(Self { fail, heap: File::open("/sys/kernel/debug/heap")? })
    }

    /// Gives an order, as docs/testing.md has it.
    pub fn order(&self, order: &str) {
        // The order itself may be what fails.
        while let Err(error) = write(&self.fail, order.as_bytes()) {
            assert_eq!(error, Errno::NOMEM, "{order} is not understood");
        }
    }

    /// Takes an order back; whether a request has failed by it.
    pub fn stop(&self) -> bool {
        self.order("off");
        number(&self.fail) > 0
    }

    /// Bytes of the kernel's heap in use, when those who have ended are gone: no more than `most`, or as few as there are after a while.
    pub fn settled(&self, most: u64) -> u64 {
        let mut least = number(&self.heap);
        for _ in 0..20 {
            if least <= most {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
            least = least.min(number(&self.heap));
        }
        least
    }
}

fn number(file: &File) -> u64 {
    let mut text = [0; 24];
    let len = pread(file, &mut text, 0).unwrap_or(0);
    std::str::from_utf8(&text[..len]).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
