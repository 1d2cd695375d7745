; Exception 4 without a handler stops the machine at the instruction, with e set.
    mov r1, 7
    ld32 r1, 0x20000000
