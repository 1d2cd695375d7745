; Loads, stores and the stack: widths, byte order, unaligned places, registers and immediates.
.include "check.inc"
.equ PLACE, 0x6000
    begin

    case 1                      ; little endian
    mov r1, 0x12345678
    st32 PLACE, r1
    ld8 r2, PLACE
    expect r2, 0x78
    ld8 r2, PLACE + 3
    expect r2, 0x12
    ld16 r2, PLACE + 1
    expect r2, 0x3456

    case 2                      ; narrow stores keep their neighbours
    mov r1, 0xFFFFAABB
    mov r3, PLACE + 1
    st8 r3, r1
    ld32 r2, PLACE
    expect r2, 0x1234BB78
    st16 r3, r1
    ld32 r2, PLACE
    expect r2, 0x12AABB78

    case 3                      ; narrow loads are zero-extended
    ld16 r2, r3
    expect r2, 0xAABB
    ld8 r2, r3
    expect r2, 0xBB

    case 4                      ; no alignment is asked for, across a page too
    mov r1, 0xCAFEF00D
    st32 0x6FFD, r1
    ld32 r2, 0x6FFD
    expect r2, 0xCAFEF00D
    ld8 r2, 0x7000
    expect r2, 0xCA

    case 5                      ; push and pop move by four
    mov r0, r14
    push 5
    mov r1, r14
    sub r0, r1
    expect r0, 4
    mov r1, 6
    push r1
    pop r2
    pop r3
    expect r2, 6
    expect r3, 5
    expect r14, 0x8000

    case 6                      ; push r14 pushes its old value; pop r14 ends with the popped value
    push r14
    ld32 r1, r14
    expect r1, 0x8000
    push 0x8000
    pop r14
    expect r14, 0x8000

    case 7                      ; call pushes its own address, ret adds eight
    mov r0, 0
back:
    call work
    expect r0, back

    case 8                      ; a call through a register
    mov r0, 0
    mov r1, work
back_2:
    call r1
    expect r0, back_2

    case 9                      ; a jump through a register
    mov r1, target
    jmp r1
    jmp failed
target:

    case 10                     ; a pushed address returns eight behind it
    push arrived - 8
    ret
    jmp failed
arrived:
    expect r14, 0x8000

    case 11                     ; pop r15 is ret
    push arrived_2 - 8
    pop r15
    jmp failed
arrived_2:

    case 12                     ; the last word of memory
    mov r1, 0x11223344
    st32 0xFFFFC, r1
    ld32 r2, 0xFFFFC
    expect r2, 0x11223344

    case 13                     ; both screens are memory
    st32 GRAPHICS + GRAPHICS_BYTES - 4, r1
    ld16 r2, GRAPHICS + GRAPHICS_BYTES - 3
    expect r2, 0x2233
    st16 TEXT + TEXT_BYTES - 2, r1
    ld8 r2, TEXT + TEXT_BYTES - 1
    expect r2, 0x33
    mov r1, 0
    st16 TEXT + TEXT_BYTES - 2, r1

    case 14                     ; code that a store changes is executed as changed
    mov r0, 0
    mov r4, 2
again:
patch:
    add r0, 1                   ; becomes add r0, 0x100
    mov r1, 0x100
    st32 patch + 4, r1
    sub r4, 1
    cmp r4, 0
    jmp.nz again
    expect r0, 0x101

    case 15                     ; a store may change the very next instruction
    mov r1, 7
    st32 next + 4, r1
next:
    mov r0, 1
    expect r0, 7

    jmp passed

work:
    ld32 r0, r14
    ret
