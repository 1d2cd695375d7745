//! The inode of a pipe without a name: what fstat(2) shows, and how /proc/PID/fd opens it again.

use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;
use abi::stat::S_IFIFO;

use super::Pipe;
use crate::anonymous::Identity;
use crate::attachment::Attachment;
use crate::credentials::Ownership;
use crate::file::File;
use crate::inode::{Inode, Opening};
use crate::locks::FileLocks;
use crate::metadata::{Metadata, MetadataChange};
use machine::frame::OutOfMemory;
use machine::heap::{try_arc, try_format};

pub(super) struct PipeInode {
    /// The pipe itself, where [`open_fifo`](super::open_fifo) looks for it: opening one in /proc/PID/fd is opening a FIFO.
    attachment: Attachment,
    identity: Identity,
}

impl PipeInode {
    pub(super) fn new(pipe: &Arc<Pipe>, uid: u32, gid: u32) -> Result<Arc<Self>, OutOfMemory> {
        let attachment = Attachment::new();
        attachment.attach(Arc::clone(pipe));
        try_arc(Self { attachment, identity: Identity::new(S_IFIFO | 0o600, uid, gid) })
    }
}

impl Inode for PipeInode {
    fn metadata(&self) -> Metadata {
        self.identity.metadata()
    }

    fn set_metadata(&self, change: &MetadataChange) -> Result<(), Errno> {
        self.identity.change(change);
        Ok(())
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(self.identity.locks())
    }

    fn ownership(&self) -> Ownership {
        self.identity.ownership()
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        let inode: Arc<dyn Inode> = self;
        super::open_fifo(&inode, opening)
    }

    fn attachment(&self) -> Option<&Attachment> {
        Some(&self.attachment)
    }

    fn label(&self) -> Result<Option<String>, Errno> {
        Ok(Some(try_format(format_args!("pipe:[{}]", self.identity.number))?))
    }
}
