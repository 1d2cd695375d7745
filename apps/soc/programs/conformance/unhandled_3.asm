; Exception 3 without a handler stops the machine at the instruction, with e set.
    mov r1, 7
    div r1, 0
