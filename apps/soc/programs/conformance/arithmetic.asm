; Every instruction that computes, with registers and with immediates, at the edges of its range.
.include "check.inc"
    begin

    case 1                      ; mov
    mov r1, 0xFFFFFFFF
    expect r1, 0xFFFFFFFF
    mov r2, r1
    expect r2, -1

    case 2                      ; add wraps
    add r1, 1
    expect r1, 0
    mov r1, 0x80000000
    add r1, r1
    expect r1, 0

    case 3                      ; sub wraps
    sub r1, 1
    expect r1, 0xFFFFFFFF
    mov r2, 0xFFFFFFFE
    sub r2, r1
    expect r2, 0xFFFFFFFF
    sub r2, r2
    expect r2, 0

    case 4                      ; mul is exact modulo 2^32
    mov r1, 0xFFFFFFFF
    mul r1, r1
    expect r1, 1
    mov r1, 0x89ABCDEF
    mul r1, 0x01234567
    expect r1, 0xC94E4629
    mov r1, 0x10001
    mul r1, 0x10001
    expect r1, 0x20001

    case 5                      ; div is unsigned and truncates
    mov r1, 0xFFFFFFFF
    div r1, 2
    expect r1, 0x7FFFFFFF
    mov r1, 7
    mov r2, 8
    div r1, r2
    expect r1, 0

    case 6                      ; mod
    mov r1, 0xFFFFFFFF
    mod r1, 10
    expect r1, 5
    mov r1, 7
    mov r2, 7
    mod r1, r2
    expect r1, 0

    case 7                      ; shl counts modulo 32
    mov r1, 0x80000001
    shl r1, 1
    expect r1, 2
    shl r1, 32
    expect r1, 2
    mov r2, 33
    shl r1, r2
    expect r1, 4

    case 8                      ; shr brings zeros
    mov r1, 0x80000000
    shr r1, 31
    expect r1, 1
    mov r1, 0x80000000
    mov r2, 36
    shr r1, r2
    expect r1, 0x08000000

    case 9                      ; and, or, xor, not
    mov r1, 0xFF00FF00
    and r1, 0x0FF00FF0
    expect r1, 0x0F000F00
    mov r2, 0x000000F0
    or r1, r2
    expect r1, 0x0F000FF0
    xor r1, r1
    expect r1, 0
    xor r1, 0x5555AAAA
    not r1
    expect r1, 0xAAAA5555

    case 10                     ; nothing but cmp touches Z and C
    mov r1, 5
    cmp r1, 5
    sub r1, 6
    mov r2, 0
    add r2, 1
    jmp.nz failed
    cmp r2, 2
    xor r2, r2
    jmp.ae failed

    case 11                     ; a false condition leaves all alone
    mov r1, 1
    cmp r1, 1
    mov.nz r1, 2
    add.a r1, 2
    not.bl r1
    expect r1, 1

    case 12                     ; r15 reads as the instruction's own address
here:
    mov r1, r15
    expect r1, here

    case 13                     ; add to r15 skips one instruction
    mov r1, 0
    add r15, 8
    mov r1, 1
    expect r1, 0

    case 14                     ; mov to r15 goes on 8 behind the value
    mov r15, behind - 8
    jmp failed
behind:
    mov r1, r15
    expect r1, behind

    case 15                     ; nop
    mov r1, r15
    nop
    mov r2, r15
    sub r2, r1
    expect r2, 16

    jmp passed
