//! Loading: an ELF file and its interpreter into a new address space, and the stack that the program starts with.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::auxv::*;
use abi::mman::MapFlags;
use abi::resource::RLIMIT_STACK;
use abi::signal::frame::RtSigFrame;
use abi::system::Personality;
use abi::time::USER_HZ;
use files::{Credentials, File, Lookup, Path};
use formats::elf::{self, Header, Image, Kind, Segment, SegmentFlags};
use machine::address::{PAGE_SIZE, USER_END, UserAddress, page_ceil};
use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_arc};
use machine::sync::atomic::Ordering;
use memory::{AddressSpace, Backing, KernelSink, MapKind, MappedFile, Protection, Sink};

use super::stack::{self, Strings};
use super::strings::Lists;
use super::vdso;
use super::{Executable, open, space_limits};
use crate::calls;
use crate::process::Caller;
use crate::process::program::Layout;

/// What the new program is given.
pub struct Start<'a> {
    /// The path that was executed.
    pub path: &'a [u8],
    /// Arguments and environment.
    pub lists: &'a Lists,
    /// Its identity.
    pub credentials: &'a Credentials,
    /// Whether it has privileges that its caller has not.
    pub is_secure: bool,
}

/// A program that is ready to run.
pub struct Loaded {
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Where its parts lie.
    pub layout: Layout,
    /// The first instruction: of the interpreter, if there is one.
    pub entry: u64,
    /// The stack pointer.
    pub stack_pointer: u64,
}

/// A file behind a mapping, as /proc/PID/maps shows it.
pub struct MappedPath {
    path: Path,
    root: Path,
}

impl MappedPath {
    /// The file at `path`, named as seen from `root`.
    pub fn new(path: Path, root: Path) -> Result<Arc<Self>, OutOfMemory> {
        try_arc(Self { path, root })
    }
}

impl MappedFile for MappedPath {
    fn identity(&self) -> (u64, u64) {
        let metadata = self.path.inode().metadata();
        (metadata.device, metadata.inode)
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        self.path.display(&self.root)
    }
}

/// Reads bytes of a file into kernel memory, as many as there are.
pub fn read_at(file: &Arc<dyn File>, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let total = into.len();
    let mut sink = KernelSink::new(into);
    let mut how = files::Transfer::at(offset);
    while sink.remaining() > 0 && file.read(&mut sink, &mut how)? > 0 {}
    Ok(total - sink.remaining())
}

/// Why a program cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// execve(2) says so, and the caller goes on.
    Refused(Errno),
    /// Its headers contradict themselves or ask for what no program can have. Linux finds that out when nothing of the old program is left: SIGSEGV.
    Broken,
}

