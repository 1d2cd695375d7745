//! The options that QEMU is given for a machine.

use super::accelerator::Accelerator;
use super::{Board, Boot, Console, Firmware, Machine, Time};
use std::ffi::OsString;
use std::path::Path;

/// The port of the device by which a guest ends QEMU: a write of N makes QEMU's exit status 2 N + 1.
const DEBUG_EXIT: &str = "isa-debug-exit,iobase=0xf4,iosize=4";

impl Machine {
    /// Everything after the program's name. `sockets` is the folder for the sockets of the console and the report.
    pub fn options(&self, sockets: &Path) -> Vec<OsString> {
        let mut options = Options::default();
        let accelerator = match self.time {
            Time::Wall => Accelerator::best(),
            Time::Instructions => Accelerator::Tcg,
        };
        options.pair("-machine", self.machine());
        options.pair("-accel", accelerator.name());
        options.pair("-cpu", self.cpu.as_deref().unwrap_or(accelerator.cpu()));
        // An MP table lists one processor a package (SeaBIOS), so each is a package of its own.
        let packages = if self.has_acpi { String::new() } else { format!(",sockets={}", self.processors) };
        options.pair("-smp", format!("{}{packages}", self.processors));
        options.pair("-m", self.memory.to_string());
        for option in ["-nodefaults", "-no-user-config", "-no-reboot"] {
            options.flag(option);
        }
        options.pair("-display", "none");
        options.pair("-nic", "none");
        if !self.has_acpi && self.board == Board::Q35 {
            options.flag("-no-acpi");
        }
        if self.time == Time::Instructions {
            options.pair("-icount", "shift=0,sleep=off");
            options.pair("-rtc", "base=2024-01-01,clock=vm");
            options.pair("-seed", "1");
        }
        if let Firmware::File(file) = &self.firmware {
            options.pair("-bios", file);
        }
        self.serial_ports(&mut options, sockets);
        options.pair("-device", DEBUG_EXIT);
        self.boot(&mut options);
        if self.waits_for_debugger {
            options.flag("-S");
            options.pair("-gdb", "tcp::1234");
        }
        self.extra.iter().for_each(|option| options.flag(option));
        options.list
    }

    fn machine(&self) -> String {
        match (self.board, self.has_acpi) {
            (Board::Q35, _) => "q35".into(),
            (Board::Microvm, true) => "microvm,rtc=on".into(),
            (Board::Microvm, false) => "microvm,rtc=on,acpi=off".into(),
        }
    }

    /// COM1 is the console, COM2 the report.
    fn serial_ports(&self, options: &mut Options, sockets: &Path) {
        match self.console {
            Console::Terminal => {
                options.pair("-chardev", "stdio,id=console,mux=on,signal=off");
                options.pair("-mon", "chardev=console,mode=readline");
            }
            Console::Stdio | Console::Output => options.pair("-chardev", "stdio,id=console,signal=on"),
            Console::Socket => {
                options.pair("-chardev", socket("console", &sockets.join("console")));
            }
        }
        options.pair("-chardev", socket("report", &sockets.join("report")));
        options.pair("-serial", "chardev:console");
        match self.board {
            Board::Q35 => options.pair("-serial", "chardev:report"),
            // A microvm makes one port of -serial; the second is an ordinary device.
            Board::Microvm => {
                options.pair("-device", "isa-serial,chardev=report,index=1,iobase=0x2f8,irq=3");
            }
        }
    }

    fn boot(&self, options: &mut Options) {
        match &self.boot {
            Boot::Kernel { kernel, initramfs } => {
                options.pair("-kernel", kernel);
                if let Some(initramfs) = initramfs {
                    options.pair("-initrd", initramfs);
                }
                if !self.words.is_empty() {
                    options.pair("-append", self.words.join(" "));
                }
            }
            Boot::Disc(image) => {
                options.pair("-cdrom", image);
                options.pair("-boot", "d");
            }
        }
    }
}

/// A chardev that connects to a socket on which this program listens.
fn socket(id: &str, path: &Path) -> String {
    // A comma in a value is doubled.
    let path = path.to_string_lossy().replace(',', ",,");
    format!("socket,id={id},path={path}")
}

#[derive(Default)]
struct Options {
    list: Vec<OsString>,
}

impl Options {
    fn flag(&mut self, option: impl Into<OsString>) {
        self.list.push(option.into());
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) {
        self.list.push(option.into());
        self.list.push(value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(machine: &Machine) -> String {
        let list = machine.options(Path::new("/s"));
        list.iter().map(|option| option.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn machine() -> Machine {
        Machine::new(Boot::Kernel { kernel: "/k".into(), initramfs: Some("/i".into()) })
    }

    #[test]
    fn a_machine_gets_its_processors_memory_kernel_and_words() {
        let line =
            options(&machine().smp(4).memory(super::super::MemorySize::mebibytes(24)).word("a").word("b=c"));
        assert!(line.contains("-smp 4 -m 24M"), "{line}");
        assert!(line.contains("-kernel /k -initrd /i -append a b=c"), "{line}");
    }

    #[test]
    fn the_report_is_the_second_serial_port_on_either_board() {
        let q35 = options(&machine());
        assert!(q35.contains("-serial chardev:console -serial chardev:report"), "{q35}");
        let microvm = options(&machine().board(Board::Microvm));
        assert!(microvm.contains("isa-serial,chardev=report,index=1"), "{microvm}");
    }

    #[test]
    fn instruction_time_never_uses_kvm_and_fixes_clock_and_seed() {
        let line = options(&machine().time(Time::Instructions));
        assert!(line.contains("-accel tcg"), "{line}");
        assert!(line.contains("-icount shift=0,sleep=off -rtc base=2024-01-01,clock=vm -seed 1"), "{line}");
    }

    #[test]
    fn a_machine_without_acpi_is_told_so_in_its_boards_own_way() {
        let q35 = options(&machine().smp(2).without_acpi());
        assert!(q35.contains("-no-acpi") && q35.contains("-append acpi=off"), "{q35}");
        assert!(q35.contains("-smp 2,sockets=2"), "{q35}");
        assert!(options(&machine().board(Board::Microvm).without_acpi()).contains("acpi=off"));
    }
}
