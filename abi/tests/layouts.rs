//! Every struct's size and the offset of each of its fields against the Linux headers.

use core::mem::offset_of;
use linux_raw_sys::{general, net, system};

/// The size of both, and the offset of each field; `ours = theirs` where names differ.
macro_rules! same_layout {
    ($ours:ty, $theirs:ty: $($field:ident $(= $other:ident)?),* $(,)?) => {
        assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), stringify!($theirs));
        $(same_layout!(@field $ours, $theirs, $field $(, $other)?);)*
    };
    (@field $ours:ty, $theirs:ty, $field:ident) => {
        same_layout!(@field $ours, $theirs, $field, $field)
    };
    (@field $ours:ty, $theirs:ty, $field:ident, $other:ident) => {
        assert_eq!(
            offset_of!($ours, $field),
            offset_of!($theirs, $other),
            concat!(stringify!($theirs), ".", stringify!($other))
        );
    };
}

#[test]
fn files_are_described_as_linux_does() {
    use abi::fcntl::{Flock, Iovec, OpenHow, OwnerEx};
    use abi::stat::{Stat, Statfs, Statx, StatxTimestamp};
    same_layout!(Flock, general::flock: l_type, l_whence, l_start, l_len, l_pid);
    same_layout!(OwnerEx, general::f_owner_ex: type_, pid);
    same_layout!(OpenHow, general::open_how: flags, mode, resolve);
    same_layout!(Iovec, general::iovec: iov_base, iov_len);
    same_layout!(Stat, general::stat:
        st_dev, st_ino, st_nlink, st_mode, st_uid, st_gid, pad = __pad0, st_rdev, st_size, st_blksize, st_blocks,
        st_atime, st_atime_nsec, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec, unused = __unused);
    same_layout!(StatxTimestamp, general::statx_timestamp: tv_sec, tv_nsec, reserved = __reserved);
    same_layout!(Statx, general::statx:
        stx_mask, stx_blksize, stx_attributes, stx_nlink, stx_uid, stx_gid, stx_mode, spare0 = __spare0, stx_ino,
        stx_size, stx_blocks, stx_attributes_mask, stx_atime, stx_btime, stx_ctime, stx_mtime, stx_rdev_major,
        stx_rdev_minor, stx_dev_major, stx_dev_minor, stx_mnt_id, stx_dio_mem_align, stx_dio_offset_align,
        spare3 = stx_subvol);
    same_layout!(Statfs, general::statfs:
        f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_fsid, f_namelen, f_frsize, f_flags,
        f_spare);
}

#[test]
fn a_directory_record_has_its_name_where_linux_has_it() {
    use abi::directory::{DIRENT64_NAME_OFFSET, Dirent64Head, dirent64_length};
    assert_eq!(offset_of!(Dirent64Head, d_ino), offset_of!(general::linux_dirent64, d_ino));
    assert_eq!(offset_of!(Dirent64Head, d_off), offset_of!(general::linux_dirent64, d_off));
    assert_eq!(offset_of!(Dirent64Head, d_reclen), offset_of!(general::linux_dirent64, d_reclen));
    assert_eq!(offset_of!(Dirent64Head, d_type), offset_of!(general::linux_dirent64, d_type));
    assert_eq!(DIRENT64_NAME_OFFSET, offset_of!(general::linux_dirent64, d_name));
    assert_eq!(dirent64_length(1), Some(24));
    assert_eq!(dirent64_length(4), Some(24));
    assert_eq!(dirent64_length(5), Some(32));
    assert_eq!(dirent64_length(255), Some(280));
    assert_eq!(dirent64_length(65_536), None);
    assert_eq!(dirent64_length(usize::MAX), None);
}

#[test]
fn times_are_laid_out_as_in_linux() {
    use abi::time::{Itimerspec, Itimerval, Timespec, Timeval, Timezone, Tms};
    same_layout!(Timespec, general::__kernel_timespec: tv_sec, tv_nsec);
    same_layout!(Timeval, general::__kernel_old_timeval: tv_sec, tv_usec);
    same_layout!(Itimerspec, general::__kernel_itimerspec: it_interval, it_value);
    same_layout!(Itimerval, general::__kernel_old_itimerval: it_interval, it_value);
    same_layout!(Timezone, general::timezone: tz_minuteswest, tz_dsttime);
    same_layout!(Tms, libc::tms: tms_utime, tms_stime, tms_cutime, tms_cstime);
}

