//! What a handler, waitid(2) or sigtimedwait(2) is told of a signal (`siginfo_t`): 128 bytes, a head
//! of three numbers and then fields that depend on the cause.

use super::Signal;
use crate::plain::plain;
use zerocopy::{FromBytes, IntoBytes};

// Causes of any signal.
pub const SI_USER: i32 = 0;
pub const SI_KERNEL: i32 = 128;
pub const SI_QUEUE: i32 = -1;
pub const SI_TIMER: i32 = -2;
pub const SI_MESGQ: i32 = -3;
pub const SI_ASYNCIO: i32 = -4;
pub const SI_SIGIO: i32 = -5;
pub const SI_TKILL: i32 = -6;
/// A thread's exec ended the others.
pub const SI_DETHREAD: i32 = -7;
/// A name has been looked up.
pub const SI_ASYNCNL: i32 = -60;
// Causes of SIGILL.
pub const ILL_ILLOPC: i32 = 1;
pub const ILL_ILLOPN: i32 = 2;
pub const ILL_ILLADR: i32 = 3;
pub const ILL_ILLTRP: i32 = 4;
pub const ILL_PRVOPC: i32 = 5;
pub const ILL_PRVREG: i32 = 6;
pub const ILL_COPROC: i32 = 7;
pub const ILL_BADSTK: i32 = 8;
// Causes of SIGFPE.
pub const FPE_INTDIV: i32 = 1;
pub const FPE_INTOVF: i32 = 2;
pub const FPE_FLTDIV: i32 = 3;
pub const FPE_FLTOVF: i32 = 4;
pub const FPE_FLTUND: i32 = 5;
pub const FPE_FLTRES: i32 = 6;
pub const FPE_FLTINV: i32 = 7;
pub const FPE_FLTSUB: i32 = 8;
// Causes of SIGSEGV.
pub const SEGV_MAPERR: i32 = 1;
pub const SEGV_ACCERR: i32 = 2;
pub const SEGV_BNDERR: i32 = 3;
pub const SEGV_PKUERR: i32 = 4;
// Causes of SIGBUS.
pub const BUS_ADRALN: i32 = 1;
pub const BUS_ADRERR: i32 = 2;
pub const BUS_OBJERR: i32 = 3;
pub const BUS_MCEERR_AR: i32 = 4;
pub const BUS_MCEERR_AO: i32 = 5;
// Causes of SIGTRAP.
pub const TRAP_BRKPT: i32 = 1;
pub const TRAP_TRACE: i32 = 2;
pub const TRAP_BRANCH: i32 = 3;
pub const TRAP_HWBKPT: i32 = 4;
// Causes of SIGCHLD.
pub const CLD_EXITED: i32 = 1;
pub const CLD_KILLED: i32 = 2;
pub const CLD_DUMPED: i32 = 3;
pub const CLD_TRAPPED: i32 = 4;
pub const CLD_STOPPED: i32 = 5;
pub const CLD_CONTINUED: i32 = 6;
// Causes of SIGPOLL.
pub const POLL_IN: i32 = 1;
pub const POLL_OUT: i32 = 2;
pub const POLL_MSG: i32 = 3;
pub const POLL_ERR: i32 = 4;
pub const POLL_PRI: i32 = 5;
pub const POLL_HUP: i32 = 6;
// Causes of SIGSYS.
pub const SYS_SECCOMP: i32 = 1;
pub const SYS_USER_DISPATCH: i32 = 2;

