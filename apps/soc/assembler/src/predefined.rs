//! `soc.inc`: the names of the memory map, which every source can include.

use soc_machine::map;
use std::fmt::Write as _;

/// The name under which it is included.
pub(crate) const NAME: &str = "soc.inc";

const CONSTANTS: &[(&str, u32)] = &[
    ("GRAPHICS", map::GRAPHICS),
    ("GRAPHICS_BYTES", map::GRAPHICS_BYTES),
    ("TEXT", map::TEXT),
    ("TEXT_BYTES", map::TEXT_BYTES),
    ("TEXT_COLUMNS", map::TEXT_COLUMNS),
    ("VIDEO", map::VIDEO),
    ("KEYBOARD", map::KEYBOARD),
    ("TIMER", map::TIMER),
    ("TIMER_CONTROL", map::TIMER + map::TIMER_CONTROL),
    ("TIMER_PERIOD", map::TIMER + map::TIMER_PERIOD),
    ("TIMER_REMAINING", map::TIMER + map::TIMER_REMAINING),
    ("TIMER_STATUS", map::TIMER + map::TIMER_STATUS),
    ("UART_DATA", map::UART + map::UART_DATA),
    ("UART_STATUS", map::UART + map::UART_STATUS),
    ("UART_CONTROL", map::UART + map::UART_CONTROL),
    ("RANDOM_VALUE", map::RANDOM + map::RANDOM_VALUE),
    ("RANDOM_SEED", map::RANDOM + map::RANDOM_SEED),
    ("BLOCK_NUMBER", map::BLOCK + map::BLOCK_NUMBER),
    ("BLOCK_ADDRESS", map::BLOCK + map::BLOCK_ADDRESS),
    ("BLOCK_COMMAND", map::BLOCK + map::BLOCK_COMMAND),
    ("BLOCK_STATUS", map::BLOCK + map::BLOCK_STATUS),
    ("BLOCK_COUNT", map::BLOCK + map::BLOCK_COUNT),
    ("GPIO_OUTPUT", map::GPIO + map::GPIO_OUTPUT),
    ("GPIO_INPUT", map::GPIO + map::GPIO_INPUT),
    ("GPIO_MASK", map::GPIO + map::GPIO_MASK),
    ("GPIO_CHANGED", map::GPIO + map::GPIO_CHANGED),
    ("SYSTEM_EXIT", map::SYSTEM + map::SYSTEM_EXIT),
    ("SYSTEM_WAIT", map::SYSTEM + map::SYSTEM_WAIT),
    ("SYSTEM_CYCLE_LOW", map::SYSTEM + map::SYSTEM_CYCLE_LOW),
    ("SYSTEM_CYCLE_HIGH", map::SYSTEM + map::SYSTEM_CYCLE_HIGH),
    ("SYSTEM_CLOCK", map::SYSTEM + map::SYSTEM_CLOCK),
    ("SYSTEM_VERSION", map::SYSTEM + map::SYSTEM_VERSION),
    ("IRQ_KEYBOARD", map::IRQ_KEYBOARD as u32),
    ("IRQ_TIMER", map::IRQ_TIMER as u32),
    ("IRQ_UART", map::IRQ_UART as u32),
    ("IRQ_GPIO", map::IRQ_GPIO as u32),
];

/// Its text.
pub(crate) fn text() -> String {
    let mut text = String::new();
    for (name, value) in CONSTANTS {
        let _ = writeln!(text, ".equ {name}, 0x{value:x}");
    }
    text
}