#[test]
fn signals_are_laid_out_as_in_linux() {
    use abi::signal::{SigAction, SigAltStack, SigEvent};
    same_layout!(SigAction, general::kernel_sigaction:
        sa_handler = sa_handler_kernel, sa_flags, sa_restorer, sa_mask);
    same_layout!(SigAltStack, general::sigaltstack: ss_sp, ss_flags, ss_size);
    same_layout!(SigEvent, general::sigevent:
        sigev_value, sigev_signo, sigev_notify, sigev_tid = _sigev_un);
}

#[test]
fn what_a_handler_is_told_is_laid_out_as_in_linux() {
    use abi::signal::info::{
        CallFields, ChildFields, FaultFields, KillFields, PollFields, SigInfo, TimerFields,
    };
    type Head = general::siginfo__bindgen_ty_1__bindgen_ty_1;
    assert_eq!(size_of::<SigInfo>(), size_of::<general::siginfo_t>());
    assert_eq!(offset_of!(SigInfo, si_signo), offset_of!(Head, si_signo));
    assert_eq!(offset_of!(SigInfo, si_errno), offset_of!(Head, si_errno));
    assert_eq!(offset_of!(SigInfo, si_code), offset_of!(Head, si_code));
    assert_eq!(offset_of!(SigInfo, fields), offset_of!(Head, _sifields));
    same_layout!(KillFields, general::__sifields__bindgen_ty_3: si_pid = _pid, si_uid = _uid, si_value = _sigval);
    same_layout!(ChildFields, general::__sifields__bindgen_ty_4:
        si_pid = _pid, si_uid = _uid, si_status = _status, si_utime = _utime, si_stime = _stime);
    same_layout!(FaultFields, general::__sifields__bindgen_ty_5: si_addr = _addr, si_addr_lsb = __bindgen_anon_1);
    type Bounds = general::__sifields__bindgen_ty_5__bindgen_ty_1__bindgen_ty_1;
    let union = offset_of!(general::__sifields__bindgen_ty_5, __bindgen_anon_1);
    assert_eq!(offset_of!(FaultFields, si_lower), union + offset_of!(Bounds, _lower));
    assert_eq!(offset_of!(FaultFields, si_upper), union + offset_of!(Bounds, _upper));
    assert_eq!(offset_of!(TimerFields, si_tid), offset_of!(general::__sifields__bindgen_ty_2, _tid));
    assert_eq!(offset_of!(TimerFields, si_overrun), offset_of!(general::__sifields__bindgen_ty_2, _overrun));
    assert_eq!(offset_of!(TimerFields, si_value), offset_of!(general::__sifields__bindgen_ty_2, _sigval));
    same_layout!(PollFields, general::__sifields__bindgen_ty_6: si_band = _band, si_fd = _fd);
    same_layout!(CallFields, general::__sifields__bindgen_ty_7:
        si_call_addr = _call_addr, si_syscall = _syscall, si_arch = _arch);
}