impl From<OutOfMemory> for LoadError {
    fn from(error: OutOfMemory) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Errno> for LoadError {
    fn from(error: Errno) -> Self {
        Self::Refused(error)
    }
}

fn refuse(error: elf::Error) -> LoadError {
    if error.is_foreign() { LoadError::Refused(Errno::ENOEXEC) } else { LoadError::Broken }
}

/// What it means that a segment could not be mapped: the headers are to blame for all but a lack of memory.
fn not_mapped(error: Errno) -> LoadError {
    if error == Errno::ENOMEM { LoadError::Refused(error) } else { LoadError::Broken }
}

/// The program headers of a file: ENOEXEC when they are not there.
fn read_table(file: &Arc<dyn File>, header: &Header) -> Result<Vec<u8>, Errno> {
    let mut table = Vec::new();
    table.try_grow_exact(header.program_headers_length())?;
    table.resize(header.program_headers_length(), 0);
    let len = read_at(file, header.program_headers_offset, &mut table)?;
    if len == table.len() { Ok(table) } else { Err(Errno::ENOEXEC) }
}

/// The path of the interpreter that a program names: EIO when the file ends before, ENOEXEC without a NUL at its end.
fn interpreter_path(file: &Arc<dyn File>, image: &Image<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let Some((offset, len)) = image.interpreter else { return Ok(None) };
    let mut path = Vec::new();
    path.try_grow_exact(len)?;
    path.resize(len, 0);
    if read_at(file, offset, &mut path)? != len {
        return Err(Errno::EIO);
    }
    if path.pop() == Some(0) { Ok(Some(path)) } else { Err(Errno::ENOEXEC) }
}

/// Loads `executable`, whose first bytes are `head`.
pub fn load(
    caller: &mut Caller,
    executable: &Executable,
    head: &[u8],
    start: &Start<'_>,
) -> Result<Loaded, LoadError> {
    let header = Header::parse(head).map_err(refuse)?;
    let table = read_table(&executable.file, &header)?;
    let image = Image::parse(header, &table).map_err(refuse)?;
    let interpreter = match interpreter_path(&executable.file, &image)? {
        Some(path) => {
            Some(open(caller, calls::look_up(caller, abi::fcntl::AT_FDCWD, &path, Lookup::FOLLOW)?)?)
        }
        None => None,
    };

    let stack_limit = caller.process.limits.soft(RLIMIT_STACK);
    let personality = Personality::from_bits_retain(caller.process.personality.load(Ordering::Relaxed));
    let layout = if personality.contains(Personality::ADDR_NO_RANDOMIZE) {
        memory::Layout::fixed(stack_limit)
    } else {
        memory::Layout::random(stack_limit, crate::random::word)
    };
    let space = AddressSpace::new(layout, space_limits(&caller.process.limits, start.credentials))?;
    let root = caller.place.directories().root.clone();

    let bias = match header.kind {
        Kind::Fixed => 0,
        Kind::Relocatable => bias_at(layout.program_base as u64, &image)?,
    };
    let mapped = MappedPath::new(executable.path.clone(), root.clone())?;
    map_image(&space, executable, &image, bias, &mapped)?;
    space.set_heap_start(UserAddress(image.end.wrapping_add(bias) as usize));

    let program_entry = header.entry.wrapping_add(bias);
    let (entry, interpreter_base) = match interpreter {
        Some(interpreter) => {
            let (entry, base) = load_interpreter(&space, &interpreter, &root)?;
            (entry, Some(base))
        }
        None => (program_entry, None),
    };
    if entry >= USER_END as u64 {
        // Linux starts it; it cannot go there.
        return Err(LoadError::Broken);
    }

    let stack_protection = Protection::READ | Protection::WRITE;
    let executable_stack = image.stack_is_executable == Some(true);
    let top = space.map_stack(if executable_stack {
        stack_protection | Protection::EXECUTE
    } else {
        stack_protection
    })?;
    let vdso = vdso::map(&space)?;
    let auxiliary = auxiliary(caller, &image, bias, program_entry, interpreter_base, vdso, start)?;
    let strings = Strings { path: start.path, lists: start.lists };
    let mut random = [0; 16];
    crate::random::fill(&mut random);
    let stack =
        stack::build(top.0 as u64, &strings, random, &auxiliary, |at, bytes| write(&space, at, bytes))?;

    let segment = |wanted: SegmentFlags| {
        let found = image.segments().filter(|segment| segment.flags.contains(wanted));
        let (mut first, mut last) = (u64::MAX, 0);
        for segment in found {
            first = first.min(segment.address.wrapping_add(bias));
            last = last.max(segment.address.wrapping_add(segment.file_length).wrapping_add(bias));
        }
        if first == u64::MAX { (0, 0) } else { (first, last) }
    };
    let layout = Layout {
        arguments: stack.arguments,
        environment: stack.environment,
        auxiliary: stack.auxiliary,
        code: segment(SegmentFlags::EXECUTE),
        data: segment(SegmentFlags::WRITE),
        break_start: space.heap().0.0 as u64,
        stack_start: stack.stack_pointer,
    };
    Ok(Loaded { space, layout, entry, stack_pointer: stack.stack_pointer })
}

/// What is added to the addresses of a relocatable file so that it lies at `base`, or above as its alignment asks.
fn bias_at(base: u64, image: &Image<'_>) -> Result<u64, Errno> {
    let alignment = image.alignment.max(PAGE_SIZE as u64);
    let first_page = image.start & !(PAGE_SIZE as u64 - 1);
    let base = base.checked_next_multiple_of(alignment).ok_or(Errno::ENOMEM)?;
    Ok(base.wrapping_sub(first_page & !(alignment - 1)))
}

/// Loads the program interpreter wherever there is room. Returns its first instruction and its base.
fn load_interpreter(
    space: &Arc<AddressSpace>,
    executable: &Executable,
    root: &Path,
) -> Result<(u64, u64), LoadError> {
    let mut head = [0; elf::HEADER_LENGTH];
    if read_at(&executable.file, 0, &mut head)? != head.len() {
        return Err(Errno::EIO.into());
    }
    let header = Header::parse(&head).map_err(|_| Errno::ELIBBAD)?;
    let table = read_table(&executable.file, &header)?;
    let image = Image::parse(header, &table).map_err(refuse)?;
    let bias = match header.kind {
        Kind::Fixed => 0,
        Kind::Relocatable => {
            let len = usize::try_from(image.end - image.start).map_err(|_| Errno::ENOMEM)?;
            let room = len.checked_add(image.alignment as usize).ok_or(Errno::ENOMEM)?;
            // Nobody else uses the space yet, so it stays free.
            let found = space.find_room(room)?;
            bias_at(found.0 as u64, &image)?
        }
    };
    let mapped = MappedPath::new(executable.path.clone(), root.clone())?;
    map_image(space, executable, &image, bias, &mapped)?;
    Ok((header.entry.wrapping_add(bias), bias))
}

fn map_image(
    space: &Arc<AddressSpace>,
    executable: &Executable,
    image: &Image<'_>,
    bias: u64,
    mapped: &Arc<MappedPath>,
) -> Result<(), LoadError> {
    let object = executable.file.object().map_err(|_| Errno::ENOEXEC)?;
    for segment in image.segments() {
        let file = Arc::clone(mapped) as Arc<dyn MappedFile>;
        map_segment(space, &object, file, &segment, segment.address.wrapping_add(bias))
            .map_err(not_mapped)?;
    }
    Ok(())
}

fn protection(flags: SegmentFlags) -> Protection {
    let mut protection = Protection::empty();
    protection.set(Protection::READ, flags.contains(SegmentFlags::READ));
    protection.set(Protection::WRITE, flags.contains(SegmentFlags::WRITE));
    protection.set(Protection::EXECUTE, flags.contains(SegmentFlags::EXECUTE));
    protection
}

/// Maps a segment over whatever is there: nobody uses the space yet, and as on Linux a later segment replaces an earlier.
fn map_segment(
    space: &Arc<AddressSpace>,
    object: &Arc<memory::Object>,
    file: Arc<dyn MappedFile>,
    segment: &Segment,
    address: u64,
) -> Result<(), Errno> {
    let address = UserAddress(address as usize);
    let most = machine::frame::total().saturating_mul(PAGE_SIZE) as u64;
    if !address.is_user_range(segment.memory_length as usize) || segment.memory_length > most {
        // No matter of how much memory is free.
        return Err(Errno::EINVAL);
    }
    let protection = protection(segment.flags);
    let (file_len, memory_len) = (segment.file_length as usize, segment.memory_length as usize);
    let start = address.page_floor();
    let inside = address.page_offset();
    let file_pages = if file_len == 0 { 0 } else { page_ceil(inside + file_len).ok_or(Errno::ENOMEM)? };
    let all_pages = page_ceil(inside + memory_len).ok_or(Errno::ENOMEM)?;
    if file_pages > 0 {
        let backing = Backing::Object {
            object: object.clone(),
            offset_bytes: segment.file_offset - inside as u64,
            file: Some(file),
            may_write: false,
        };
        space.map(start, file_pages, protection, MapKind::Private, backing, MapFlags::FIXED)?;
        let end = inside + file_len;
        if memory_len > file_len && end < file_pages && protection.contains(Protection::WRITE) {
            zero(space, UserAddress(start.0 + end), file_pages - end)?;
        }
    }
    if all_pages > file_pages {
        let rest = UserAddress(start.0 + file_pages);
        let len = all_pages - file_pages;
        space.map(rest, len, protection, MapKind::Private, Backing::Anonymous, MapFlags::FIXED)?;
    }
    Ok(())
}

fn zero(space: &Arc<AddressSpace>, at: UserAddress, len: usize) -> Result<(), Errno> {
    let zeroes = [0; PAGE_SIZE];
    match space.write_remote(at, zeroes.get(..len).unwrap_or(&zeroes), true) {
        Err(Errno::ENOMEM) => Err(Errno::ENOMEM),
        // A file that ends before its segment does leaves nothing to clear; the touch is the program's SIGBUS.
        _ => Ok(()),
    }
}

fn write(space: &Arc<AddressSpace>, at: u64, bytes: &[u8]) -> Result<(), Errno> {
    let done = space.write_remote(UserAddress(at as usize), bytes, true)?;
    if done == bytes.len() { Ok(()) } else { Err(Errno::E2BIG) }
}

/// Room that a signal's frame takes at the most, for AT_MINSIGSTKSZ.
fn signal_frame_len(caller: &mut Caller) -> u64 {
    let extended = caller.context.extended().bytes().len() + 4;
    ((size_of::<RtSigFrame>() + extended + 64 + 8).next_multiple_of(16)) as u64
}

/// More entries than [`auxiliary`] makes.
const AUXILIARY_MAX: usize = 32;

fn auxiliary(
    caller: &mut Caller,
    image: &Image<'_>,
    bias: u64,
    entry: u64,
    interpreter_base: Option<u64>,
    vdso: Option<u64>,
    start: &Start<'_>,
) -> Result<Vec<AuxEntry>, OutOfMemory> {
    let mut vector = Vec::new();
    vector.try_grow(AUXILIARY_MAX)?;
    let mut add = |kind, value| vector.push(AuxEntry { kind, value });
    let who = start.credentials;
    if let Some(vdso) = vdso {
        add(AT_SYSINFO_EHDR, vdso);
    }
    add(AT_MINSIGSTKSZ, signal_frame_len(caller));
    add(AT_HWCAP, u64::from(crate::processor::features_edx()));
    add(AT_PAGESZ, PAGE_SIZE as u64);
    add(AT_CLKTCK, USER_HZ);
    if let Some(headers) = image.program_headers_address {
        add(AT_PHDR, headers.wrapping_add(bias));
    }
    add(AT_PHENT, elf::PROGRAM_HEADER_LENGTH as u64);
    add(AT_PHNUM, image.header.program_headers as u64);
    add(AT_BASE, interpreter_base.unwrap_or(0));
    add(AT_FLAGS, 0);
    add(AT_ENTRY, entry);
    add(AT_UID, u64::from(who.uid));
    add(AT_EUID, u64::from(who.euid));
    add(AT_GID, u64::from(who.gid));
    add(AT_EGID, u64::from(who.egid));
    add(AT_SECURE, u64::from(start.is_secure));
    add(AT_HWCAP2, 0);
    add(AT_RSEQ_FEATURE_SIZE, abi::rseq::RSEQ_FEATURE_SIZE);
    add(AT_RSEQ_ALIGN, abi::rseq::RSEQ_ALIGN);
    Ok(vector)
}
