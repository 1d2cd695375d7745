//! What hangs on an inode besides its contents: the pipe of a FIFO, the socket bound to a name.

use alloc::sync::Arc;
use core::any::Any;

use machine::frame::OutOfMemory;
use machine::sync::{Rank, SpinLock};

/// A place for one thing of any type, made by the first who needs it.
pub struct Attachment(SpinLock<Option<Arc<dyn Any + Send + Sync>>>);

impl Attachment {
    /// Nothing attached.
    pub const fn new() -> Self {
        Self(SpinLock::new(Rank::Inode, None))
    }

    /// What is attached, if it is a `T`.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.lock().clone()?.downcast().ok()
    }

    /// What is attached; `fresh` where nothing is yet. None when something of another type is.
    pub fn get_or_attach<T: Any + Send + Sync>(
        &self,
        fresh: impl FnOnce() -> Result<Arc<T>, OutOfMemory>,
    ) -> Result<Option<Arc<T>>, OutOfMemory> {
        if let Some(known) = self.0.lock().clone() {
            return Ok(known.downcast().ok());
        }
        let fresh: Arc<dyn Any + Send + Sync> = fresh()?;
        let chosen = Arc::clone(self.0.lock().get_or_insert(fresh));
        Ok(chosen.downcast().ok())
    }

    /// Attaches `value` in place of what was there.
    pub fn attach<T: Any + Send + Sync>(&self, value: Arc<T>) {
        let old = self.0.lock().replace(value);
        drop(old);
    }
}

impl Default for Attachment {
    fn default() -> Self {
        Self::new()
    }
}
