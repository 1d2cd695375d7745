//! Terminal settings as the kernel keeps them (termios(3), ioctl_tty(2)). The C library's own
//! struct is larger; only 19 control characters cross the call.

use crate::plain::plain;

bitflags::bitflags! {
    /// How input is changed (`c_iflag`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct InputFlags: u32 {
        /// `IGNBRK`.
        const IGNBRK = 0x1;
        /// `BRKINT`.
        const BRKINT = 0x2;
        /// `IGNPAR`.
        const IGNPAR = 0x4;
        /// `PARMRK`.
        const PARMRK = 0x8;
        /// `INPCK`.
        const INPCK = 0x10;
        /// `ISTRIP`.
        const ISTRIP = 0x20;
        /// `INLCR`.
        const INLCR = 0x40;
        /// `IGNCR`.
        const IGNCR = 0x80;
        /// `ICRNL`.
        const ICRNL = 0x100;
        /// `IUCLC`.
        const IUCLC = 0x200;
        /// `IXON`.
        const IXON = 0x400;
        /// `IXANY`.
        const IXANY = 0x800;
        /// `IXOFF`.
        const IXOFF = 0x1000;
        /// `IMAXBEL`.
        const IMAXBEL = 0x2000;
        /// `IUTF8`.
        const IUTF8 = 0x4000;
    }
}

bitflags::bitflags! {
    /// How output is changed (`c_oflag`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OutputFlags: u32 {
        /// `OPOST`.
        const OPOST = 0x1;
        /// `OLCUC`.
        const OLCUC = 0x2;
        /// `ONLCR`.
        const ONLCR = 0x4;
        /// `OCRNL`.
        const OCRNL = 0x8;
        /// `ONOCR`.
        const ONOCR = 0x10;
        /// `ONLRET`.
        const ONLRET = 0x20;
        /// `OFILL`.
        const OFILL = 0x40;
        /// `OFDEL`.
        const OFDEL = 0x80;
        /// `TABDLY`.
        const TABDLY = 0x1800;
        /// `XTABS`.
        const XTABS = 0x1800;
    }
}

bitflags::bitflags! {
    /// The line (`c_cflag`); the speed is in the bits of [`CBAUD`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ControlFlags: u32 {
        /// `CSIZE`.
        const CSIZE = 0x30;
        /// `CS6`.
        const CS6 = 0x10;
        /// `CS7`.
        const CS7 = 0x20;
        /// `CS8`.
        const CS8 = 0x30;
        /// `CSTOPB`.
        const CSTOPB = 0x40;
        /// `CREAD`.
        const CREAD = 0x80;
        /// `PARENB`.
        const PARENB = 0x100;
        /// `PARODD`.
        const PARODD = 0x200;
        /// `HUPCL`.
        const HUPCL = 0x400;
        /// `CLOCAL`.
        const CLOCAL = 0x800;
        /// `CMSPAR`.
        const CMSPAR = 0x4000_0000;
        /// `CRTSCTS`.
        const CRTSCTS = 0x8000_0000;
    }
}

bitflags::bitflags! {
    /// What a line discipline does (`c_lflag`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LocalFlags: u32 {
        /// `ISIG`.
        const ISIG = 0x1;
        /// `ICANON`.
        const ICANON = 0x2;
        /// `XCASE`.
        const XCASE = 0x4;
        /// `ECHO`.
        const ECHO = 0x8;
        /// `ECHOE`.
        const ECHOE = 0x10;
        /// `ECHOK`.
        const ECHOK = 0x20;
        /// `ECHONL`.
        const ECHONL = 0x40;
        /// `NOFLSH`.
        const NOFLSH = 0x80;
        /// `TOSTOP`.
        const TOSTOP = 0x100;
        /// `ECHOCTL`.
        const ECHOCTL = 0x200;
        /// `ECHOPRT`.
        const ECHOPRT = 0x400;
        /// `ECHOKE`.
        const ECHOKE = 0x800;
        /// `FLUSHO`.
        const FLUSHO = 0x1000;
        /// `PENDIN`.
        const PENDIN = 0x4000;
        /// `IEXTEN`.
        const IEXTEN = 0x8000;
        /// `EXTPROC`.
        const EXTPROC = 0x1_0000;
    }
}

