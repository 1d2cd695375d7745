//! Faults: the program starts itself again for each, and says what ended the child.
#![expect(unsafe_code, reason = "faults are what safe code cannot make")]

use std::arch::asm;
use std::hint::black_box;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// A function of these instructions, which fault.
macro_rules! instructions {
    ($($assembly:tt)*) => {
        || {
            // SAFETY: one of the instructions faults, which ends the process; nothing runs after it.
            unsafe { asm!($($assembly)*) }
        }
    };
}

// Not here: int1, SSE exceptions and the reserved bits of MXCSR, which QEMU's emulated processor does not raise.
const FAULTS: &[(&str, fn())] = &[
    ("nothing", || ()),
    ("panic", || panic!("on purpose")),
    ("abort", || std::process::abort()),
    ("division by zero", || divide(1, 0)),
    ("division that overflows", || divide(i32::MIN, -1)),
    ("load from null", || load(0)),
    ("load from the hole", || load(0x8000_0000_0000)),
    ("load from the kernel", || load(0xffff_ffff_8000_0000)),
    ("load from the last page", || load(usize::MAX - 15)),
    ("store to null", || store(0)),
    ("store to the program's code", || store(main as fn() -> io::Result<()> as usize)),
    ("store to the kernel", || store(0xffff_8000_0000_0000)),
    ("jump to null", || jump(0)),
    ("jump to the hole", || jump(0x8000_0000_0000)),
    ("jump to data", || jump(black_box(&[0xc3_u8; 16]).as_ptr() as usize)),
    ("jump to the stack", || jump(black_box(&mut [0xc3_u8; 16]).as_mut_ptr() as usize)),
    ("ud2", instructions!("ud2")),
    ("int3", instructions!("int3")),
    ("int 4", instructions!("int 4")),
    ("int 13", instructions!("int 13")),
    ("int 14", instructions!("int 14")),
    ("int 32", instructions!("int 32")),
    ("int 255", instructions!("int 255")),
    ("hlt", instructions!("hlt")),
    ("cli", instructions!("cli")),
    ("in", instructions!("in al, dx", out("al") _, in("dx") 0x80_u16)),
    ("out", instructions!("out dx, al", in("al") 0_u8, in("dx") 0x80_u16)),
    ("rdmsr", instructions!("rdmsr", in("ecx") 0xc000_0080_u32, out("eax") _, out("edx") _)),
    ("wrmsr", instructions!("wrmsr", in("ecx") 0xc000_0080_u32, in("eax") 0, in("edx") 0)),
    ("read of cr0", instructions!("mov {}, cr0", out(reg) _)),
    ("write of cr3", instructions!("mov cr3, {}", in(reg) 0_u64)),
    ("lgdt", instructions!("lgdt [{}]", in(reg) &[0_u64; 2])),
    ("invlpg", instructions!("invlpg [{}]", in(reg) 0_u64)),
    ("wbinvd", instructions!("wbinvd")),
    ("swapgs", instructions!("swapgs")),
    ("sysretq", instructions!("sysretq")),
    (
        "iretq to the kernel's selectors",
        instructions!("push 0", "push 0", "push 0x202", "push 8", "push 0", "iretq"),
    ),
    ("kernel's stack selector", instructions!("mov ss, {0:x}", in(reg) 0)),
    ("misaligned movaps", instructions!("movaps xmm0, [{} + 1]", in(reg) &ALIGNED, out("xmm0") _)),
    ("x87 division by zero", instructions!("fldcw [{}]", "fld1", "fldz", "fdivp", "fwait", in(reg) &0_u16)),
    ("no stack", instructions!("xor esp, esp", "push rax", options(noreturn))),
    ("a single step", instructions!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "nop", "nop")),
    ("stack overflow", || assert_ne!(black_box(recurse(1)), 0)),
    ("stack overflow in a thread", || drop(std::thread::spawn(|| black_box(recurse(1))).join())),
];

#[repr(align(64))]
struct Aligned(#[expect(dead_code, reason = "read by an instruction")] [u8; 64]);
static ALIGNED: Aligned = Aligned([0; 64]);

fn main() -> io::Result<()> {
    if let Some(wanted) = std::env::args().nth(1) {
        if let Some((_, fault)) = FAULTS.iter().find(|(name, _)| *name == wanted) {
            fault();
        }
        return Ok(());
    }
    for (name, _) in FAULTS {
        let status = Command::new("/proc/self/exe").arg(name).stderr(Stdio::null()).status()?;
        println!("{name}: code {:?}, signal {:?}", status.code(), status.signal());
    }
    Ok(())
}

fn divide(dividend: i32, divisor: i32) {
    // SAFETY: the division faults, which ends the process.
    unsafe { asm!("cdq", "idiv {:e}", in(reg) divisor, inout("eax") dividend => _, out("edx") _) };
}

fn load(address: usize) {
    // SAFETY: the load faults, which ends the process.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _) };
}

fn store(address: usize) {
    // SAFETY: the store faults, which ends the process.
    unsafe { asm!("mov byte ptr [{}], 0", in(reg) address) };
}

fn jump(address: usize) {
    // SAFETY: the jump faults, or the return that it finds does, which ends the process.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
}

fn recurse(depth: usize) -> usize {
    let frame = black_box([depth; 128]);
    if depth == 0 { 0 } else { recurse(depth + 1) + black_box(frame)[depth % 128] }
}
