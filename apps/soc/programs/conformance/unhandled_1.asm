; Exception 1 without a handler stops the machine at the instruction, with e set.
    mov r1, 7
    ud
