//! Prints the call table, which is what the kernel dispatches by: number, name, how much of it is there. `./hob abi` runs this.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use linux::calls::{Completeness, documentation};

/// One line a call, then a line of sums.
fn print(out: &mut impl Write) -> io::Result<()> {
    let (mut whole, mut in_part, mut missing) = (0, 0, 0);
    for (number, name, entry) in documentation() {
        match entry.completeness {
            Completeness::Full => whole += 1,
            Completeness::Part(_) => in_part += 1,
            Completeness::Missing => missing += 1,
        }
        writeln!(out, "{number:>3}  {name:<24} {}", entry.completeness)?;
    }
    writeln!(out, "{whole} whole, {in_part} in part, {missing} not there")
}

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    match print(&mut out).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the table could not be printed: {error}");
            ExitCode::FAILURE
        }
    }
}
