//! The inode of a pipe without a name: what fstat(2) shows, and how /proc/PID/fd opens it again.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::Errno;
use abi::stat::S_IFIFO;
use abi::time::Timespec;
use machine::address::PAGE_SIZE;

use super::Pipe;
use crate::anonymous;
use crate::attachment::Attachment;
use crate::credentials::Ownership;
use crate::file::File;
use crate::inode::{Inode, Opening};
use crate::metadata::Metadata;
use crate::time;

pub(super) struct PipeInode {
    /// The pipe itself, where [`open_fifo`](super::open_fifo) looks for it: opening one in /proc/PID/fd is opening a FIFO.
    attachment: Attachment,
    number: u64,
    uid: u32,
    gid: u32,
    created: Timespec,
}

impl PipeInode {
    pub(super) fn new(pipe: &Arc<Pipe>, uid: u32, gid: u32) -> Arc<Self> {
        let attachment = Attachment::new();
        attachment.attach(Arc::clone(pipe));
        Arc::new(Self { attachment, number: anonymous::next_inode(), uid, gid, created: time::now() })
    }
}

impl Inode for PipeInode {
    fn metadata(&self) -> Metadata {
        let ownership = self.ownership();
        Metadata {
            device: anonymous::device(),
            inode: self.number,
            mode: ownership.mode,
            links: 1,
            uid: self.uid,
            gid: self.gid,
            block_size: PAGE_SIZE as u32,
            accessed: self.created,
            modified: self.created,
            changed: self.created,
            created: self.created,
            ..Metadata::default()
        }
    }

    fn ownership(&self) -> Ownership {
        Ownership { mode: S_IFIFO | 0o600, uid: self.uid, gid: self.gid }
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn File>, Errno> {
        let inode: Arc<dyn Inode> = self;
        super::open_fifo(&inode, opening)
    }

    fn attachment(&self) -> Option<&Attachment> {
        Some(&self.attachment)
    }

    fn label(&self) -> Option<String> {
        Some(format!("pipe:[{}]", self.number))
    }
}