#[test]
fn a_handler_s_frame_is_laid_out_as_in_linux() {
    use abi::signal::frame::{FpState, RtSigFrame, SigContext, SoftwareBytes, UContext, XsaveHeader};
    use libc::{
        REG_CR2, REG_CSGSFS, REG_EFL, REG_ERR, REG_OLDMASK, REG_R8, REG_RAX, REG_RDI, REG_RIP, REG_RSP,
    };
    use libc::{
        REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RBP, REG_RBX, REG_RCX, REG_RDX,
    };
    use libc::{REG_RSI, REG_TRAPNO};
    assert_eq!(size_of::<SigContext>(), size_of::<libc::mcontext_t>());
    let registers = [
        (offset_of!(SigContext, r8), REG_R8),
        (offset_of!(SigContext, r9), REG_R9),
        (offset_of!(SigContext, r10), REG_R10),
        (offset_of!(SigContext, r11), REG_R11),
        (offset_of!(SigContext, r12), REG_R12),
        (offset_of!(SigContext, r13), REG_R13),
        (offset_of!(SigContext, r14), REG_R14),
        (offset_of!(SigContext, r15), REG_R15),
        (offset_of!(SigContext, rdi), REG_RDI),
        (offset_of!(SigContext, rsi), REG_RSI),
        (offset_of!(SigContext, rbp), REG_RBP),
        (offset_of!(SigContext, rbx), REG_RBX),
        (offset_of!(SigContext, rdx), REG_RDX),
        (offset_of!(SigContext, rax), REG_RAX),
        (offset_of!(SigContext, rcx), REG_RCX),
        (offset_of!(SigContext, rsp), REG_RSP),
        (offset_of!(SigContext, rip), REG_RIP),
        (offset_of!(SigContext, eflags), REG_EFL),
        (offset_of!(SigContext, cs), REG_CSGSFS),
        (offset_of!(SigContext, err), REG_ERR),
        (offset_of!(SigContext, trapno), REG_TRAPNO),
        (offset_of!(SigContext, oldmask), REG_OLDMASK),
        (offset_of!(SigContext, cr2), REG_CR2),
    ];
    for (offset, register) in registers {
        assert_eq!(offset, register as usize * 8);
    }
    assert_eq!(offset_of!(SigContext, fpstate), offset_of!(libc::mcontext_t, fpregs));
    assert_eq!(offset_of!(UContext, uc_flags), offset_of!(libc::ucontext_t, uc_flags));
    assert_eq!(offset_of!(UContext, uc_link), offset_of!(libc::ucontext_t, uc_link));
    assert_eq!(offset_of!(UContext, uc_stack), offset_of!(libc::ucontext_t, uc_stack));
    assert_eq!(offset_of!(UContext, uc_mcontext), offset_of!(libc::ucontext_t, uc_mcontext));
    assert_eq!(offset_of!(UContext, uc_sigmask), offset_of!(libc::ucontext_t, uc_sigmask));
    // The kernel's frame is the C library's context cut after the first word of its mask.
    assert_eq!(size_of::<UContext>(), offset_of!(libc::ucontext_t, uc_sigmask) + 8);
    assert_eq!(offset_of!(RtSigFrame, info), 8 + size_of::<UContext>());
    assert_eq!(size_of::<FpState>(), size_of::<libc::user_fpregs_struct>());
    same_layout!(FpState, libc::user_fpregs_struct:
        cwd, swd, twd = ftw, fop, rip, rdp, mxcsr, mxcsr_mask = mxcr_mask, st_space, xmm_space);
    assert_eq!(offset_of!(FpState, sw_reserved), 464);
    assert_eq!((size_of::<SoftwareBytes>(), size_of::<XsaveHeader>()), (48, 64));
}

#[test]
fn threads_and_processes_are_laid_out_as_in_linux() {
    use abi::sched::{CLONE_ARGS_SIZE_VER2, CloneArgs, Rusage, SchedAttr, SchedParam};
    same_layout!(CloneArgs, general::clone_args:
        flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup);
    assert_eq!(size_of::<CloneArgs>(), CLONE_ARGS_SIZE_VER2);
    same_layout!(SchedParam, libc::sched_param: sched_priority);
    // libc carries the first version (sched_setattr(2)); two clamps follow it in ours.
    same_layout!(@field SchedAttr, libc::sched_attr, size);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_policy);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_flags);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_nice);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_priority);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_runtime);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_deadline);
    same_layout!(@field SchedAttr, libc::sched_attr, sched_period);
    assert_eq!(offset_of!(SchedAttr, sched_util_min), size_of::<libc::sched_attr>());
    assert_eq!(size_of::<SchedAttr>(), size_of::<libc::sched_attr>() + 8);
    same_layout!(Rusage, general::rusage:
        ru_utime, ru_stime, ru_maxrss, ru_ixrss, ru_idrss, ru_isrss, ru_minflt, ru_majflt, ru_nswap, ru_inblock,
        ru_oublock, ru_msgsnd, ru_msgrcv, ru_nsignals, ru_nvcsw, ru_nivcsw);
}

#[test]
fn waiting_is_laid_out_as_in_linux() {
    use abi::futex::{FutexWaitv, RobustListHead};
    use abi::poll::{EpollEvent, Pollfd};
    same_layout!(Pollfd, general::pollfd: fd, events, revents);
    same_layout!(EpollEvent, general::epoll_event: events, data);
    same_layout!(RobustListHead, general::robust_list_head: list, futex_offset, list_op_pending);
    same_layout!(FutexWaitv, general::futex_waitv: val, uaddr, flags, reserved = __reserved);
}

