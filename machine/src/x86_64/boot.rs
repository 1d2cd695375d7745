//! From the loader to the kernel's main function.
//!
//! Both loaders leave a 32-bit processor without paging: PVH (QEMU's `-kernel`, Firecracker) with its start
//! information in EBX, Multiboot2 (GRUB) with its magic in EAX. The entry code maps the first 4 GiB three
//! times (where it is, at the direct map, and the image at -2 GiB), enters long mode and calls
//! [`rust_start`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::cell::UnsafeCell;

use formats::boot::{Description, MemoryKind, MemoryMap, multiboot2, pvh};

use super::descriptors::{self, EMERGENCY_STACKS, EmergencyStack};
use super::local::{self, Local};
use super::memory::{self, DIRECT, KernelStack};
use super::{apic, clock, cpuid, firmware, instructions, ioapic, ports, smp, vectors};
use crate::address::{PAGE_SIZE, PhysicalAddress};
use crate::boot::{self, BootInfo, FrameBuffer, Initramfs, Region, RegionKind};
use crate::frame::{self, Owner, Record};

global_asm!(
    ".globl boot_pml4",
    // Xen's ELF note 18: the physical 32-bit entry. QEMU wants the name aligned to four bytes and eight bytes
    // of description.
    ".pushsection .note.pvh, \"a\", @note",
    ".balign 4",
    ".long 4, 8, 18",
    ".asciz \"Xen\"",
    ".quad boot_pvh",
    ".popsection",

    // Multiboot2 header: magic, i386, length, checksum; entry address tag; relocation is not wanted; end.
    ".pushsection .boot.header, \"a\"",
    ".balign 8",
    "multiboot_header:",
    ".long 0xe85250d6, 0, multiboot_header_end - multiboot_header",
    ".long -(0xe85250d6 + (multiboot_header_end - multiboot_header))",
    ".balign 8",
    ".short 3, 0",
    ".long 12, boot_multiboot",
    ".balign 8",
    ".short 0, 0",
    ".long 8",
    "multiboot_header_end:",
    ".popsection",

    ".pushsection .boot.text, \"ax\"",
    ".code32",
    ".globl boot_pvh",
    "boot_pvh:",
    "xor eax, eax",
    "boot_multiboot:",
    "cli",
    "cld",
    "mov esi, eax",                    // magic, or 0
    "mov edi, ebx",                    // information
    // 4 GiB in pages of 2 MiB: four tables
    "mov ecx, 0",
    "2:",
    "mov eax, ecx",
    "shl eax, 21",
    "or eax, 0x83",
    "mov [boot_pd + ecx * 8], eax",
    "mov edx, ecx",
    "shr edx, 11",
    "mov [boot_pd + ecx * 8 + 4], edx",
    "inc ecx",
    "cmp ecx, 2048",
    "jne 2b",
    "mov eax, offset boot_pd + 3",
    "mov [boot_pdpt], eax",
    "add eax, 4096",
    "mov [boot_pdpt + 8], eax",
    "add eax, 4096",
    "mov [boot_pdpt + 16], eax",
    "add eax, 4096",
    "mov [boot_pdpt + 24], eax",
    "mov eax, offset boot_pd + 3",
    "mov [boot_pdpt_image + 510 * 8], eax",
    "mov eax, offset boot_pdpt + 3",
    "mov [boot_pml4], eax",
    "mov [boot_pml4 + 256 * 8], eax",
    "mov eax, offset boot_pdpt_image + 3",
    "mov [boot_pml4 + 511 * 8], eax",
    "mov eax, cr4",
    "or eax, 0x20",                    // PAE
    "mov cr4, eax",
    "mov eax, offset boot_pml4",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 0x900",                   // LME, NXE
    "wrmsr",
    "mov eax, cr0",
    "or eax, 0x80010001",              // PG, WP, PE
    "mov cr0, eax",
    "lgdt [boot_gdt_pointer]",
    ".byte 0xea",
    ".long boot64",
    ".word 0x08",
    ".code64",
    "boot64:",
    "xor eax, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov rax, offset boot_high",
    "jmp rax",
    ".balign 8",
    "boot_gdt:",
    ".quad 0, 0x00af9b000000ffff",
    "boot_gdt_pointer:",
    ".word 15",
    ".long boot_gdt",
    ".popsection",

    ".pushsection .boot.bss, \"aw\", @nobits",
    ".balign 4096",
    "boot_pml4: .skip 4096",
    "boot_pdpt: .skip 4096",
    "boot_pdpt_image: .skip 4096",
    "boot_pd: .skip 16384",
    ".popsection",

    "boot_high:",
    "lea rsp, [rip + {stack} + {stack_len}]",
    "xor ebp, ebp",
    "call {rust_start}",
    "mov rsp, rax",
    "mov rdi, rdx",
    "xor ebp, ebp",
    "call {rust_main}",
    "ud2",
    stack = sym BOOT_STACK,
    stack_len = const BOOT_STACK_LEN,
    rust_start = sym rust_start,
    rust_main = sym rust_main,
);

