; Every exception: its number, the state that the handler finds, and the way back.
.include "check.inc"
.equ FAR, 0x20000000
    begin
    ; Every handler writes the number of its exception to r10, the pushed address to r11, and skips.
    mov r1, 0
    reg r1, handler_0
    mov r1, 1
    reg r1, handler_1
    mov r1, 2
    reg r1, handler_2
    mov r1, 3
    reg r1, handler_3
    mov r1, 4
    reg r1, handler_4

.macro faults number, what
    mov r10, 0xFF
    mov r12, \what - 8          ; what the handler must find on the stack
.endm

.macro after number
    expect r10, \number
    expect r11, r12
.endm

    case 1                      ; ud
    faults 1, u1
u1: ud
    after 1

    case 2                      ; undefined opcodes
    faults 1, u2
u2: $WORD32 0x0003DE01, 0
    after 1
    faults 1, u3
u3: $WORD32 0x0003DEFF, 0
    after 1

    case 3                      ; undefined conditions, whatever the opcode
    faults 1, u4
u4: $WORD32 0x001FDE19, 0       ; nop with condition 7
    after 1
    faults 1, u5
u5: $WORD32 0x003FDE01, 0       ; opcode 01 with condition 15
    after 1

    case 4                      ; a misaligned instruction pointer
    mov r10, 0xFF
    mov r12, aligned + 4 - 8
    jmp aligned + 4
aligned:
    nop
    after 1

    case 5                      ; invalid operands
    faults 2, v1
v1: $WORD32 0x0003DE10, 0       ; add
    after 2
    faults 2, v2
v2: $WORD32 0x0003C110, 0       ; add r1
    after 2
    faults 2, v3
v3: $WORD32 0x00003F10, 5       ; add 5, r1
    after 2
    faults 2, v4
v4: $WORD32 0x00021110, 5       ; second operand code 16
    after 2
    faults 2, v5
v5: $WORD32 0x0003DF1F, 5       ; not 5
    after 2
    faults 2, v6
v6: $WORD32 0x0003DE22, 0       ; pop
    after 2
    faults 2, v7
v7: $WORD32 0x0003DF23, 0       ; ld32 0
    after 2
    faults 2, v8
v8: $WORD32 0x0003E124, 0x6000  ; st32 r1, 0x6000
    after 2
    faults 2, v9
v9: $WORD32 0x0003C12B, 0       ; reg r1
    after 2
    faults 2, w1
w1: $WORD32 0x0003DE2D, 0       ; ireg
    after 2
    faults 2, w2
w2: $WORD32 0x0003DE30, 0       ; movsi
    after 2
    faults 2, w3
w3: $WORD32 0x0003DE18, 0       ; cmp
    after 2

    case 6                      ; division by zero, the register is kept
    mov r1, 7
    mov r2, 0
    faults 3, d1
d1: div r1, 0
    after 3
    faults 3, d2
d2: div r1, r2
    after 3
    faults 3, d3
d3: mod r1, r2
    after 3
    expect r1, 7

    case 7                      ; illegal accesses
    faults 4, m1
m1: ld32 r1, FAR
    after 4
    faults 4, m2
m2: st8 FAR, r1
    after 4
    faults 4, m3
m3: ld32 r1, 0xFFFFD            ; over the end of memory
    after 4
    faults 4, m4
m4: ld16 r1, 0xFFFFF
    after 4
    faults 4, m5
m5: st32 GRAPHICS + GRAPHICS_BYTES - 3, r1
    after 4
    faults 4, m6
m6: ld8 r1, TEXT + TEXT_BYTES
    after 4
    faults 4, m7
m7: ld32 r1, 0xFFFFFFFF
    after 4
    expect r1, 7

    case 8                      ; a faulting push has moved r14
    mov r9, r14
    mov r14, 0x100004
    faults 4, s1
s1: push 1
    after 4
    expect r14, 0x100000

    case 9                      ; a faulting pop, ret and eret have not
    faults 4, s2
s2: pop r1
    after 4
    expect r1, 7
    faults 4, s3
s3: ret
    after 4
    faults 4, s4
s4: eret
    after 4
    expect r14, 0x100000
    mov r14, 0x100004
    faults 4, s5
s5: call failed
    after 4
    mov r14, r9

    case 10                     ; break goes on behind itself
    faults 0, b1 + 8            ; r15 was behind the break already
b1: break
    after 0

    case 11                     ; an index above 15 for reg and ireg raises exception 0 where it stands
    mov r1, 16
    faults 0, i1
i1: reg r1, failed
    after 0
    mov r1, 0xFFFFFFFF
    faults 0, i2
i2: ireg r1, failed
    after 0

    case 12                     ; eret from a handler repeats the instruction that has faulted
    mov r1, 3
    reg r1, repair
    mov r1, 42
    mov r2, 0
    div r1, r2
    expect r1, 21

    case 13                     ; a handler may break, and its exception stays open
    mov r1, 1
    reg r1, breaking
    mov r10, 0xFF
    mov r3, 0
    ud
    expect r10, 0
    expect r3, 1

    case 14                     ; executing from a screen works, from a device's hole does not
    mov r1, 1
    reg r1, handler_1
    mov r1, 0x0003DE2A          ; ret
    st32 GRAPHICS, r1
    mov r1, 0
    st32 GRAPHICS + 4, r1
    call GRAPHICS
    expect r14, r9

    jmp passed

repair:
    mov r2, 2
    eret

breaking:
    break
    mov r3, 1
    pop r0
    add r0, 8
    push r0
    mov r0, 0
    eret

.macro handler label, number
    \label:
    mov r10, \number
    pop r11
    mov r0, r11
    add r0, 16
    and r0, 0xFFFFFFF8
    sub r0, 8
    push r0
    mov r0, 0
    eret
.endm

    handler handler_1, 1
    handler handler_2, 2
    handler handler_3, 3
    handler handler_4, 4

; Exception 0 comes with r15 already behind a break; the bad index of `reg` is skipped by hand.
handler_0:
    mov r10, 0
    pop r11
    mov r0, r11
    cmp r1, 15
    add.a r0, 8
    push r0
    mov r0, 0
    eret
