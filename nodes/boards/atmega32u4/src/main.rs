//! The GPIO board on an ATmega32U4 (Arduino Leonardo): five contacts, two relays, one serial line.
//!
//! The decisions are `gpio-node`'s; here are only pins, UART and watchdog. Contacts, to ground: PD1, PD4, PE6, PB4, PD6 (Arduino 2,
//! 4, 7, 8, 12), with pull-ups. Relays, active low: PB6 and PB7 (Arduino 10 and 11); they are driven high before anything else.
//! The line is UART1, 9600 baud, 8N1 (RX PD2, TX PD3). The original's USB (CDC ACM) is not here: a USB-serial adapter stands in.
#![no_std]
#![no_main]

use avr_device::atmega32u4::Peripherals;
use gpio_node::{Board, Input};

/// UBRR for 9600 baud at 16 MHz: 16,000,000 / (16 * 9600) - 1 (data sheet, section 18.3.1).
const BAUD_REGISTER: u16 = 103;

#[avr_device::entry]
fn main() -> ! {
    let Some(chip) = Peripherals::take() else { halt() };
    let (port_b, port_d, port_e) = (&chip.PORTB, &chip.PORTD, &chip.PORTE);
    // Both relays off: the level first, then the direction, so that the pins are never low. PB4 gets its pull-up.
    port_b.portb().write(|w| w.pb4().set_bit().pb6().set_bit().pb7().set_bit());
    port_b.ddrb().write(|w| w.pb6().set_bit().pb7().set_bit());
    port_d.portd().write(|w| w.pd1().set_bit().pd4().set_bit().pd6().set_bit());
    port_e.porte().write(|w| w.pe6().set_bit());

    let line = &chip.USART1;
    line.ubrr1().write(|w| w.set(BAUD_REGISTER));
    line.ucsr1c().write(|w| w.ucsz1().chr8());
    line.ucsr1b().write(|w| w.rxen1().set_bit().txen1().set_bit());
    watch(&chip);

    let mut board = Board::default();
    // A report that waits for the line: a newer one replaces it, as the host wants to know what is now.
    let mut waiting = None;
    loop {
        avr_device::asm::wdr();
        let (b, d, e) = (port_b.pinb().read(), port_d.pind().read(), port_e.pine().read());
        let open = [d.pd1().bit(), d.pd4().bit(), e.pe6().bit(), b.pb4().bit(), d.pd6().bit()];
        let contacts = open.iter().enumerate().fold(0, |all, (bit, is_open)| all | u8::from(!is_open) << bit);
        let byte = line.ucsr1a().read().rxc1().bit().then(|| line.udr1().read().bits());
        let output = board.step(Input { contacts, byte });
        port_b.portb().modify(|_, w| {
            w.pb6().bit(output.relays & 1 == 0);
            w.pb7().bit(output.relays & 2 == 0)
        });
        waiting = output.byte.or(waiting);
        if let Some(report) = waiting
            && line.ucsr1a().read().udre1().bit()
        {
            line.udr1().write(|w| w.set(report));
            waiting = None;
        }
    }
}

/// Starts the watchdog: a program that hangs for two seconds is reset, which turns the relays off.
fn watch(chip: &Peripherals) {
    avr_device::interrupt::free(|_| {
        avr_device::asm::wdr();
        // Within four cycles of the first write (data sheet, section 8.2).
        chip.WDT.wdtcsr().write(|w| w.wdce().set_bit().wde().set_bit());
        chip.WDT.wdtcsr().write(|w| w.wde().set_bit().wdpl().cycles_256k());
    });
}

/// Waits for the watchdog.
fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Nothing here panics by design; if it does all the same, the watchdog turns the relays off.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    halt()
}