unsafe extern "C" {
    static boot_pml4: u8;
}

const BOOT_STACK_LEN: usize = 32 * 1024;

/// Memory that only the boot processor uses, before there is a heap.
#[repr(C, align(4096))]
struct BootOnly<T>(UnsafeCell<T>);

// SAFETY: reached only by the boot processor, at one place each.
unsafe impl<T> Sync for BootOnly<T> {}

static BOOT_STACK: BootOnly<[u8; BOOT_STACK_LEN]> = BootOnly(UnsafeCell::new([0; BOOT_STACK_LEN]));
static BOOT_LOCAL: BootOnly<Local> = BootOnly(UnsafeCell::new(Local::new(0)));
static BOOT_EMERGENCY: BootOnly<[EmergencyStack; EMERGENCY_STACKS]> =
    BootOnly(UnsafeCell::new([const { EmergencyStack::new() }; EMERGENCY_STACKS]));

unsafe extern "Rust" {
    /// Defined by [`crate::entry!`].
    safe fn hob_kernel_main();
}

/// Data for a processor that is going to be started.
pub fn make_local(apic_id: u32) -> Box<Local> {
    let mut data = Box::new(Local::new(0));
    let stacks = [(); EMERGENCY_STACKS].map(|()| Box::into_raw(Box::new(EmergencyStack::new())));
    // SAFETY: the data is new, and so are the stacks, which are leaked.
    unsafe { descriptors::set_emergency_stacks(&raw mut *data, stacks) };
    data.apic_id.store(apic_id, core::sync::atomic::Ordering::Relaxed);
    set_interrupt_stack(&data);
    data
}

fn set_interrupt_stack(data: &Local) {
    match KernelStack::new() {
        Ok(stack) => {
            let stack = core::mem::ManuallyDrop::new(stack);
            data.interrupt_stack.store(stack.top(), core::sync::atomic::Ordering::Relaxed);
        }
        Err(_) => panic!("no memory for an interrupt stack"),
    }
}

/// Gives the calling processor its segments, gates and data.
///
/// # Safety
/// `data` belongs to this processor alone and stays for ever.
pub unsafe fn install_local(data: *mut Local, index: u32) {
    // SAFETY: the caller's promise is that of both.
    unsafe {
        descriptors::load(data, index);
        local::install(data, index);
    }
}

/// What [`rust_start`] gives [`rust_main`]: the entry code finds them in RAX and RDX (System V ABI, 3.2.3).
#[repr(C)]
struct Started {
    stack: usize,
    first_tsc: u64,
}

/// The first Rust code: brings memory up, and returns the stack to go on with. The one it runs on lies in the image
/// with nothing to guard it, and the boot processor's idle thread needs a stack for ever.
///
/// `magic` is Multiboot2's, or 0 for PVH; `information` is where the loader's words are.
extern "C" fn rust_start(information: u32, magic: u32) -> Started {
    let first_tsc = instructions::read_tsc();
    ports::console_init();
    ports::disable_pic();
    descriptors::init();
    let local = BOOT_LOCAL.0.get();
    let emergency = BOOT_EMERGENCY.0.get().cast::<EmergencyStack>();
    // SAFETY: both statics are used here only, by the boot processor, once.
    unsafe {
        descriptors::set_emergency_stacks(local, core::array::from_fn(|index| emergency.add(index)));
        install_local(local, 0);
    }
    cpuid::enable();
    let info = start_frames(&describe(information, magic));
    boot::set_info(info);
    set_interrupt_stack(local::local());
    match KernelStack::new().map(core::mem::ManuallyDrop::new) {
        Ok(stack) => Started { stack: stack.top(), first_tsc },
        Err(_) => panic!("no memory for the first kernel stack"),
    }
}

