; Blinks pin 0 twice a second: the timer wakes the machine, which sleeps in between.
.include "soc.inc"
.equ LED, 1
.equ HALF_PERIOD, 250_000       ; microseconds, for the clock is 1 MHz
    mov r14, 0x8000
    movsi r14, 0x9000
    mov r1, IRQ_TIMER
    ireg r1, on_timer
    mov r1, HALF_PERIOD
    st32 TIMER_PERIOD, r1
    mov r1, 7                   ; enabled, periodic, with interrupt
    st32 TIMER_CONTROL, r1
    sti
sleep:
    st32 SYSTEM_WAIT, r1
    jmp sleep

on_timer:
    mov r1, 1
    st32 TIMER_STATUS, r1       ; taken note of
    ld32 r2, GPIO_OUTPUT
    xor r2, LED
    st32 GPIO_OUTPUT, r2
    iret