/// The bits of `c_cflag` that hold the output speed, and where the input speed's begin.
pub const CBAUD: u32 = 0x100f;
pub const CBAUDEX: u32 = 0x1000;
pub const BOTHER: u32 = 0x1000;
pub const CIBAUD: u32 = 0x100f_0000;
pub const IBSHIFT: u32 = 0x10;

// Speeds.
pub const B0: u32 = 0x0;
pub const B50: u32 = 0x1;
pub const B75: u32 = 0x2;
pub const B110: u32 = 0x3;
pub const B134: u32 = 0x4;
pub const B150: u32 = 0x5;
pub const B200: u32 = 0x6;
pub const B300: u32 = 0x7;
pub const B600: u32 = 0x8;
pub const B1200: u32 = 0x9;
pub const B1800: u32 = 0xa;
pub const B2400: u32 = 0xb;
pub const B4800: u32 = 0xc;
pub const B9600: u32 = 0xd;
pub const B19200: u32 = 0xe;
pub const B38400: u32 = 0xf;
pub const B57600: u32 = 0x1001;
pub const B115200: u32 = 0x1002;
pub const B230400: u32 = 0x1003;
pub const B460800: u32 = 0x1004;
pub const B500000: u32 = 0x1005;
pub const B576000: u32 = 0x1006;
pub const B921600: u32 = 0x1007;
pub const B1000000: u32 = 0x1008;
pub const B1152000: u32 = 0x1009;
pub const B1500000: u32 = 0x100a;
pub const B2000000: u32 = 0x100b;
pub const B2500000: u32 = 0x100c;
pub const B3000000: u32 = 0x100d;
pub const B3500000: u32 = 0x100e;
pub const B4000000: u32 = 0x100f;

// Places in the array of control characters.
pub const VINTR: usize = 0;
pub const VQUIT: usize = 1;
pub const VERASE: usize = 2;
pub const VKILL: usize = 3;
pub const VEOF: usize = 4;
pub const VTIME: usize = 5;
pub const VMIN: usize = 6;
pub const VSWTC: usize = 7;
pub const VSTART: usize = 8;
pub const VSTOP: usize = 9;
pub const VSUSP: usize = 10;
pub const VEOL: usize = 11;
pub const VREPRINT: usize = 12;
pub const VDISCARD: usize = 13;
pub const VWERASE: usize = 14;
pub const VLNEXT: usize = 15;
pub const VEOL2: usize = 16;

/// The length of the array of control characters.
pub const NCCS: usize = 19;

// What TCXONC (tcflow(3)) and TCFLSH (tcflush(3)) are told.
pub const TCOOFF: u32 = 0;
pub const TCOON: u32 = 1;
pub const TCIOFF: u32 = 2;
pub const TCION: u32 = 3;
pub const TCIFLUSH: u32 = 0;
pub const TCOFLUSH: u32 = 1;
pub const TCIOFLUSH: u32 = 2;

bitflags::bitflags! {
    /// Modem lines of TIOCMGET.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ModemFlags: u32 {
        /// `TIOCM_LE`.
        const LE = 0x1;
        /// `TIOCM_DTR`.
        const DTR = 0x2;
        /// `TIOCM_RTS`.
        const RTS = 0x4;
        /// `TIOCM_ST`.
        const ST = 0x8;
        /// `TIOCM_SR`.
        const SR = 0x10;
        /// `TIOCM_CTS`.
        const CTS = 0x20;
        /// `TIOCM_CAR`.
        const CAR = 0x40;
        /// `TIOCM_RNG`.
        const RNG = 0x80;
        /// `TIOCM_DSR`.
        const DSR = 0x100;
        /// `TIOCM_OUT1`.
        const OUT1 = 0x2000;
        /// `TIOCM_OUT2`.
        const OUT2 = 0x4000;
        /// `TIOCM_LOOP`.
        const LOOP = 0x8000;
    }
}

