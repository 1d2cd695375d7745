//! What a process runs: its address space and where the program's parts lie in it, for /proc and for who maps or copies on its behalf.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::auxv::AuxEntry;
use files::Path;
use machine::frame::OutOfMemory;
use machine::heap::try_arc;
use memory::AddressSpace;

/// A program in its address space. Shared by parent and child of vfork(2), never changed in place but for what prctl(2) can set.
pub struct Program {
    space: Arc<AddressSpace>,
    /// The executable, kept from being written while it runs; none for a program made by the kernel itself.
    executable: Option<Running>,
    /// Where things lie.
    pub layout: Layout,
}

/// Addresses of a program's parts.
#[derive(Clone, Default)]
pub struct Layout {
    /// Argument strings: first byte, one past the last.
    pub arguments: (u64, u64),
    /// Environment strings.
    pub environment: (u64, u64),
    /// The auxiliary vector.
    pub auxiliary: Vec<AuxEntry>,
    /// Code: first byte, one past the last.
    pub code: (u64, u64),
    /// Initialised data.
    pub data: (u64, u64),
    /// The first break.
    pub break_start: u64,
    /// The stack pointer at the first instruction.
    pub stack_start: u64,
}

/// An executable that runs: nobody may write to it meanwhile (ETXTBSY).
pub struct Running(Path);

impl Running {
    /// Begins to run the file at `path`; ETXTBSY while somebody writes to it.
    pub fn begin(path: Path) -> Result<Self, abi::Errno> {
        if let Some(writers) = path.inode().writers() {
            writers.begin_running()?;
        }
        Ok(Self(path))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        if let Some(writers) = self.0.inode().writers() {
            // One runs already, so nobody writes, and one more is never refused.
            let _ = writers.begin_running();
        }
        Self(self.0.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(writers) = self.0.inode().writers() {
            writers.end_running();
        }
    }
}

impl Program {
    /// A program in `space`; execve(2) has an allowance for it.
    #[expect(clippy::disallowed_methods, reason = "execve(2) has an allowance for it")]
    pub fn new(space: Arc<AddressSpace>, executable: Option<Running>, layout: Layout) -> Arc<Self> {
        Arc::new(Self { space, executable, layout })
    }

    /// The same program in a copy of its address space (fork).
    pub fn duplicate(&self, space: Arc<AddressSpace>) -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self { space, executable: self.executable.clone(), layout: self.layout.clone() })
    }

    /// Its address space.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// Its executable.
    pub fn executable(&self) -> Option<&Path> {
        self.executable.as_ref().map(Running::path)
    }
}
