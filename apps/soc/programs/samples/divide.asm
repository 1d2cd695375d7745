        mov r14,0x8000
        mov r1,3                ; the number of the exception
        reg r1,handler
        div r1,0                ; faults here, at 0x18
        nop                     ; and goes on here
        break
handler: pop r13                ; address of the faulting instruction, less 8
        add r13,8               ; so that eret goes on behind it
        push r13
        eret
