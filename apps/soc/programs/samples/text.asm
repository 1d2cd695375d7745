        mov r14,0x8000
        mov r0,0xF2000000       ; video control
        mov r2,1                ; 1 is text
        st8 r0,r2
        mov r1,0xF1000000       ; the first cell
        mov r2,0
loop:   cmp r2,2000             ; 80 columns, 25 rows
        jmp.z done
        st8 r1,r2
        add r1,1
        add r2,1
        jmp loop
done:   break
