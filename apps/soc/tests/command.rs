//! The program `soc` as its users call it: files, pipes, JSON, exit statuses.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn soc(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_soc"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn file(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn pipes_carry_source_to_image_to_source() {
    let image = soc(&["as", "-"], b"l: mov r1, 5\njmp l\n");
    assert_eq!(image.status.code(), Some(0));
    assert_eq!(image.stdout.len(), 32);
    let source = soc(&["dis", "-"], &image.stdout);
    assert!(text(&source.stdout).contains("mov r1, 0x5"));
    let again = soc(&["as", "-"], &source.stdout);
    assert_eq!(again.stdout, image.stdout);
}

#[test]
fn findings_go_to_standard_error_or_into_json() {
    let plain = soc(&["as", "-"], b"mvo r1, 5\nadd 1, r1\n");
    assert_eq!(plain.status.code(), Some(1));
    assert!(plain.stdout.is_empty() && text(&plain.stderr).contains("did you mean `mov`?"));
    let json = soc(&["as", "--json", "-"], b"mvo r1, 5\nadd 1, r1\n");
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["ok"], false);
    assert_eq!((&value["findings"][1]["line"], &value["findings"][1]["column"]), (&2.into(), &5.into()));
}

#[test]
fn the_exit_status_is_the_programs() {
    let folder = folder("status");
    let run = |content: &str, more: &[&str]| {
        let path = file(&folder, "p.asm", content);
        let mut arguments = vec!["run", &path];
        arguments.extend(more);
        soc(&arguments, b"").status.code()
    };
    assert_eq!(run(".include \"soc.inc\"\nmov r1, 42\nst32 SYSTEM_EXIT, r1\n", &[]), Some(42));
    assert_eq!(run("nop\n", &[]), Some(0), "the break behind the last line");
    assert_eq!(run("ud\n", &[]), Some(101));
    assert_eq!(run("div r1, 0\n", &[]), Some(103));
    assert_eq!(run("mov r1, 1\nreg r1, h\nmov r14, 0x8000\nud\nh: ud\n", &[]), Some(105));
    assert_eq!(run("l: jmp l\n", &["--cycles", "1000"]), Some(124));
    assert_eq!(run(".include \"soc.inc\"\nst32 SYSTEM_WAIT, r1\n", &[]), Some(0), "asleep for good");
    assert_eq!(run("mov.bl r1, 1\ncmp r1, 1\nmov.bl r2, 7\ndiv r1, r2\n", &["--compat"]), Some(103));
    assert_eq!(soc(&["run", "/nonexistent"], b"").status.code(), Some(1));
}

#[test]
fn the_uart_is_standard_output_and_the_outcome_is_json() {
    let folder = folder("uart");
    let echo = ".include \"soc.inc\"\nl: ld32 r1, UART_STATUS\nand r1, 1\ncmp r1, 1\njmp.nz l\nld32 r1, UART_DATA\n\
        cmp r1, '.'\njmp.z end\nst32 UART_DATA, r1\njmp l\nend: st32 SYSTEM_EXIT, r1\n";
    let path = file(&folder, "echo.asm", echo);
    let plain = soc(&["run", &path, "--serial", "-"], b"hello.");
    assert_eq!((text(&plain.stdout).as_str(), plain.status.code()), ("hello", Some(46)));
    let json = soc(&["run", &path, "--serial", "-", "--json"], b"hello.");
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&value["stop"], &value["value"]), (&"exit".into(), &46.into()));
}

#[test]
fn a_recording_and_a_saved_state_repeat_the_run() {
    let folder = folder("record");
    let path = file(
        &folder,
        "p.asm",
        ".include \"soc.inc\"\nl: ld8 r1, KEYBOARD+1\nadd r2, r1\nld32 r3, RANDOM_VALUE\nadd r4, r3\njmp l\n",
    );
    let place = |name: &str| folder.join(name).display().to_string();
    let (record, state, end) = (place("a.rec"), place("half.state"), place("end.state"));
    soc(
        &[
            "run",
            &path,
            "--keys",
            "ab\\n",
            "--seed",
            "9",
            "--cycles",
            "5000",
            "--record",
            &record,
            "--save-state",
            &end,
        ],
        b"",
    );
    let again = place("again.state");
    soc(&["run", "--replay", &record, "--save-state", &again], b"");
    assert!(fs::read(&again).unwrap() == fs::read(&end).unwrap());
    soc(&["run", &path, "--keys", "ab\\n", "--seed", "9", "--cycles", "3000", "--save-state", &state], b"");
    soc(&["run", "--load-state", &state, "--cycles", "2000", "--save-state", &again], b"");
    assert!(fs::read(&again).unwrap() == fs::read(&end).unwrap());
    fs::write(&state, b"SOCSTATE nonsense").unwrap();
    assert_eq!(soc(&["run", "--load-state", &state], b"").status.code(), Some(1));
    let debug = soc(&["debug", "--replay", &record, "--batch", "goto 4000; print r2"], b"");
    assert!(text(&debug.stdout).contains("205 0xcd"), "{}", text(&debug.stdout));
}

