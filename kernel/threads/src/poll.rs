//! Waiting for many things at once: poll(2), select(2), epoll(7).
//!
//! What can be waited for embeds a [`PollSource`] and implements [`Pollable`]: it says which events hold
//! now, and lets a [`Waiter`] subscribe to its source before it looks. Whoever makes an event hold calls
//! [`PollSource::notify`], from any context. So there is no polling loop: a subscriber is told.
//!
//! ```text
//!   poll(2), select(2):  Waiter ──watches──▶ PollSource ◀── notify(IN) by the pipe's writer
//!                          ▲ wakes the thread     │
//!                          └──────────────────────┘
//!   epoll:               Epoll ──items──▶ watches ──▶ PollSource
//!                          ▲ item goes on the ready list, one waiting thread is woken
//!                          └──────────────────────┘
//! ```
//!
//! An [`Epoll`] is pollable itself. Notifications of nested ones are worked off from a list, not by
//! recursion, and the nesting is limited when an item is added.

mod epoll;
mod item;
mod source;
mod waiter;

use alloc::sync::Arc;

use bitflags::bitflags;

pub use epoll::{AddError, Epoll, Interest};
pub use source::PollSource;
pub use waiter::Waiter;

bitflags! {
    /// What can happen to a file, with the numbers of poll(2), which those of epoll(7) equal.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Events: u32 {
        /// There is something to read.
        const IN = 0x1;
        /// There is something urgent to read.
        const PRI = 0x2;
        /// Something can be written.
        const OUT = 0x4;
        /// There is an error. Reported whether asked for or not.
        const ERR = 0x8;
        /// The other side has gone. Reported whether asked for or not.
        const HUP = 0x10;
        /// Not an open descriptor.
        const NVAL = 0x20;
        /// As `IN`.
        const RDNORM = 0x40;
        /// There is priority data to read.
        const RDBAND = 0x80;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// Priority data can be written.
        const WRBAND = 0x200;
        /// Unused by Linux.
        const MSG = 0x400;
        /// The other side has shut down its writing half.
        const RDHUP = 0x2000;
    }
}

impl Events {
    /// What is reported whether asked for or not.
    pub const ALWAYS: Self = Self::ERR.union(Self::HUP);
}

/// Something that can be waited for.
pub trait Pollable: Send + Sync {
    /// Which of `interest` and of [`Events::ALWAYS`] hold now. If there is a waiter, it is first subscribed
    /// to everything that could change the answer ([`Waiter::watch`]); so nothing that happens in between
    /// is missed. Must not sleep for long.
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events;

    /// The epoll instance behind this file, if it is one, so that circles of them can be refused.
    fn as_epoll(&self) -> Option<&Epoll> {
        None
    }
}

impl<T: Pollable + ?Sized> Pollable for Arc<T> {
    fn poll(&self, interest: Events, waiter: Option<&mut Waiter>) -> Events {
        (**self).poll(interest, waiter)
    }

    fn as_epoll(&self) -> Option<&Epoll> {
        (**self).as_epoll()
    }
}