#[test]
fn terminals_are_laid_out_as_in_linux() {
    use abi::termios::{Termio, Termios, Termios2, Winsize};
    same_layout!(Termios, general::termios: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc);
    same_layout!(Termios2, general::termios2:
        c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, c_ispeed, c_ospeed);
    same_layout!(Termio, general::termio: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc);
    same_layout!(Winsize, general::winsize: ws_row, ws_col, ws_xpixel, ws_ypixel);
}

#[test]
fn sockets_are_laid_out_as_in_linux() {
    use abi::socket::{Cmsghdr, Linger, Mmsghdr, Msghdr, SockaddrIn, SockaddrIn6, SockaddrUn, Ucred};
    same_layout!(SockaddrUn, net::sockaddr_un: sun_family, sun_path);
    same_layout!(SockaddrIn, net::sockaddr_in: sin_family, sin_port, sin_addr, pad = __pad);
    same_layout!(SockaddrIn6, net::sockaddr_in6:
        sin6_family, sin6_port, sin6_flowinfo, sin6_addr, sin6_scope_id);
    same_layout!(Msghdr, net::msghdr:
        msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags);
    same_layout!(Mmsghdr, net::mmsghdr: msg_hdr, msg_len);
    same_layout!(Cmsghdr, net::cmsghdr: cmsg_len, cmsg_level, cmsg_type);
    same_layout!(Ucred, net::ucred: pid, uid, gid);
    same_layout!(Linger, net::linger: l_onoff, l_linger);
}

#[test]
fn the_machine_is_described_as_linux_does() {
    use abi::capability::{CapData, CapHeader};
    use abi::resource::Rlimit64;
    use abi::system::{Sysinfo, Utsname};
    same_layout!(Utsname, system::new_utsname: sysname, nodename, release, version, machine, domainname);
    same_layout!(Sysinfo, system::sysinfo:
        uptime, loads, totalram, freeram, sharedram, bufferram, totalswap, freeswap, procs, totalhigh, freehigh,
        mem_unit);
    same_layout!(Rlimit64, general::rlimit64: rlim_cur, rlim_max);
    same_layout!(CapHeader, general::__user_cap_header_struct: version, pid);
    same_layout!(CapData, general::__user_cap_data_struct: effective, permitted, inheritable);
}

#[test]
fn descriptors_of_events_are_laid_out_as_in_linux() {
    use abi::auxv::AuxEntry;
    use abi::notify::{InotifyEvent, SignalfdSiginfo};
    same_layout!(InotifyEvent, general::inotify_event: wd, mask, cookie, len);
    same_layout!(SignalfdSiginfo, libc::signalfd_siginfo:
        ssi_signo, ssi_errno, ssi_code, ssi_pid, ssi_uid, ssi_fd, ssi_tid, ssi_band, ssi_overrun, ssi_trapno,
        ssi_status, ssi_int, ssi_ptr, ssi_utime, ssi_stime, ssi_addr, ssi_addr_lsb, ssi_syscall, ssi_call_addr,
        ssi_arch);
    // Two words, as the ABI supplement of x86-64 draws it (3.4.3).
    assert_eq!((size_of::<AuxEntry>(), offset_of!(AuxEntry, value)), (16, 8));
}

/// No crate carries linux/rseq.h, whose layout its comments fix: the sizes and places are from there.
#[test]
fn a_restartable_sequence_s_area_is_laid_out_as_linux_rseq_h_says() {
    use abi::rseq::{RSEQ_ALIGN, RSEQ_SIZE_MIN, Rseq, RseqCriticalSection};
    assert_eq!(size_of::<Rseq>(), RSEQ_SIZE_MIN as usize);
    assert_eq!(align_of::<Rseq>(), RSEQ_ALIGN as usize);
    assert_eq!(offset_of!(Rseq, cpu_id), 4);
    assert_eq!(offset_of!(Rseq, rseq_cs), 8);
    assert_eq!(offset_of!(Rseq, flags), 16);
    assert_eq!(offset_of!(Rseq, mm_cid), 24);
    assert_eq!((size_of::<RseqCriticalSection>(), align_of::<RseqCriticalSection>()), (32, 32));
    assert_eq!(offset_of!(RseqCriticalSection, start_ip), 8);
    assert_eq!(offset_of!(RseqCriticalSection, post_commit_offset), 16);
    assert_eq!(offset_of!(RseqCriticalSection, abort_ip), 24);
}