// The first byte of a read from a pseudo-terminal in packet mode.
pub const TIOCPKT_DATA: u8 = 0x0;
pub const TIOCPKT_FLUSHREAD: u8 = 0x1;
pub const TIOCPKT_FLUSHWRITE: u8 = 0x2;
pub const TIOCPKT_STOP: u8 = 0x4;
pub const TIOCPKT_START: u8 = 0x8;
pub const TIOCPKT_NOSTOP: u8 = 0x10;
pub const TIOCPKT_DOSTOP: u8 = 0x20;
pub const TIOCPKT_IOCTL: u8 = 0x40;

/// The line discipline of an ordinary terminal (`N_TTY`).
pub const N_TTY: u8 = 0;

plain! {
    /// Settings of TCGETS and TCSETS (`struct termios`).
    pub struct Termios {
        pub c_iflag: u32,
        pub c_oflag: u32,
        pub c_cflag: u32,
        pub c_lflag: u32,
        pub c_line: u8,
        pub c_cc: [u8; NCCS],
    }

    /// Settings of TCGETS2 and TCSETS2: the same with speeds in bits a second (`struct termios2`).
    pub struct Termios2 {
        pub c_iflag: u32,
        pub c_oflag: u32,
        pub c_cflag: u32,
        pub c_lflag: u32,
        pub c_line: u8,
        pub c_cc: [u8; NCCS],
        pub c_ispeed: u32,
        pub c_ospeed: u32,
    }

    /// The settings of System V (`struct termio`), for TCGETA.
    pub struct Termio {
        pub c_iflag: u16,
        pub c_oflag: u16,
        pub c_cflag: u16,
        pub c_lflag: u16,
        pub c_line: u8,
        pub c_cc: [u8; 8],
        pub pad: u8,
    }

    /// A window's size in characters and, where known, pixels (`struct winsize`).
    pub struct Winsize {
        pub ws_row: u16,
        pub ws_col: u16,
        pub ws_xpixel: u16,
        pub ws_ypixel: u16,
    }
}

const fn control(letter: u8) -> u8 {
    letter & 0x1f
}

impl Termios {
    /// What a terminal starts with: line editing, echo, signals, carriage return and line feed made
    /// one, 38400 bit/s, eight bits (Linux's `tty_std_termios`).
    pub const DEFAULT: Termios = {
        let mut c_cc = [0; NCCS];
        c_cc[VINTR] = control(b'C');
        c_cc[VQUIT] = control(b'\\');
        c_cc[VERASE] = 0x7f;
        c_cc[VKILL] = control(b'U');
        c_cc[VEOF] = control(b'D');
        c_cc[VMIN] = 1;
        c_cc[VSTART] = control(b'Q');
        c_cc[VSTOP] = control(b'S');
        c_cc[VSUSP] = control(b'Z');
        c_cc[VREPRINT] = control(b'R');
        c_cc[VDISCARD] = control(b'O');
        c_cc[VWERASE] = control(b'W');
        c_cc[VLNEXT] = control(b'V');
        Termios {
            c_iflag: InputFlags::ICRNL.union(InputFlags::IXON).bits(),
            c_oflag: OutputFlags::OPOST.union(OutputFlags::ONLCR).bits(),
            c_cflag: B38400 | ControlFlags::CS8.union(ControlFlags::CREAD).union(ControlFlags::HUPCL).bits(),
            c_lflag: LocalFlags::ISIG
                .union(LocalFlags::ICANON)
                .union(LocalFlags::ECHO)
                .union(LocalFlags::ECHOE)
                .union(LocalFlags::ECHOK)
                .union(LocalFlags::ECHOCTL)
                .union(LocalFlags::ECHOKE)
                .union(LocalFlags::IEXTEN)
                .bits(),
            c_line: N_TTY,
            c_cc,
        }
    };
}
