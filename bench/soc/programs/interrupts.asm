; Counts while the timer interrupts every hundred cycles: entries, returns, device registers.
.include "soc.inc"
    mov r14, 0x8000
    movsi r14, 0x9000
    mov r1, IRQ_TIMER
    ireg r1, on_timer
    mov r1, 100
    st32 TIMER_PERIOD, r1
    mov r1, 7
    st32 TIMER_CONTROL, r1
    sti
count:
    add r2, 1
    xor r3, r2
    shl r3, 1
    cmp r2, 0
    jmp.nz count
    jmp count
on_timer:
    mov r1, 1
    st32 TIMER_STATUS, r1
    add r2, 1
    iret
