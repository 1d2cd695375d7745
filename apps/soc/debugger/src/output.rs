//! What the UART has sent, through all travels in time.

/// Bytes kept at most; the oldest go first.
const MOST: usize = 1 << 20;

/// Sent bytes by their number since power-on.
#[derive(Default)]
pub(crate) struct Output {
    /// Number of the first byte that is kept.
    base: u64,
    bytes: Vec<u8>,
}

impl Output {
    /// Starts with a machine that has sent this many bytes already.
    pub fn new(base: u64) -> Self {
        Self { base, bytes: Vec::new() }
    }

    /// Takes in bytes of which the last is number `end - 1`; those that are known are passed over.
    pub fn add(&mut self, bytes: &[u8], end: u64) {
        let known = self.base + self.bytes.len() as u64;
        let fresh = end.saturating_sub(known).min(bytes.len() as u64) as usize;
        self.bytes.extend(bytes.iter().rev().take(fresh).rev());
        if self.bytes.len() > 2 * MOST {
            let surplus = self.bytes.len() - MOST;
            self.bytes.drain(..surplus);
            self.base += surplus as u64;
        }
    }

    /// Forgets what was sent in a future that is cut.
    pub fn cut(&mut self, end: u64) {
        self.bytes.truncate(end.saturating_sub(self.base) as usize);
    }

    /// What had been sent when `end` bytes had been.
    pub fn until(&self, end: u64) -> &[u8] {
        let len = (end.saturating_sub(self.base) as usize).min(self.bytes.len());
        &self.bytes[..len]
    }
}
