//! The memory map, the device registers and the interrupt numbers (specification, sections 2, 7 and 8).

/// Bytes of main memory, at address 0.
pub const RAM_BYTES: u32 = 0x10_0000;
/// Pixels of the graphics screen: 320x200, four bytes R, G, B, A each.
pub const GRAPHICS: u32 = 0xF000_0000;
pub const GRAPHICS_WIDTH: u32 = 320;
pub const GRAPHICS_HEIGHT: u32 = 200;
pub const GRAPHICS_BYTES: u32 = GRAPHICS_WIDTH * GRAPHICS_HEIGHT * 4;
/// Cells of the text screen: 80x25, one Latin-1 byte each.
pub const TEXT: u32 = 0xF100_0000;
pub const TEXT_COLUMNS: u32 = 80;
pub const TEXT_ROWS: u32 = 25;
pub const TEXT_BYTES: u32 = TEXT_COLUMNS * TEXT_ROWS;
/// Video control: byte 0 is the mode, the others only remember.
pub const VIDEO: u32 = 0xF200_0000;
pub const VIDEO_BYTES: u32 = 256;
pub const VIDEO_MODE_GRAPHICS: u8 = 0;
pub const VIDEO_MODE_TEXT: u8 = 1;
/// Keyboard: byte 0 counts the waiting keys, byte 1 takes the oldest.
pub const KEYBOARD: u32 = 0xF300_0000;
pub const KEYBOARD_BYTES: u32 = 2;

/// Devices with 32-bit registers; the offsets follow each.
pub const TIMER: u32 = 0xF400_0000;
pub const TIMER_CONTROL: u32 = 0x00;
pub const TIMER_PERIOD: u32 = 0x04;
pub const TIMER_REMAINING: u32 = 0x08;
pub const TIMER_STATUS: u32 = 0x0C;

pub const UART: u32 = 0xF500_0000;
pub const UART_DATA: u32 = 0x00;
pub const UART_STATUS: u32 = 0x04;
pub const UART_CONTROL: u32 = 0x08;

pub const RANDOM: u32 = 0xF600_0000;
pub const RANDOM_VALUE: u32 = 0x00;
pub const RANDOM_SEED: u32 = 0x04;

pub const BLOCK: u32 = 0xF700_0000;
pub const BLOCK_NUMBER: u32 = 0x00;
pub const BLOCK_ADDRESS: u32 = 0x04;
pub const BLOCK_COMMAND: u32 = 0x08;
pub const BLOCK_STATUS: u32 = 0x0C;
pub const BLOCK_COUNT: u32 = 0x10;
/// Bytes in a block, and blocks in the store.
pub const BLOCK_BYTES: u32 = 512;
pub const BLOCKS: u32 = 512;

pub const GPIO: u32 = 0xF800_0000;
pub const GPIO_OUTPUT: u32 = 0x00;
pub const GPIO_INPUT: u32 = 0x04;
pub const GPIO_MASK: u32 = 0x08;
pub const GPIO_CHANGED: u32 = 0x0C;

pub const SYSTEM: u32 = 0xF900_0000;
pub const SYSTEM_EXIT: u32 = 0x00;
pub const SYSTEM_WAIT: u32 = 0x04;
pub const SYSTEM_CYCLE_LOW: u32 = 0x08;
pub const SYSTEM_CYCLE_HIGH: u32 = 0x0C;
pub const SYSTEM_CLOCK: u32 = 0x10;
pub const SYSTEM_VERSION: u32 = 0x14;

/// The nominal clock: one instruction is one cycle is one microsecond.
pub const CLOCK_HZ: u32 = 1_000_000;
/// What [`SYSTEM_VERSION`] reads: the specification's version, major in the high half.
pub const VERSION: u32 = 0x0001_0000;

/// Interrupt numbers; where several are ready, the lowest is served first.
pub const IRQ_KEYBOARD: u8 = 1;
pub const IRQ_TIMER: u8 = 2;
pub const IRQ_UART: u8 = 3;
pub const IRQ_GPIO: u8 = 5;