/// The rest of the boot processor's way, on a stack with a guard.
extern "C" fn rust_main(first_tsc: u64) -> ! {
    let topology = firmware::init();
    if apic::init(topology.local_apic).is_err() {
        panic!("no memory to map the interrupt controller");
    }
    apic::enable();
    local::local().apic_id.store(apic::id(), core::sync::atomic::Ordering::Relaxed);
    for &(address, first_line) in &topology.io_apics {
        if ioapic::add(address, first_line).is_err() {
            panic!("no memory to map an interrupt controller");
        }
    }
    clock::init(first_tsc);
    instructions::enable_interrupts();
    let most = option_number("maxcpus").unwrap_or(usize::MAX);
    let loader_root = (&raw const boot_pml4) as u64;
    let listed = option_number("hob.listed").and_then(|id| u32::try_from(id).ok());
    let apic_ids: Vec<u32> = topology.apic_ids.iter().copied().chain(listed).collect();
    let missing = smp::start(&apic_ids, most, loader_root);
    boot::set_processors(topology.source, missing.iter().map(|missing| missing.apic_id).collect());
    frame::init_caches();
    crate::heap::init_magazines();
    vectors::init();
    hob_kernel_main();
    panic!("the kernel's main function returned");
}

/// The number given with `name=` on the command line.
fn option_number(name: &str) -> Option<usize> {
    let words = boot::info().command_line.split_ascii_whitespace();
    words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).next_back()
}

/// Shows the first 4 GiB through the loader's map.
fn loader_memory(address: u64, len: usize) -> Option<&'static [u8]> {
    address.checked_add(len as u64).filter(|&end| end <= LOADER_REACH)?;
    // SAFETY: the boot tables map the first 4 GiB, readable; what the loader left is not written until it has
    // been copied.
    Some(unsafe { core::slice::from_raw_parts((DIRECT + address) as *const u8, len) })
}

/// What the loader said, and where: its words are read until they have been copied.
struct Told {
    protocol: &'static str,
    description: Description<'static>,
    words: (u64, u64),
}

fn describe(information: u32, magic: u32) -> Told {
    let start = u64::from(information);
    let mut len = PAGE_SIZE;
    let (protocol, description) = if magic == multiboot2::MAGIC {
        let bytes = loader_memory(information.into(), multiboot2::HEAD_LENGTH)
            .and_then(multiboot2::length)
            .and_then(|total| {
                len = total;
                loader_memory(information.into(), total)
            });
        ("Multiboot2", multiboot2::parse(bytes.unwrap_or(&[])))
    } else {
        ("PVH", pvh::read(&loader_memory, information.into()))
    };
    match description {
        Ok(description) => Told { protocol, description, words: page_out(start, start + len as u64) },
        Err(error) => panic!("{protocol}: {error}"),
    }
}

/// What must not be given to the allocator: what the memory map calls anything but usable, and places of our own.
struct Holes<'a> {
    map: MemoryMap<'a>,
    own: arrayvec::ArrayVec<(u64, u64), 8>,
}

impl Holes<'_> {
    /// The hole that begins first, of those that overlap `start..end`, in whole pages.
    fn first(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let mapped = self.map.iter().filter(|region| region.kind != MemoryKind::Usable);
        mapped
            .map(|region| page_out(region.start, region.start + region.length))
            .chain(self.own.iter().copied())
            .filter(|hole| hole.0 < end && start < hole.1)
            .min_by_key(|hole| hole.0)
    }

    /// The parts of `start..end` in which there is no hole.
    fn between(&self, start: u64, end: u64, mut visit: impl FnMut(u64, u64)) {
        let mut at = start;
        while at < end {
            let (hole_start, hole_end) = self.first(at, end).unwrap_or((end, end));
            if at < hole_start {
                visit(at, hole_start);
            }
            at = hole_end;
        }
    }
}

/// A range widened to whole pages.
fn page_out(start: u64, end: u64) -> (u64, u64) {
    (start & !(PAGE - 1), end.next_multiple_of(PAGE))
}

