//! What holds for every image and every text.

use proptest::prelude::*;
use soc_assembler::{
    Language, NoFiles, Options, Symbol, SymbolKind, Symbols, assemble, disassemble, format, highlight,
    listing,
};
use soc_machine::encoding::Word;
use soc_machine::isa::{INSTRUCTIONS, Operands};

/// Images that are a mixture of code, text, zeros and chance.
fn image() -> impl Strategy<Value = Vec<u8>> {
    let code = (0..INSTRUCTIONS.len(), 0u8..16, 0u8..16, any::<bool>(), 0u8..7, 0u32..0x200).prop_map(
        |(row, first, second, is_immediate, condition, immediate)| {
            let row = &INSTRUCTIONS[row];
            let (first, second) = match row.operands {
                Operands::None => (30, 30),
                Operands::Register => (first, 30),
                Operands::Value => (if is_immediate { 31 } else { first }, 30),
                Operands::AddressRegister => (if is_immediate { 31 } else { first }, second),
                _ => (first, if is_immediate { 31 } else { second }),
            };
            let immediate = if first == 31 || second == 31 { immediate } else { 0 };
            Word { opcode: row.opcode(), first, second, condition, immediate }.encode().to_vec()
        },
    );
    let piece = prop_oneof![
        6 => code,
        1 => "[ -~]{1,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..16),
        1 => (1usize..40).prop_map(|len| vec![0; len]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Lines made of the language's own parts, in any order.
fn source() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("mov r1, 5".to_owned()),
        Just("x".into()),
        Just(":".into()),
        Just(" ".into()),
        Just("\n".into()),
        Just("$BYTE ".into()),
        Just(".org ".into()),
        Just(".macro m a".into()),
        Just(".endm".into()),
        Just("\\a".into()),
        Just("m r1".into()),
        Just("\"".into()),
        Just("0x".into()),
        Just("1e".into()),
        Just("(".into()),
        Just(".include \"soc.inc\"".into()),
        Just(".equ x, ".into()),
        Just(";".into()),
        Just(",".into()),
        Just("jmp.nz ".into()),
        Just("r15".into()),
        Just("- ~".into()),
        Just("<<".into()),
        Just("'".into()),
        any::<u32>().prop_map(|number| number.to_string()),
        "\\PC{0,4}",
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_disassembled_image_assembles_to_the_same_bytes(image in image(), labels in prop::collection::vec(0u32..300, 0..6)) {
        let mut symbols = Symbols::default();
        for (index, value) in labels.into_iter().enumerate() {
            let kind = [SymbolKind::Code, SymbolKind::Data, SymbolKind::Constant][index % 3];
            symbols.insert(format!("label_{index}"), Symbol { value, kind });
        }
        for symbols in [Symbols::default(), symbols] {
            let source = disassemble(&image, &symbols);
            let assembly = assemble("again.asm", &source, Options::default(), &mut NoFiles);
            let findings = assembly.render();
            prop_assert!(assembly.program.is_some(), "{}\n{}", findings, source);
            prop_assert_eq!(&assembly.program.unwrap().image, &image, "{}", source);
        }
        listing(&image);
    }

    #[test]
    fn no_text_makes_the_assembler_panic(text in source()) {
        for language in [Language::Full, Language::Original] {
            assemble("any.asm", &text, Options { language }, &mut NoFiles).render();
        }
        let mut last = 0;
        for (start, end, _) in highlight(&text) {
            prop_assert!(last <= start && start < end && text.get(start..end).is_some());
            last = end;
        }
    }

    #[test]
    fn formatting_twice_is_formatting_once_and_keeps_the_bytes(text in source()) {
        let formatted = format(&text);
        prop_assert_eq!(&format(&formatted), &formatted);
        let bytes = |text: &str| {
            assemble("any.asm", text, Options::default(), &mut NoFiles).program.map(|program| program.image)
        };
        if let Some(image) = bytes(&text) {
            prop_assert_eq!(bytes(&formatted), Some(image), "{}\n{}", text, formatted);
        }
    }
}
