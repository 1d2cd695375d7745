//! A real gdb: connects, breaks, steps, reads memory, goes backwards.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs gdb's commands against a program; gives all that gdb prints.
fn gdb(program: &str, commands: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(program);
    let mut server = Command::new(env!("CARGO_BIN_EXE_soc"))
        .arg("debug")
        .arg(path)
        .args(["--gdb", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let remote = line.trim().rsplit("waiting for gdb: ").next().unwrap().to_owned();
    let mut gdb = Command::new("gdb-multiarch");
    gdb.args(["-nx", "-batch", "-ex", "set confirm off", "-ex", &remote]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    let output = gdb.output().expect("gdb-multiarch is installed: apps/soc/setup.sh does it");
    assert!(server.wait().unwrap().success());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn gdb_breaks_steps_reads_and_goes_back() {
    let commands = [
        "break *0x38",
        "continue",
        "print/x $r0",
        "print/x $sp",
        "x/2xw $sp",
        "stepi",
        "print/x $pc",
        "reverse-stepi",
        "print/x $pc",
        "set $r5 = 0x77",
        "print/x $r5",
        "delete",
        "reverse-continue",
        "print/x $pc",
        "monitor regs",
        "monitor disas 0 2",
        "monitor c",
        "detach",
    ];
    let heard = gdb("samples/call.asm", &commands);
    let expected = [
        "Breakpoint 1, 0x00000038",
        "$1 = 0x12345678",
        "$2 = 0x7ff4",
        "0x00000020\t0xaaaaaaaa",
        "$3 = 0x40",
        "$4 = 0x38",
        "$5 = 0x77",
        "No more reverse-execution history",
        "$6 = 0x0",
        "flags ----, generic bank, cycle 0",
        "mov r14, 0x8000",
        "use gdb's own commands",
    ];
    let mut rest = heard.as_str();
    for part in expected {
        let at =
            rest.find(part).unwrap_or_else(|| panic!("{part:?} is not, or not in its place, in\n{heard}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn gdb_watches_memory_and_sees_the_end() {
    let heard = gdb(
        "samples/text.asm",
        &["watch *(int*)0xf1000000", "continue", "print/x $pc", "delete", "continue", "monitor info"],
    );
    assert!(heard.contains("atchpoint 1: *(int*)0xf1000000"), "{heard}");
    assert!(heard.contains("$1 = 0x48"), "{heard}");
    assert!(heard.contains("SIGTRAP") && heard.contains("exception 0: breakpoint"), "{heard}");
}
