        cmp r13,1               ; a jump through a register comes back to 0
        jmp.z jumped
        cmp r13,2
        jmp.z called
        mov r14,0x8000
        mov r0,0xFFFFFFFF
        mul r0,r0               ; the low bits are lost: 0 and not 1
        mov r1,0x89ABCDEF
        mul r1,0x01234567       ; ...28 and not ...29
        mov r2,7
        mod r2,0                ; 0 and no exception
        mov r3,1
        cmp r3,2
        mov.bl r3,9             ; bl never holds
        mov r5,16
        reg r5,wrong            ; index 16 is accepted in vain
        ireg r5,wrong
        mov r13,1
        mov r4,wrong
        jmp r4                  ; goes to the immediate field, which is 0
jumped: mov r13,2
        call r4                 ; so does this
called: add r14,4
        break
wrong:  ud
