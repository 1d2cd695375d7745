//! The UART: bytes out at once, bytes in through a queue (specification, section 8.4).

use crate::map::{UART_CONTROL, UART_DATA, UART_STATUS};
use alloc::collections::VecDeque;

/// Received bytes that wait; further ones are lost and set the overrun bit.
pub(crate) const QUEUE: usize = 4096;

pub(crate) const RECEIVED: u32 = 1;
const READY: u32 = 2;
pub(crate) const OVERRUN: u32 = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uart {
    pub queue: VecDeque<u8>,
    pub has_overrun: bool,
    pub control: u32,
    /// Bytes ever sent: how a host that travels in time knows which it has seen.
    pub transmitted: u64,
}

impl Uart {
    pub fn receive(&mut self, byte: u8) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(byte);
        } else {
            self.has_overrun = true;
        }
    }

    pub fn is_pending(&self) -> bool {
        self.control & 1 != 0 && !self.queue.is_empty()
    }

    /// What a read gives, without what it does.
    pub fn look(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            UART_DATA => self.queue.front().copied().map_or(0, u32::from),
            UART_STATUS => {
                let received = if self.queue.is_empty() { 0 } else { RECEIVED };
                received | READY | if self.has_overrun { OVERRUN } else { 0 }
            }
            UART_CONTROL => self.control,
            _ => return None,
        })
    }

    pub fn read(&mut self, offset: u32) -> Option<u32> {
        let value = self.look(offset);
        if offset == UART_DATA {
            self.queue.pop_front();
        }
        value
    }

    /// Gives the byte that was sent, if one was.
    pub fn write(&mut self, offset: u32, value: u32) -> Option<Option<u8>> {
        match offset {
            UART_DATA => {
                self.transmitted += 1;
                return Some(Some(value as u8));
            }
            UART_STATUS => self.has_overrun &= value & OVERRUN == 0,
            UART_CONTROL => self.control = value & 1,
            _ => return None,
        }
        Some(None)
    }
}
