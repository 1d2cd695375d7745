        mov r1,1                ; a reset keeps handlers and memory
        cmp r0,0
        ld32 r2,0x6000
        cmp r2,5
        jmp.z again
        mov r2,5
        st32 0x6000,r2
        mov r14,0x8000
        reg r1,handler
        ud
handler: ud
again:  break