plain! {
    /// The whole record (`siginfo_t`).
    pub struct SigInfo {
        pub si_signo: i32,
        pub si_errno: i32,
        pub si_code: i32,
        pub pad: u32,
        /// By cause: one of the structs beside this, zeros after it.
        pub fields: [u8; 112],
    }

    /// Fields of kill(2), tgkill(2) and sigqueue(3).
    pub struct KillFields {
        pub si_pid: i32,
        pub si_uid: u32,
        /// sigqueue(3)'s value, else zero.
        pub si_value: u64,
    }

    /// Fields of a child's change of state.
    pub struct ChildFields {
        pub si_pid: i32,
        pub si_uid: u32,
        /// The exit status or the signal.
        pub si_status: i32,
        pub pad: u32,
        /// In ticks of [`crate::time::USER_HZ`].
        pub si_utime: i64,
        /// In ticks of [`crate::time::USER_HZ`].
        pub si_stime: i64,
    }

    /// Fields of a fault.
    pub struct FaultFields {
        pub si_addr: u64,
        /// The damaged area's size as a power of two (BUS_MCEERR_*).
        pub si_addr_lsb: i16,
        pub pad: [u16; 3],
        pub si_lower: u64,
        pub si_upper: u64,
    }

    /// Fields of a timer of timer_create(2).
    pub struct TimerFields {
        pub si_tid: i32,
        pub si_overrun: i32,
        pub si_value: u64,
    }

    /// Fields of asynchronous I/O.
    pub struct PollFields {
        pub si_band: i64,
        pub si_fd: i32,
        pub pad: u32,
    }

    /// Fields of a filtered call.
    pub struct CallFields {
        pub si_call_addr: u64,
        pub si_syscall: i32,
        pub si_arch: u32,
    }
}

impl SigInfo {
    fn with_fields(signal: Signal, code: i32, part: &[u8]) -> SigInfo {
        let mut info =
            SigInfo { si_signo: signal.number(), si_errno: 0, si_code: code, pad: 0, fields: [0; 112] };
        for (to, from) in info.fields.iter_mut().zip(part) {
            *to = *from;
        }
        info
    }

    /// A signal from the kernel with nothing to add.
    pub fn kernel(signal: Signal) -> SigInfo {
        SigInfo::with_fields(signal, SI_KERNEL, &[])
    }

    /// A signal that a process sent: `code` is SI_USER for kill(2), SI_TKILL for tgkill(2).
    pub fn sent(signal: Signal, code: i32, pid: i32, uid: u32) -> SigInfo {
        let fields = KillFields { si_pid: pid, si_uid: uid, si_value: 0 };
        SigInfo::with_fields(signal, code, fields.as_bytes())
    }

    /// A child's change of state: `code` is one of `CLD_*`, `status` the exit status or the signal,
    /// times are in ticks of [`crate::time::USER_HZ`].
    pub fn child(code: i32, pid: i32, uid: u32, status: i32, user_ticks: i64, system_ticks: i64) -> SigInfo {
        let fields = ChildFields {
            si_pid: pid,
            si_uid: uid,
            si_status: status,
            pad: 0,
            si_utime: user_ticks,
            si_stime: system_ticks,
        };
        SigInfo::with_fields(Signal::SIGCHLD, code, fields.as_bytes())
    }

    /// A fault at an address: SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP with its cause.
    pub fn fault(signal: Signal, code: i32, address: u64) -> SigInfo {
        let fields = FaultFields { si_addr: address, ..FaultFields::default() };
        SigInfo::with_fields(signal, code, fields.as_bytes())
    }

    /// A timer of timer_create(2) that has expired, and how often more than once.
    pub fn timer(signal: Signal, timer: i32, overrun: i32, value: u64) -> SigInfo {
        let fields = TimerFields { si_tid: timer, si_overrun: overrun, si_value: value };
        SigInfo::with_fields(signal, SI_TIMER, fields.as_bytes())
    }

    /// A descriptor that has become ready (F_SETSIG): `code` is one of `POLL_*`.
    pub fn poll(signal: Signal, code: i32, band: i64, descriptor: i32) -> SigInfo {
        let fields = PollFields { si_band: band, si_fd: descriptor, pad: 0 };
        SigInfo::with_fields(signal, code, fields.as_bytes())
    }

    /// The fields read as the kind that the caller knows from the signal and its code.
    pub fn fields_as<T: FromBytes>(&self) -> Option<T> {
        T::read_from_prefix(&self.fields).ok().map(|(fields, _)| fields)
    }
}
