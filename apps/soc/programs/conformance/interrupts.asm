; Interrupts: entry, the banks, nesting of causes, priority, return.
.include "check.inc"
    begin
    case 1                      ; a timer's interrupt changes to the other bank and comes back
    mov r1, IRQ_TIMER
    ireg r1, on_timer
    movsi r2, 0
    mov r2, 0x1111
    mov r1, 50
    st32 TIMER_PERIOD, r1
    mov r1, 5                   ; one-shot, with interrupt
    st32 TIMER_CONTROL, r1
    sti
    mov r3, 0
wait_1:
    add r3, 1
    ld32 r4, 0x6000
    cmp r4, 1
    jmp.nz wait_1
    expect r2, 0x1111
    expect r14, 0x8000

    case 2                      ; one-shot means once
    mov r1, 0
    mov r3, 200
wait_2:
    sub r3, 1
    cmp r3, 0
    jmp.nz wait_2
    ld32 r4, 0x6000
    expect r4, 1
    ld32 r4, TIMER_CONTROL
    expect r4, 4

    case 3                      ; periodic: three times
    mov r1, 7
    st32 TIMER_CONTROL, r1
wait_3:
    ld32 r4, 0x6000
    cmp r4, 4
    jmp.nz wait_3
    mov r1, 0
    st32 TIMER_CONTROL, r1

    case 4                      ; cli holds an interrupt back, sti lets it in
    cli
    mov r1, 5
    st32 TIMER_CONTROL, r1
    mov r3, 100
wait_4:
    sub r3, 1
    cmp r3, 0
    jmp.nz wait_4
    ld32 r4, 0x6000
    expect r4, 4
    ld32 r4, TIMER_STATUS
    expect r4, 1
    sti
    ld32 r4, 0x6000
    expect r4, 5

    case 5                      ; flags survive: Z and C of the program are not the handler's
    mov r1, 5
    st32 TIMER_CONTROL, r1
    mov r3, 0
    cmp r3, 1                   ; C = 1, Z = 0
    mov r5, 60
wait_5:
    sub r5, 1
    jmp.z failed
    jmp.ae failed
    mov r6, r5                  ; counts without cmp: r5 runs to 0 and the loop ends by r15
    shr r6, 5
    xor r6, 1
    and r6, 1
    shl r6, 3                   ; 8 while r5 is below 32
    add r15, r6
    jmp wait_5
    ld32 r4, 0x6000
    expect r4, 6

    case 6                      ; the program's stack held the flags while the handler ran
    ld32 r4, 0x6008
    expect r4, 6                ; C and i

    case 7                      ; a sleeping machine wakes for an interrupt, at the right time
    ld32 r7, SYSTEM_CYCLE_LOW
    mov r1, 10000
    st32 TIMER_PERIOD, r1
    mov r1, 5
    st32 TIMER_CONTROL, r1
    st32 SYSTEM_WAIT, r1
    ld32 r8, SYSTEM_CYCLE_LOW
    sub r8, r7
    cmp r8, 10000
    jmp.bl failed
    cmp r8, 10020
    jmp.a failed
    ld32 r4, 0x6000
    expect r4, 7

    case 8                      ; an interrupt without a handler waits, and wakes all the same
    mov r1, 1
    st32 UART_CONTROL, r1
    mov r3, 30000               ; the expectation sends a byte at cycle 20000
wait_8:
    sub r3, 1
    ld32 r4, UART_STATUS
    and r4, 1
    cmp r4, 1
    jmp.z came_8
    cmp r3, 0
    jmp.nz wait_8
    jmp failed
came_8:
    st32 SYSTEM_WAIT, r3

    case 9                      ; registering the handler lets it in at once; it takes the byte
    mov r1, IRQ_UART
    ireg r1, on_uart
    nop
    ld8 r4, 0x6010
    expect r4, 'x'

    case 10                     ; the lowest number is served first: the timer before the pins
    cli
    mov r1, IRQ_GPIO
    ireg r1, on_pins
    mov r1, 2
    st32 GPIO_MASK, r1
    mov r1, 1
    st32 TIMER_PERIOD, r1
    mov r1, 5
    st32 TIMER_CONTROL, r1
wait_10:
    ld32 r4, GPIO_CHANGED       ; the expectation moves pin 1 at cycle 40000
    and r4, 2
    cmp r4, 2
    jmp.nz wait_10
    mov r1, 0
    st32 0x6014, r1
    sti
    nop
    nop
    ld32 r4, 0x6014
    expect r4, 0x25             ; the timer's 2, then the pins' 5

    case 11                     ; movsi in the handler's bank, iret outside a handler
    ld32 r4, 0x6018
    expect r4, 0x77
    push 0                      ; flags for iret: none, so interrupts are off
    iret
    expect r14, 0x8000
    mov r1, 5
    st32 TIMER_CONTROL, r1
    ld32 r5, 0x6000
    nop
    nop
    ld32 r4, 0x6000
    expect r4, r5

    jmp passed

on_timer:
    ld32 r1, 0x6000
    add r1, 1
    st32 0x6000, r1
    mov r1, 1
    st32 TIMER_STATUS, r1
    ld32 r3, 0x6014
    shl r3, 4
    or r3, 2
    st32 0x6014, r3
    mov r2, 0x2222
    cmp r2, r2
    ld32 r4, 0x7FFC             ; what the entry has pushed on the program's stack
    st32 0x6008, r4
    iret

on_uart:
    ld32 r1, UART_DATA
    st8 0x6010, r1
    iret

on_pins:
    ld32 r1, 0x6014
    shl r1, 4
    or r1, 5
    st32 0x6014, r1
    mov r1, 2
    st32 GPIO_CHANGED, r1
    movsi r6, 0x77
    st32 0x6018, r6
    iret
