//! A serial port as a terminal: /dev/ttyS0, which is also the console.

use alloc::sync::Arc;

use abi::Errno;
use abi::stat::device_number;
use abi::termios::{B115200, CBAUD, Termios, Winsize};
use files::terminal::{Terminal, TerminalDriver, register_terminal, set_console, speed_of};

use crate::serial::{Client, Port};

/// The major number of serial ports, and the first one's minor (devices.txt).
const MAJOR: u32 = 4;
const FIRST_MINOR: u32 = 64;

struct Line(Arc<Port>);

impl TerminalDriver for Line {
    fn transmit(&self, bytes: &[u8]) -> usize {
        self.0.transmit(bytes)
    }

    fn is_drained(&self) -> bool {
        self.0.is_drained()
    }

    fn input_wanted(&self) {
        self.0.input_wanted();
    }

    fn configure(&self, termios: &Termios) {
        // Speed 0 hangs up a modem (termios(3)); there is none.
        let speed = speed_of(termios.c_cflag);
        if speed != 0 {
            self.0.set_speed(speed);
        }
    }

    fn send_break(&self) {
        // A quarter of a second, as tcsendbreak(3) says.
        self.0.set_break(true);
        let end = machine::clock::now_ns() + 250_000_000;
        while machine::clock::now_ns() < end {
            threads::yield_now();
        }
        self.0.set_break(false);
    }
}

/// What the port tells goes to the terminal.
struct Input(Arc<Terminal>);

impl Client for Input {
    fn received(&self, bytes: &[u8]) -> usize {
        self.0.receive(bytes)
    }

    fn room(&self) {
        self.0.output_ready();
    }

    fn line_break(&self) {
        self.0.receive_break();
    }
}

/// Makes `port` the terminal /dev/ttyS`number` and the console.
#[expect(clippy::disallowed_macros, clippy::disallowed_methods, reason = "made at boot")]
pub fn start(port: &Arc<Port>, number: u32, window: Option<Winsize>) -> Result<Arc<Terminal>, Errno> {
    let device = device_number(MAJOR, FIRST_MINOR + number);
    let name = alloc::format!("ttyS{number}");
    // The speed at which the port was opened.
    let c_cflag = Termios::DEFAULT.c_cflag & !CBAUD | B115200;
    let termios = Termios { c_cflag, ..Termios::DEFAULT };
    let terminal = Terminal::new(name.clone(), device, termios, Arc::new(Line(Arc::clone(port))))?;
    if let Some(window) = window {
        terminal.set_window(window);
    }
    port.connect(Arc::new(Input(Arc::clone(&terminal))));
    register_terminal(&terminal)?;
    set_console(Arc::clone(&terminal));
    Ok(terminal)
}
