/* The board's firmware in simavr, driven by lines on standard input, so that its bytes can be compared with what is expected.
 *
 *   send XX     a byte (hex) to the board over UART1
 *   close MASK  the contacts that are closed to ground (hex, bit 0 to 4)
 *   run MS      so many milliseconds of the board's time
 *
 * Prints `> XX` for each byte of the board and `relays N` when they change. Ends with status 1 when
 * the firmware crashes.
 */
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_HZ 16000000u

static const struct { char port; int pin; } contacts[] = {{'D', 1}, {'D', 4}, {'E', 6}, {'B', 4}, {'D', 6}};
static int levels[2] = {1, 1};
static int directions;

static void said(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)param;
    printf("> %02x\n", value & 0xff);
}

static void tell_relays(void)
{
    static int told = 0;
    /* Active low, and only a pin that is an output drives anything. */
    int on = 0;
    for (int relay = 0; relay < 2; relay++)
        if ((directions >> (6 + relay) & 1) && !levels[relay])
            on |= 1 << relay;
    if (on != told)
        printf("relays %d\n", on);
    told = on;
}

static void level(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq;
    levels[(intptr_t)param] = value & 1;
    tell_relays();
}

static void direction(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)param;
    directions = value;
    tell_relays();
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    if (argc != 2 || elf_read_firmware(argv[1], &firmware)) {
        fprintf(stderr, "usage: board FIRMWARE.elf\n");
        return 2;
    }
    avr_t *avr = avr_make_mcu_by_name("atmega32u4");
    if (!avr)
        return 2;
    avr_init(avr);
    avr->frequency = CLOCK_HZ;
    avr->log = LOG_ERROR;
    avr_load_firmware(avr, &firmware);
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('1'), &flags);
    flags &= ~AVR_UART_FLAG_STDIO;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('1'), &flags);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('1'), UART_IRQ_OUTPUT), said, NULL);
    for (intptr_t relay = 0; relay < 2; relay++)
        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), 6 + relay), level, (void *)relay);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), IOPORT_IRQ_DIRECTION_ALL), direction, NULL);
    avr_irq_t *input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('1'), UART_IRQ_INPUT);
    setvbuf(stdout, NULL, _IOLBF, 0);

    char line[64];
    unsigned closed = 0;
    while (fgets(line, sizeof line, stdin)) {
        unsigned value = 0;
        if (sscanf(line, "send %x", &value) == 1) {
            avr_raise_irq(input, value);
        } else if (sscanf(line, "close %x", &value) == 1) {
            closed = value;
            for (unsigned bit = 0; bit < 5; bit++) {
                /* What drives the pin from outside, also after the program has written to the port. */
                avr_ioport_external_t outside = {.name = contacts[bit].port};
                for (unsigned other = 0; other < 5; other++)
                    if (contacts[other].port == contacts[bit].port) {
                        outside.mask |= 1 << contacts[other].pin;
                        outside.value |= !(closed >> other & 1) << contacts[other].pin;
                    }
                avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(contacts[bit].port), &outside);
                avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(contacts[bit].port), contacts[bit].pin),
                              !(closed >> bit & 1));
            }
        } else if (sscanf(line, "run %u", &value) == 1) {
            avr_cycle_count_t until = avr->cycle + (avr_cycle_count_t)value * (CLOCK_HZ / 1000);
            while (avr->cycle < until) {
                int state = avr_run(avr);
                if (state == cpu_Crashed || state == cpu_Done) {
                    printf("crashed\n");
                    return 1;
                }
            }
        }
    }
    return 0;
}
