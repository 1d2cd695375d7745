        mov r14,0x8000
        mov r0,first
        ld32 r0,r0
        mov r1,second
        ld32 r1,r1
        break
first:  $WORD32 0xDEADBEEF
second: $WORD32 0x0DEFACED
