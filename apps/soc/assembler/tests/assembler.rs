//! The assembler's language, its findings, and the golden encodings.

use soc_assembler::{
    Assembly, Files, Language, NoFiles, Options, Symbols, assemble, disassemble, format, listing,
};

fn full(text: &str) -> Assembly {
    assemble("test.asm", text, Options::default(), &mut NoFiles)
}

fn image(text: &str) -> Vec<u8> {
    let assembly = full(&format!(".raw\n{text}"));
    let findings = assembly.render();
    assembly.program.unwrap_or_else(|| panic!("{findings}")).image
}

fn original(text: &str) -> Result<Vec<u8>, String> {
    let options = Options { language: Language::Original };
    let assembly = assemble("test.asm", text, options, &mut NoFiles);
    let reason = assembly.diagnostics.first().map(|finding| finding.message.clone());
    assembly.program.map(|program| program.image).ok_or(reason.unwrap_or_default())
}

/// The message of every finding, each with `line:column`.
fn findings(text: &str) -> Vec<String> {
    let assembly = full(text);
    assembly
        .diagnostics
        .iter()
        .map(|finding| {
            let (line, column) = assembly.sources.line_column(finding.span);
            format!("{line}:{column} {}", finding.message)
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn encodings_are_those_of_the_original() {
    let golden = [
        ("nop", "19de030000000000"),
        ("mov r1,r2", "1c41000000000000"),
        ("mov.nz r1,0x12345678", "1ce10b0078563412"),
        ("st8 0x6800,r1", "283f000000680000"),
        ("jmp.bl 8", "14df1b0008000000"),
        ("push 5", "21df030005000000"),
        ("push r3", "21c3030000000000"),
        ("call 8", "29df030008000000"),
        ("cmp r15,r14", "18cf010000000000"),
        ("mod.a r3,10", "2fe313000a000000"),
        ("not r9", "1fc9030000000000"),
        ("iret.ae", "2ede0f0000000000"),
        ("movsi r14,0x9000", "30ee030000900000"),
        ("ud.be", "00de170000000000"),
        ("st32 r3,r5", "24a3000000000000"),
        ("ld16 r2,0x6900", "25e2030000690000"),
    ];
    for (text, bytes) in golden {
        assert_eq!(hex(&image(text)), bytes, "{text}");
        assert_eq!(hex(&original(text).unwrap()[..8]), bytes, "{text}");
    }
}

#[test]
fn break_and_a_jump_to_it_follow_the_last_line() {
    let program = full("nop").program.unwrap();
    assert_eq!(hex(&program.image[8..]), "17de03000000000014df030008000000");
}

#[test]
fn the_epilogue_is_aligned_behind_data_but_not_in_the_original() {
    assert_eq!(full("$BYTE 1").program.unwrap().image.len(), 24);
    assert_eq!(original("$BYTE 1"), Err("instruction not aligned on 64bit boundary: 0x1".into()));
}

#[test]
fn all_forms_of_numbers_are_taken() {
    let bytes = image("$BYTE 10, 0x1F, 0X1f, 0o17, 0b101, 'A', '\\n', 1_0\n$WORD32 1e3, 1.9, -1");
    assert_eq!(&bytes[..8], [10, 31, 31, 15, 5, 65, 10, 10]);
    assert_eq!(hex(&bytes[8..]), "e803000001000000ffffffff");
}

#[test]
fn expressions_bind_as_in_c() {
    let bytes = image(
        ".equ A, 3\nx: $WORD32 1+2*3, (1+2)*3, 1<<4|1, ~0&0xFF, A-1-1, -A+4, 7/2%2, . + x, end - x\nend:",
    );
    let words: Vec<u32> = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!(words, [7, 9, 17, 255, 1, 1, 1, 0, 36]);
}

#[test]
fn labels_stand_alone_have_digits_and_may_be_used_before_they_are_defined() {
    let bytes = image("; a comment\n  jmp loop_2 ; and another\nloop_2:\nother: third: nop\n");
    assert_eq!(hex(&bytes), "14df03000800000019de030000000000");
}

#[test]
fn data_has_any_size_and_texts_have_escapes() {
    let bytes =
        image("$ASCII \"a\\\"\\x41;\", 0\n$WORD16 1, \"hi\"\n.align 4\n.space 2, 0xEE\n.org 16\n$BYTE 1");
    assert_eq!(hex(&bytes), "6122413b0001006800690000eeee000001");
}

#[test]
fn macros_take_operands() {
    let bytes =
        image(".macro twice register, by\nadd \\register, \\by\nadd \\register, \\by\n.endm\ntwice r1, 2+3");
    assert_eq!(bytes, image("add r1, 5\nadd r1, 5"));
    let findings = findings(".macro one a\nnop\n.endm\none 1, 2\n.macro nop\n.endm\n.macro open\n");
    assert_eq!(findings.len(), 3, "{findings:?}");
}

#[test]
fn a_macro_used_twice_has_two_sets_of_labels() {
    let bytes = image(".macro spin\nw\\@: jmp w\\@\n.endm\nspin\nspin\n");
    assert_eq!(hex(&bytes), "14df03000000000014df030008000000");
}

#[test]
fn a_macro_that_uses_itself_twice_is_told_once_and_not_pursued() {
    let text = ".macro boom\nboom\nboom\n.endm\nboom\nbogus\n";
    let assembly = assemble("main.asm", text, Options::default(), &mut NoFiles);
    let messages: Vec<&str> = assembly.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["unknown instruction `bogus`", "includes or macros nest too deep"]);
}

struct Folder;

impl Files for Folder {
    fn read(&mut self, name: &str) -> Result<String, String> {
        match name {
            "a.inc" => Ok("a: nop\n".into()),
            "self.inc" => Ok(".include \"self.inc\"\n".into()),
            "bad.inc" => Ok("nop\n  bogus r1\n".into()),
            _ => Err("no such file".into()),
        }
    }
}

#[test]
fn includes_are_followed_and_findings_name_the_included_file() {
    let run = |text: &str| assemble("main.asm", text, Options::default(), &mut Folder);
    assert_eq!(run(".raw\n.include \"a.inc\"\njmp a").program.unwrap().image.len(), 16);
    let rendered = run(".include \"bad.inc\"").render();
    assert!(rendered.contains("bad.inc:2:3") && rendered.contains("asked for by main.asm:1"), "{rendered}");
    assert!(run(".include \"self.inc\"").render().contains("nest too deep"));
    assert!(run(".include \"none\"").render().contains("no such file"));
    assert!(run(".include \"soc.inc\"\nst32 UART_DATA, r1").program.is_some());
}

#[test]
fn all_findings_come_at_once_with_line_and_column() {
    let text = "mvo r1, 5\n  add 5, r1\nnop 1\njmp nowhere\nx: nop\nx: nop\nmov r1, 0x1FFFFFFFF\njmp.q x\n$BYTE 300\n";
    assert_eq!(
        findings(text),
        [
            "1:1 unknown instruction `mvo`",
            "2:7 a register is wanted here",
            "3:5 `nop` takes 0 operands, not 1",
            "4:5 `nowhere` is not defined",
            "6:1 `x` is defined twice",
            "7:9 8589934591 does not fit into 32 bits",
            "8:5 unknown condition `q`",
            "9:7 300 does not fit into 8 bits",
        ]
    );
}

#[test]
fn a_finding_shows_the_line_with_a_caret_and_a_hint() {
    let rendered = full("start: nop\n\tmvo r1,5").render();
    let expected = "error: unknown instruction `mvo`\n --> test.asm:2:2\n  |\n2 | \tmvo r1,5\n  | \t^^^\n  = hint: did you mean `mov`?\n";
    assert_eq!(rendered, expected);
    assert!(full("MOV r1, 2").render().contains("lower case: `mov`"));
}

#[test]
fn hostile_sources_end_in_findings() {
    for text in [
        ".equ A, B\n.equ B, A\nmov r1, A",
        ".macro a\na\n.endm\na",
        ".macro a x\n\\x\\x\\x\\x\n.endm\n",
        ".org 0xFFFFFFFF",
        ".space 99999999",
        "$BYTE \"abc",
        "mov r1, ((((((((",
        "x: $WORD32 1 << 99",
        "$WORD32 1/0",
        "\u{fffd} \0 \u{1F600}",
        ".align 0",
    ] {
        let assembly = full(text);
        assert!(assembly.program.is_none() || text.starts_with(".macro a x"), "{text}");
    }
    let deep = format!("mov r1, {}1", "(".repeat(100_000));
    assert!(full(&deep).program.is_none());
    let long = format!("mov r1, 1{}", "+1".repeat(100_000));
    assert!(full(&long).program.is_none());
}

#[test]
fn large_and_tangled_sources_come_to_an_end() {
    let labels: String = (0..60_000).map(|number| format!("label_{number}:\n")).collect();
    assert!(full(&format!("{labels}nop")).program.is_some());
    let code: String = (0..60_000).map(|number| format!("mov r1, label_{number}\n")).collect();
    assert!(full(&format!("{labels}{code}")).program.is_some());
    assert!(full(&code).program.is_none());
    let mut doubling = ".equ a0, 1\n".to_owned();
    // Worked out again for each use, the last would take 2^99 steps.
    for number in 1..100 {
        doubling.push_str(&format!(".equ a{number}, a{0} | a{0}\n", number - 1));
    }
    let mut chain = ".equ b0, 1\n".to_owned();
    for number in 1..1000 {
        chain.push_str(&format!(".equ b{number}, b{} + 1\n", number - 1));
    }
    assert!(full(&format!("{chain}$WORD32 b999\n")).program.is_some());
    let program = full(&format!("{doubling}$WORD32 a99\n")).program.unwrap();
    assert_eq!(program.image[..4], 1u32.to_le_bytes());
}

#[test]
fn the_original_language_keeps_its_limits() {
    assert_eq!(original("l1: nop"), Err("Unknown instruction: [l1]".into()));
    assert_eq!(original("; only a comment"), Err("Unknown instruction: []".into()));
    assert_eq!(original("label:"), Err("Unknown instruction: []".into()));
    assert_eq!(original("MOV r1,2"), Err("Unknown instruction: [MOV]".into()));
    assert_eq!(original("mov R0,1"), Err("Cannot code 2 numbers".into()));
    assert_eq!(original("jmp.q 0"), Err("Invalid condition: [q]".into()));
    assert_eq!(original("jmp nowhere"), Err("`nowhere` is not defined".into()));
    assert_eq!(original("mov r1,4294967296"), Err("Number too big".into()));
    assert_eq!(original("$ASCII 1"), Err("Invalid assembler directive: [$ASCII]".into()));
    let lenient = "a: $WORD32 a\n$WORD16 70000\n$BYTE 300,5\n$BYTE -1\na: add 5,r1,r2\n";
    assert_eq!(hex(&original(lenient).unwrap()[..16]), "0000000070112cff103f000005000000");
}

#[test]
fn the_listing_has_the_originals_form() {
    let bytes = image("mov.nz r1,0x12345678\n$WORD32 0xFF, 0");
    assert_eq!(listing(&bytes), "00000000:  mov.nz\tr1,0x12345678\r\n00000008:  ???.al\tr0,r0\r\n");
}

#[test]
fn the_disassembler_keeps_labels_and_finds_data() {
    let text = "jmp start\ntext: $ASCII \"hello world\", 0\n.align 8\nstart: mov r1, 1\nld8 r2, text\ncall twice\njmp start\ntwice: add r1, r1\nret\n";
    let program = full(text).program.unwrap();
    let source = disassemble(&program.image, &program.symbols);
    for part in [
        "jmp start",
        "text:\n    $ASCII \"hello world\"",
        "ld8 r2, text",
        "call twice",
        "twice:\n    add r1, r1",
    ] {
        assert!(source.contains(part), "{part} is not in\n{source}");
    }
    let unnamed = disassemble(&program.image, &Symbols::default());
    assert!(unnamed.contains("call sub_38") && unnamed.contains("$ASCII \"hello world\""), "{unnamed}");
}

#[test]
fn symbols_are_written_and_read_again() {
    let symbols = full("a: nop\nb_2: $BYTE 1\n.equ C, 7").program.unwrap().symbols;
    assert_eq!(symbols.to_text(), "00000000 T a\n00000007 A C\n00000008 D b_2\n");
    assert_eq!(Symbols::from_text(&symbols.to_text()).unwrap(), symbols);
    assert_eq!(Symbols::from_text("\nxyz").unwrap_err().line, 2);
}

#[test]
fn formatting_has_one_layout() {
    let text = "\n\nl: mov r1,5;five\n  ; note\nadd   r1 ,r2\n\n\n  .equ A,3\n x:\n";
    let formatted = "l:  mov r1, 5                   ;five\n    ; note\n    add r1, r2\n\n.equ A, 3\nx:\n";
    assert_eq!(format(text), formatted);
    assert_eq!(format(formatted), formatted);
}