/// The whole pages inside a range.
fn page_in(start: u64, end: u64) -> (u64, u64) {
    (start.next_multiple_of(PAGE), end & !(PAGE - 1))
}

const PAGE: u64 = PAGE_SIZE as u64;
/// Memory that the boot tables reach.
const LOADER_REACH: u64 = 1 << 32;
/// Memory below this is left alone: the trampoline, the firmware's areas, what the loader left.
const LOW_MEMORY: u64 = 1 << 20;

/// Takes memory into use: frame records, the allocator, the kernel's own page tables; and copies what the
/// loader said.
fn start_frames(told: &Told) -> BootInfo {
    let Told { protocol, description, words } = told;
    let (image_start, image_end) = memory::image_extent();
    let module = description.modules().first().map(|module| (module.start, module.start + module.length));
    let mut holes = Holes { map: description.memory, own: arrayvec::ArrayVec::new() };
    holes.own.push((0, LOW_MEMORY));
    holes.own.push(page_out(image_start.min(LOW_MEMORY), image_end));
    holes.own.extend(module.map(|(start, end)| page_out(start, end)));
    // A few pages that stay unused: GRUB puts its words anywhere.
    holes.own.push(*words);
    let usable = || description.memory.iter().filter(|region| region.kind == MemoryKind::Usable);
    let memory_end = usable().map(|region| region.start + region.length).max().unwrap_or(0) & !(PAGE - 1);

    // The records go to the first hole-free place that is large enough.
    let frames = (memory_end / PAGE) as usize;
    let records_len = (frames * size_of::<Record>()).next_multiple_of(PAGE_SIZE) as u64;
    let mut records = None;
    for region in usable() {
        holes.between(region.start, (region.start + region.length).min(LOADER_REACH), |start, end| {
            let (start, end) = page_in(start, end);
            if records.is_none() && end.saturating_sub(start) >= records_len {
                records = Some(start);
            }
        });
    }
    let Some(records) = records else { panic!("too little memory: {} KiB", memory_end / 1024) };
    // SAFETY: the place is usable memory, in the boot map, overlapping neither image, module nor what the
    // loader left (below 1 MiB or in a reserved region), and is kept from the allocator by the hole added
    // next.
    unsafe { frame::init_records((DIRECT + records) as *mut Record, frames) };
    holes.own.push((records, records + records_len));
    let give = |reach_start: u64, reach_end: u64| {
        for region in usable() {
            let (start, end) = (region.start.max(reach_start), (region.start + region.length).min(reach_end));
            holes.between(start, end, |start, end| {
                let (start, end) = page_in(start, end);
                if start < end {
                    frame::add_region((start / PAGE) as usize, (end / PAGE) as usize);
                }
            });
        }
    };
    give(0, LOADER_REACH);
    if memory::init(memory_end).is_err() {
        panic!("too little memory for page tables");
    }
    give(LOADER_REACH, u64::MAX);
    let kernel_frames = (image_end - image_start) / PAGE + records_len / PAGE;
    frame::account_new(Owner::Kernel, kernel_frames as usize);

    let kind = |kind| match kind {
        MemoryKind::Usable => RegionKind::Usable,
        MemoryKind::AcpiReclaimable => RegionKind::AcpiTables,
        _ => RegionKind::Reserved,
    };
    BootInfo {
        protocol,
        regions: description
            .memory
            .iter()
            .map(|region| Region {
                start: PhysicalAddress(region.start),
                len: region.length,
                kind: kind(region.kind),
            })
            .collect::<Vec<_>>(),
        command_line: String::from_utf8_lossy(description.command_line).into_owned(),
        initramfs: module.map(|(start, end)| {
            // SAFETY: the module was left out of the allocator above, the direct map shows it, and nobody
            // writes it.
            unsafe {
                Initramfs::new(memory::physical_to_pointer(PhysicalAddress(start)), (end - start) as usize)
            }
        }),
        acpi_root: description.root_pointer.and_then(|root| root.read(&loader_memory)),
        frame_buffer: description.framebuffer.map(|screen| FrameBuffer {
            address: PhysicalAddress(screen.address),
            pitch_bytes: screen.pitch,
            width: screen.width,
            height: screen.height,
            bits_per_pixel: screen.bits_per_pixel,
        }),
    }
}
