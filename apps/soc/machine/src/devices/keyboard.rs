//! The keyboard: a queue of codes behind two bytes (specification, section 8.2).

use alloc::collections::VecDeque;

/// Keys that wait; further ones are lost.
pub(crate) const QUEUE: usize = 255;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyboard {
    pub queue: VecDeque<u8>,
    /// What the two bytes last held: an access that does not start at a byte sees it as it was.
    pub latch: [u8; 2],
}

impl Keyboard {
    pub fn press(&mut self, key: u8) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(key);
        }
    }

    pub fn is_pending(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What reading one byte at this offset gives, without what it does.
    pub fn look(&self, offset: u32) -> Option<u8> {
        match offset {
            0 => Some(self.queue.len() as u8),
            1 => Some(self.queue.front().copied().unwrap_or(0)),
            _ => None,
        }
    }

    /// What reading at this offset does before the bytes are taken.
    pub fn before_read(&mut self, offset: usize) {
        match offset {
            0 => self.latch[0] = self.queue.len() as u8,
            _ => self.latch[1] = self.queue.pop_front().unwrap_or(0),
        }
    }
}
