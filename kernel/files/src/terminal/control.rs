//! The requests of ioctl_tty(2).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::capability::CAP_SYS_ADMIN;
use abi::ioctl::*;
use abi::termios::*;
use zerocopy::{FromBytes, IntoBytes};

use super::{Terminal, job};
use crate::file::IoctlArgument;

/// When new settings take effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Now,
    AfterOutput,
    AfterOutputWithoutInput,
}

fn get<T: FromBytes + IntoBytes>(argument: &mut dyn IoctlArgument) -> Result<T, Errno> {
    let mut value = T::new_zeroed();
    argument.read(value.as_mut_bytes())?;
    Ok(value)
}

fn put(argument: &mut dyn IoctlArgument, bytes: &[u8]) -> Result<usize, Errno> {
    argument.write(bytes)?;
    Ok(0)
}

impl Terminal {
    /// Does a request that the terminal itself knows: ENOTTY for others, EINTR for a background job that is stopped by it.
    pub(super) fn control(
        self: &Arc<Self>,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<usize, Errno> {
        match request {
            TCGETS => put(argument, self.termios().as_bytes()),
            TCGETS2 => put(argument, with_speeds(&self.termios()).as_bytes()),
            TCGETA => put(argument, shortened(&self.termios()).as_bytes()),
            TCSETS => self.change(get(argument)?, Moment::Now),
            TCSETSW => self.change(get(argument)?, Moment::AfterOutput),
            TCSETSF => self.change(get(argument)?, Moment::AfterOutputWithoutInput),
            TCSETS2 => self.change(without_speeds(&get(argument)?), Moment::Now),
            TCSETSW2 => self.change(without_speeds(&get(argument)?), Moment::AfterOutput),
            TCSETSF2 => self.change(without_speeds(&get(argument)?), Moment::AfterOutputWithoutInput),
            TCSETA => self.change(lengthened(&self.termios(), &get(argument)?), Moment::Now),
            TCSETAW => self.change(lengthened(&self.termios(), &get(argument)?), Moment::AfterOutput),
            TCSETAF => {
                self.change(lengthened(&self.termios(), &get(argument)?), Moment::AfterOutputWithoutInput)
            }
            TIOCGWINSZ => put(argument, self.window().as_bytes()),
            TIOCSWINSZ => {
                self.set_window(get(argument)?);
                Ok(0)
            }
            TIOCGPGRP => {
                job::check_controlling(self)?;
                put(argument, self.foreground().as_bytes())
            }
            TIOCSPGRP => {
                job::set_foreground(self, get(argument)?)?;
                Ok(0)
            }
            TIOCGSID => {
                job::check_controlling(self)?;
                put(argument, self.session().as_bytes())
            }
            TIOCSCTTY => {
                job::set_controlling(self, argument.value() == 1)?;
                Ok(0)
            }
            TIOCNOTTY => {
                job::give_up(self)?;
                Ok(0)
            }
            FIONREAD => put(argument, (self.readable() as i32).as_bytes()),
            TIOCOUTQ => put(argument, (self.queued_output() as i32).as_bytes()),
            TCFLSH => {
                job::check_changing(self)?;
                let (input, output) = match argument.value() as u32 {
                    TCIFLUSH => (true, false),
                    TCOFLUSH => (false, true),
                    TCIOFLUSH => (true, true),
                    _ => return Err(Errno::EINVAL),
                };
                self.flush(input, output);
                Ok(0)
            }
            TCXONC => self.control_flow(argument.value() as u32),
            TCSBRK | TCSBRKP => {
                job::check_changing(self)?;
                self.drain()?;
                // With an argument TCSBRK only drains: it is tcdrain(3).
                if request == TCSBRKP || argument.value() == 0 {
                    self.driver.send_break();
                }
                Ok(0)
            }
            TIOCSTI => self.fake_input(argument),
            TIOCEXCL | TIOCNXCL => {
                self.is_exclusive.store(request == TIOCEXCL, Ordering::Relaxed);
                Ok(0)
            }
            TIOCGEXCL => put(argument, i32::from(self.is_exclusive.load(Ordering::Relaxed)).as_bytes()),
            TIOCGETD => put(argument, i32::from(N_TTY).as_bytes()),
            TIOCSETD => match get::<i32>(argument)? {
                0 => Ok(0),
                // There is no other line discipline.
                _ => Err(Errno::EINVAL),
            },
            TIOCGDEV => put(argument, (self.device as u32).as_bytes()),
            TIOCVHANGUP => {
                let may = job::job_control().is_none_or(|jobs| jobs.has_capability(CAP_SYS_ADMIN));
                if !may {
                    return Err(Errno::EPERM);
                }
                self.hang_up();
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn change(&self, termios: Termios, when: Moment) -> Result<usize, Errno> {
        job::check_changing(self)?;
        if when != Moment::Now {
            self.drain()?;
        }
        if when == Moment::AfterOutputWithoutInput {
            self.flush(true, false);
        }
        self.set_termios(termios);
        Ok(0)
    }

    fn control_flow(&self, action: u32) -> Result<usize, Errno> {
        job::check_changing(self)?;
        match action {
            TCOOFF => self.set_stopped(true),
            TCOON => self.set_stopped(false),
            TCIOFF | TCION => {
                let place = if action == TCIOFF { VSTOP } else { VSTART };
                let byte = self.termios().c_cc.get(place).copied().unwrap_or(0);
                // The other side is asked to stop or to go on typing, by the character agreed on.
                if byte != 0 {
                    let _guard = self.state.lock();
                    self.driver.transmit(&[byte]);
                }
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }

    /// TIOCSTI: as if a byte had been typed. Into another's terminal only with CAP_SYS_ADMIN (EPERM).
    fn fake_input(&self, argument: &mut dyn IoctlArgument) -> Result<usize, Errno> {
        if let Some(jobs) = job::job_control()
            && let Some(caller) = jobs.caller()
            && !caller.is_controlled_by(self)
            && !jobs.has_capability(CAP_SYS_ADMIN)
        {
            return Err(Errno::EPERM);
        }
        let byte: u8 = get(argument)?;
        self.receive(&[byte]);
        Ok(0)
    }
}

/// Bits a second for each speed that has a code.
const SPEEDS: [(u32, u32); 31] = [
    (B0, 0),
    (B50, 50),
    (B75, 75),
    (B110, 110),
    (B134, 134),
    (B150, 150),
    (B200, 200),
    (B300, 300),
    (B600, 600),
    (B1200, 1200),
    (B1800, 1800),
    (B2400, 2400),
    (B4800, 4800),
    (B9600, 9600),
    (B19200, 19200),
    (B38400, 38400),
    (B57600, 57600),
    (B115200, 115_200),
    (B230400, 230_400),
    (B460800, 460_800),
    (B500000, 500_000),
    (B576000, 576_000),
    (B921600, 921_600),
    (B1000000, 1_000_000),
    (B1152000, 1_152_000),
    (B1500000, 1_500_000),
    (B2000000, 2_000_000),
    (B2500000, 2_500_000),
    (B3000000, 3_000_000),
    (B3500000, 3_500_000),
    (B4000000, 4_000_000),
];

/// The speed in bits a second that `c_cflag` codes; 38400 for a code that means nothing.
pub fn speed_of(c_cflag: u32) -> u32 {
    SPEEDS.iter().find(|(code, _)| *code == c_cflag & CBAUD).map_or(38_400, |(_, speed)| *speed)
}

fn with_speeds(termios: &Termios) -> Termios2 {
    let output = speed_of(termios.c_cflag);
    let input = match (termios.c_cflag & CIBAUD) >> IBSHIFT {
        0 => output,
        code => speed_of(code),
    };
    Termios2 {
        c_iflag: termios.c_iflag,
        c_oflag: termios.c_oflag,
        c_cflag: termios.c_cflag,
        c_lflag: termios.c_lflag,
        c_line: termios.c_line,
        c_cc: termios.c_cc,
        c_ispeed: input,
        c_ospeed: output,
    }
}

/// The speeds of `termios2`, where they are given as numbers, become the code of the nearest speed that has one.
fn without_speeds(termios: &Termios2) -> Termios {
    let mut c_cflag = termios.c_cflag;
    if c_cflag & CBAUD == BOTHER {
        let nearest = SPEEDS.iter().min_by_key(|(_, speed)| speed.abs_diff(termios.c_ospeed));
        c_cflag = c_cflag & !CBAUD | nearest.map_or(B38400, |(code, _)| *code);
    }
    Termios {
        c_iflag: termios.c_iflag,
        c_oflag: termios.c_oflag,
        c_cflag,
        c_lflag: termios.c_lflag,
        c_line: termios.c_line,
        c_cc: termios.c_cc,
    }
}

/// System V's settings: the lower halves, and the first eight characters.
fn shortened(termios: &Termios) -> Termio {
    let mut c_cc = [0; 8];
    c_cc.copy_from_slice(&termios.c_cc[..8]);
    Termio {
        c_iflag: termios.c_iflag as u16,
        c_oflag: termios.c_oflag as u16,
        c_cflag: termios.c_cflag as u16,
        c_lflag: termios.c_lflag as u16,
        c_line: termios.c_line,
        c_cc,
        pad: 0,
    }
}

fn lengthened(old: &Termios, new: &Termio) -> Termios {
    let low = |old: u32, new: u16| old & 0xffff_0000 | u32::from(new);
    let mut termios = *old;
    termios.c_iflag = low(old.c_iflag, new.c_iflag);
    termios.c_oflag = low(old.c_oflag, new.c_oflag);
    termios.c_cflag = low(old.c_cflag, new.c_cflag);
    termios.c_lflag = low(old.c_lflag, new.c_lflag);
    termios.c_line = new.c_line;
    termios.c_cc[..8].copy_from_slice(&new.c_cc);
    termios
}
