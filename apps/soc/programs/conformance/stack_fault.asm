; An exception whose handler has no stack to be entered with is a double fault.
    mov r14, 0x20000000
    mov r1, 1
    reg r1, handler
    ud

handler:
    eret
