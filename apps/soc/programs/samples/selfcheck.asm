        mov r14,0x8000          ; any failure ends at an undefined instruction
        mov r1,7
        add r1,5
        cmp r1,12
        jmp.nz wrong
        mov r2,3
        sub r1,r2
        cmp r1,9
        jmp.nz wrong
        mul r1,r2
        cmp r1,27
        jmp.nz wrong
        div r1,5
        cmp r1,5
        jmp.nz wrong
        mov r1,27
        mod r1,5
        cmp r1,2
        jmp.nz wrong
        mov r1,0x0F
        shl r1,4
        cmp r1,0xF0
        jmp.nz wrong
        shr r1,2
        cmp r1,0x3C
        jmp.nz wrong
        and r1,0x18
        cmp r1,0x18
        jmp.nz wrong
        or r1,0x21
        cmp r1,0x39
        jmp.nz wrong
        xor r1,0x11
        cmp r1,0x28
        jmp.nz wrong
        mov r1,0xFFFFFF00
        not r1
        cmp r1,0xFF
        jmp.nz wrong
        push 0x55
        push r1
        pop r3
        pop r4
        cmp r4,0x55
        jmp.nz wrong
        cmp r3,0xFF
        jmp.nz wrong
        mov r5,0x6000
        mov r6,0x12345678
        st32 r5,r6
        ld32 r7,r5
        cmp r7,0x12345678
        jmp.nz wrong
        ld16 r7,0x6002
        cmp r7,0x1234
        jmp.nz wrong
        ld8 r7,0x6001
        cmp r7,0x56
        jmp.nz wrong
        st16 0x6010,r6
        ld32 r7,0x6010
        cmp r7,0x5678
        jmp.nz wrong
        st8 0x6020,r6
        ld32 r7,0x6020
        cmp r7,0x78
        jmp.nz wrong
        mov r8,0
        call twice
        call twice
        cmp r8,4
        jmp.nz wrong
        cmp r8,5
        jmp.z wrong
        jmp.ae wrong
        jmp.a wrong
        cmp r8,3
        jmp.be wrong
        jmp.bl wrong
        cmp r8,4
        mov.nz r8,9
        mov.z r8,4
        cmp r8,4
        jmp.nz wrong
        mov r9,r15
        cmp r14,0x8000
        jmp.nz wrong
        jmp last
wrong:  ud
twice:  add r8,2
        ret
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
        ud
last:   mov r0,1
        mov r1,4
        mov r2,6
        mov r3,0x12345678
        mov r4,5
        mov r5,6
        mov r6,7
        mov r7,8
        mov r8,9
        mov r9,10
        mov r10,11
        mov r11,12
        mov r12,13
        mov r13,14
        cmp r0,1
        break
