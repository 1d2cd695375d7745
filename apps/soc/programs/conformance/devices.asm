; The devices' registers: what they read, what they do, where they end.
.include "check.inc"
    begin
    mov r1, 4
    reg r1, on_fault

    case 1                      ; the machine names itself
    ld32 r1, SYSTEM_VERSION
    expect r1, 0x10000
    ld32 r1, SYSTEM_CLOCK
    expect r1, 1000000
    ld16 r1, SYSTEM_CLOCK
    expect r1, 0x4240

    case 2                      ; the cycle counter counts instructions
    ld32 r1, SYSTEM_CYCLE_LOW
    nop
    ld32 r2, SYSTEM_CYCLE_LOW
    sub r2, r1
    expect r2, 2
    ld32 r1, SYSTEM_CYCLE_HIGH
    expect r1, 0

    case 3                      ; video control remembers 256 bytes
    mov r1, 0xABCD
    st16 VIDEO + 254, r1
    ld8 r2, VIDEO + 255
    expect r2, 0xAB
    mov r10, 0
    ld8 r2, VIDEO + 256
    expect r10, 1

    case 4                      ; the keyboard: count, oldest key, and what a wide read sees
    ld8 r2, KEYBOARD
    expect r2, 0
    ld8 r2, KEYBOARD + 1
    expect r2, 0
wait_4:
    ld8 r2, KEYBOARD            ; the expectation presses a, b and c from cycle 1000 on
    cmp r2, 3
    jmp.nz wait_4
    ld8 r2, KEYBOARD + 1
    expect r2, 'a'
    ld16 r2, KEYBOARD
    expect r2, 0x6102
    ld8 r2, KEYBOARD + 1
    expect r2, 'b'
    ld8 r2, KEYBOARD + 1
    expect r2, 'c'
    ld8 r2, KEYBOARD + 1
    expect r2, 0
    mov r10, 0
    ld16 r2, KEYBOARD + 1
    expect r10, 1

    case 5                      ; the timer counts down and expires without an interrupt
    mov r1, 20
    st32 TIMER_PERIOD, r1
    mov r1, 1
    st32 TIMER_CONTROL, r1
    ld32 r2, TIMER_REMAINING
    expect r2, 20
    ld32 r2, TIMER_REMAINING
    expect r2, 17
    mov r3, 8
wait_5:
    sub r3, 1
    cmp r3, 0
    jmp.nz wait_5
    ld32 r2, TIMER_STATUS
    expect r2, 1
    ld32 r2, TIMER_CONTROL
    expect r2, 0
    st32 TIMER_STATUS, r3
    ld32 r2, TIMER_STATUS
    expect r2, 1
    mov r1, 1
    st32 TIMER_STATUS, r1
    ld32 r2, TIMER_STATUS
    expect r2, 0

    case 6                      ; the UART
    ld32 r1, UART_STATUS
    expect r1, 2
    ld32 r1, UART_DATA
    expect r1, 0
    mov r1, 'o'
    st32 UART_DATA, r1
    mov r1, 0x16B
    st8 UART_DATA, r1           ; k
wait_6:
    ld32 r1, UART_STATUS        ; the expectation sends two bytes from cycle 5000 on
    cmp r1, 3
    jmp.nz wait_6
    ld32 r1, UART_DATA
    expect r1, '!'

    case 7                      ; random numbers: the sequence of seed 0, and a seed of the program's own
    ld32 r1, RANDOM_VALUE
    expect r1, 0xE220A839
    mov r1, 1234
    st32 RANDOM_SEED, r1
    ld32 r2, RANDOM_VALUE
    st32 RANDOM_SEED, r1
    ld32 r3, RANDOM_VALUE
    expect r2, r3

    case 8                      ; the block store: write, read back, refuse
    ld32 r1, BLOCK_COUNT
    expect r1, 512
    mov r1, 511
    st32 BLOCK_NUMBER, r1
    mov r1, 0x7001
    st32 BLOCK_ADDRESS, r1
    mov r1, 0x55AA1234
    st32 0x7001 + 508, r1
    mov r1, 2
    st32 BLOCK_COMMAND, r1
    ld32 r1, BLOCK_STATUS
    expect r1, 0
    mov r1, 0
    st32 0x7001 + 508, r1
    mov r1, 1
    st32 BLOCK_COMMAND, r1
    ld32 r1, 0x7001 + 508
    expect r1, 0x55AA1234
    mov r1, 512
    st32 BLOCK_NUMBER, r1
    mov r1, 1
    st32 BLOCK_COMMAND, r1
    ld32 r1, BLOCK_STATUS
    expect r1, 1
    mov r1, 0
    st32 BLOCK_NUMBER, r1
    mov r1, 0x100000 - 511
    st32 BLOCK_ADDRESS, r1
    mov r1, 1
    st32 BLOCK_COMMAND, r1
    ld32 r1, BLOCK_STATUS
    expect r1, 2
    mov r1, 9
    st32 BLOCK_COMMAND, r1
    ld32 r1, BLOCK_STATUS
    expect r1, 3

    case 9                      ; GPIO: outputs are kept, inputs cannot be written, changes are remembered
    mov r1, 0xA5A5A5A5
    st32 GPIO_OUTPUT, r1
    ld32 r2, GPIO_OUTPUT
    expect r2, r1
wait_9:
    ld32 r2, GPIO_INPUT         ; the expectation raises pins 0 and 8 at cycle 9000
    cmp r2, 0x101
    jmp.nz wait_9
    st32 GPIO_INPUT, r1
    ld32 r2, GPIO_INPUT
    expect r2, 0x101
    ld32 r2, GPIO_CHANGED
    expect r2, 0x101
    mov r1, 1
    st32 GPIO_CHANGED, r1
    ld32 r2, GPIO_CHANGED
    expect r2, 0x100

    case 10                     ; holes: between registers, behind the last, between devices
    mov r10, 0
    ld32 r2, TIMER + 0x10
    ld32 r2, TIMER + 2
    ld8 r2, UART_DATA + 1
    st32 0xFA000000, r2
    ld8 r2, 0x00100000
    expect r10, 5

    jmp passed

on_fault:
    add r10, 1
    pop r0
    add r0, 8
    push r0
    eret
