        mov r14,0x8000
        mov r1,3
        reg r1,handler          ; division by zero is survived
        mov r4,0xFF000000       ; opaque black
        mov r2,0xF0000000
loop:   st32 r2,r4
        add r2,4
        cmp r2,0xF003E800
        jmp.nz loop
        mov r4,1
        shl r4,5
        mov r1,0x1234
        div r1,0                ; faults here, at 0x60
        cmp r4,0x20
        jmp.nz wrong
        push r1
        mov r1,0
        pop r1
        cmp r1,0x1234
        jmp.nz wrong
        jmp done
done:   break
wrong:  ud
handler: pop r13
        add r13,8
        push r13
        eret
