//! The programs that the page offers.

/// Title, name of the file, text.
pub(crate) const EXAMPLES: &[(&str, &str, &str)] = &[
    ("Hello", "hello.asm", include_str!("../../programs/examples/hello.asm")),
    ("Colours that move", "colours.asm", include_str!("../../programs/examples/colours.asm")),
    ("A small editor", "editor.asm", include_str!("../../programs/examples/editor.asm")),
    ("A lamp that blinks", "blink.asm", include_str!("../../programs/examples/blink.asm")),
    ("Watering a garden", "garden.asm", include_str!("../../programs/examples/garden.asm")),
    ("Fill the screen", "fill.asm", include_str!("../../programs/samples/fill.asm")),
    ("Call a function", "call.asm", include_str!("../../programs/samples/call.asm")),
    ("Survive a division by zero", "divide.asm", include_str!("../../programs/samples/divide.asm")),
    ("Read data", "data.asm", include_str!("../../programs/samples/data.asm")),
    ("All characters", "text.asm", include_str!("../../programs/samples/text.asm")),
    ("Keyboard interrupts", "keyboard.asm", include_str!("../../programs/samples/keyboard.asm")),
];
