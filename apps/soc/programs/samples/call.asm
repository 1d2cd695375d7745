        mov r14,0x8000
        mov r0,0x12345678
        push r0                 ; the first argument
        push 0xAAAAAAAA         ; the second
        call work
        add r14,8               ; drop both
        break
work:   mov r11,r14
        add r11,4               ; the call has pushed one word
        ld32 r10,r11
        add r11,4
        ld32 r11,r11
        ret
