; Every condition after every outcome of cmp: below, equal, above.
.include "check.inc"
    begin

    case 1                      ; al
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.al r2, 1
    expect r2, 1
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.al r2, 1
    expect r2, 1
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.al r2, 1
    expect r2, 1

    case 2                      ; z
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.z r2, 1
    expect r2, 0
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.z r2, 1
    expect r2, 1
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.z r2, 1
    expect r2, 0

    case 3                      ; nz
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.nz r2, 1
    expect r2, 1
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.nz r2, 1
    expect r2, 0
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.nz r2, 1
    expect r2, 1

    case 4                      ; ae
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.ae r2, 1
    expect r2, 0
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.ae r2, 1
    expect r2, 1
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.ae r2, 1
    expect r2, 1

    case 5                      ; a
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.a r2, 1
    expect r2, 0
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.a r2, 1
    expect r2, 0
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.a r2, 1
    expect r2, 1

    case 6                      ; be
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.be r2, 1
    expect r2, 1
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.be r2, 1
    expect r2, 1
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.be r2, 1
    expect r2, 0

    case 7                      ; bl
    mov r1, 0x1
    mov r2, 0
    cmp r1, 2
    mov.bl r2, 1
    expect r2, 1
    mov r1, 0x2
    mov r2, 0
    cmp r1, 2
    mov.bl r2, 1
    expect r2, 0
    mov r1, 0xffffffff
    mov r2, 0
    cmp r1, 2
    mov.bl r2, 1
    expect r2, 0

    case 8                      ; cmp between registers
    mov r1, 5
    mov r2, 6
    cmp r1, r2
    jmp.ae failed
    cmp r2, r1
    jmp.be failed
    cmp r1, r1
    jmp.nz failed

    case 9                      ; a false condition hides an undefined instruction and invalid operands
    cmp r1, r1
    $WORD32 0x000BDE01, 0       ; opcode 01, nz
    $WORD32 0x000BDE22, 0       ; pop without a register, nz
    ud.nz

    case 10                     ; conditional stores, calls and returns
    mov r1, 1
    st32 0x6000, r1
    mov r1, 2
    st32.nz 0x6000, r1
    ld32 r2, 0x6000
    expect r2, 1
    cmp r1, 3
    call.z failed
    call.nz returns
    expect r1, 4
    jmp passed

returns:
    mov r1, 4
    ret.nz
    jmp failed
