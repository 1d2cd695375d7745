; Waters a garden: a button on input 0 starts and stops the pump on output 0, a dry sensor on input 1 starts it too,
; and no watering lasts longer than ten seconds. The button is debounced: a press counts once it has lasted 20 ms.
; Each decision is told on the UART: w for water, s for stop.
.include "soc.inc"
.equ BUTTON, 1
.equ DRY, 2
.equ PUMP, 1
.equ TICK, 1_000                ; one look a millisecond
.equ BOUNCE_TICKS, 20
.equ LONGEST_TICKS, 10_000
    mov r14, 0x8000
    movsi r14, 0x9000
    movsi r3, 0                 ; ticks that the button has been down
    movsi r4, 0                 ; ticks that are left to water
    movsi r5, 0                 ; the sensor at the last tick
    mov r1, IRQ_TIMER
    ireg r1, on_tick
    mov r1, TICK
    st32 TIMER_PERIOD, r1
    mov r1, 7
    st32 TIMER_CONTROL, r1
    sti
sleep:
    st32 SYSTEM_WAIT, r1
    jmp sleep

on_tick:
    mov r1, 1
    st32 TIMER_STATUS, r1
    ld32 r1, GPIO_INPUT
    mov r2, r1
    and r2, BUTTON
    cmp r2, 0
    mov.z r3, 0
    jmp.z sensor
    add r3, 1
    cmp r3, BOUNCE_TICKS        ; exactly once for each press
    jmp.nz sensor
    cmp r4, 0
    call.z start
    jmp.z sensor
    call stop
sensor:
    mov r2, r1
    and r2, DRY
    mov r6, r5
    mov r5, r2
    cmp r2, r6                  ; only when it becomes dry
    jmp.be running
    cmp r4, 0
    call.z start
running:
    cmp r4, 0
    jmp.z done
    sub r4, 1
    cmp r4, 0
    call.z stop
done:
    iret

start:
    mov r4, LONGEST_TICKS
    mov r7, PUMP
    st32 GPIO_OUTPUT, r7
    mov r7, 'w'
    st32 UART_DATA, r7
    cmp r7, r7                  ; equal: the caller asks again
    ret

stop:
    mov r4, 0
    mov r7, 0
    st32 GPIO_OUTPUT, r7
    mov r7, 's'
    st32 UART_DATA, r7
    ret