#[test]
fn a_debugging_session_with_its_edits_is_recorded_and_repeated() {
    let folder = folder("session");
    let path = file(&folder, "p.asm", "l: add r1, 1\njmp l\n");
    let record = folder.join("session.rec").display().to_string();
    let session = "s 10; set r1 100; s 10; set r1 7; rs 3";
    assert_eq!(soc(&["debug", &path, "--batch", session, "--record", &record], b"").status.code(), Some(0));
    let run = soc(&["run", "--replay", &record, "--json"], b"");
    let value: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    // Five of the ten steps behind the edit add one; the last edit lies in the future of where the session ended.
    assert_eq!((&value["cycles"], &value["registers"][1]), (&17.into(), &104.into()), "{value}");
}

#[test]
fn a_teacher_tests_a_program_against_a_file() {
    let folder = folder("test");
    file(&folder, "p.asm", "mov r1, 5\n");
    let good = file(&folder, "p.toml", "[expect]\nstop = \"break\"\nregisters = { r1 = 5 }\n");
    let output = soc(&["test", &good], b"");
    assert_eq!(
        (output.status.code(), text(&output.stdout).ends_with("1 passed, 0 failed\n")),
        (Some(0), true)
    );
    let bad = file(
        &folder,
        "bad.toml",
        "program = \"p.asm\"\n[expect]\nregisters = { r1 = 6 }\nmemory = { 0x0 = 1 }\n",
    );
    let output = soc(&["test", &bad], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("r1: expected 0x6, found 0x5"));
    let unknown = file(&folder, "unknown.toml", "[expect]\nregister = 1\n");
    assert!(text(&soc(&["test", &unknown], b"").stdout).contains("unknown field"));
}

#[test]
fn formatting_changes_files_in_place_and_checks_without() {
    let folder = folder("fmt");
    let path = file(&folder, "p.asm", "l:mov r1,5 ;x\n");
    assert_eq!(soc(&["fmt", "--check", &path], b"").status.code(), Some(1));
    assert_eq!(soc(&["fmt", &path], b"").status.code(), Some(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), "l:  mov r1, 5                   ;x\n");
    assert_eq!(soc(&["fmt", "--check", &path], b"").status.code(), Some(0));
    assert_eq!(text(&soc(&["fmt"], b" nop\n").stdout), "    nop\n");
}

#[test]
fn batch_debugging_answers_line_by_line() {
    let folder = folder("batch");
    let path = file(&folder, "p.asm", "mov r1, 1\nl: add r1, 1\njmp l\n");
    let output = soc(&["debug", &path, "--batch", "break l if r1 == 5; c; print r1; rs; rc; bogus"], b"");
    assert_eq!(output.status.code(), Some(1));
    let expected = "breakpoint 1 at 00000008 l\nbreakpoint 1 at 00000008, cycle 9\n5 0x5\nstopped at 00000010, cycle 8\nthe beginning of time at 00000000, cycle 0\n";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_soc"))
        .arg("isa")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(141), ""));
}

#[test]
fn wrong_use_is_told_with_a_remedy() {
    let folder = folder("wrong");
    let path = file(&folder, "p.asm", "nop\n");
    let told = |arguments: &[&str]| {
        let output = soc(arguments, b"");
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {:?}", output.status);
        text(&output.stderr)
    };
    assert!(told(&["run", &path, "--node", "no id!"]).contains("letters, digits"));
    let elsewhere = told(&["run", &path, "--node", "x", "--node-address", "203.0.113.5"]);
    assert!(elsewhere.contains("--node-address wants an address of this machine"), "{elsewhere}");
    assert!(told(&["run", &path, "--load-state", &path]).contains("cannot be used with"));
    assert!(told(&["run"]).contains("name a program"));
}

#[test]
fn a_batch_gives_a_program_without_end_up_at_the_limit() {
    let path = file(&folder("limit"), "p.asm", "l: add r1, 1\njmp l\n");
    let output = soc(&["debug", &path, "--batch", "c; s 2; rs 1", "--cycles", "1000"], b"");
    let expected = "the cycle limit is reached at 00000000, cycle 1000\nstopped at 00000000, cycle 1002\nstopped at 00000008, cycle 1001\n";
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(124), expected));
}

#[test]
fn an_image_is_disassembled_into_json() {
    let image = soc(&["as", "-"], b"l: mov r1, 5\njmp l\n$BYTE 1").stdout;
    let output = soc(&["dis", "--json", "-"], &image[..17]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["words"][0]["text"], "mov r1, 0x5");
    assert_eq!(
        (&value["words"][1]["bytes"], &value["bytes_behind"]),
        (&"14df030000000000".into(), &1.into())
    );
}

#[test]
fn sources_that_are_shipped_are_laid_out() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let mut checked = 0;
    for kind in ["conformance", "samples", "examples"] {
        for entry in fs::read_dir(programs.join(kind)).unwrap().flatten() {
            let path = entry.path();
            // Sources in the original's language keep its habits.
            let source = fs::read_to_string(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "asm") && source.contains(".include") {
                assert_eq!(soc_assembler::format(&source), source, "{}: run soc fmt", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 5);
}
