; Exception 2 without a handler stops the machine at the instruction, with e set.
    mov r1, 7
    $WORD32 0x0003DE22, 0       ; pop without a register
