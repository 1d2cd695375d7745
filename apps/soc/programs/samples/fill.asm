        mov r14,0x8000          ; the stack grows down from here
        mov r0,0xF2000000       ; video control
        mov r1,0                ; 0 is graphics
        st8 r0,r1
        mov r3,0xF0000000       ; the first pixel
        mov r5,0xFF0000FF       ; opaque red: bytes R, G, B, A
        call fill
        jmp done
fill:   st32 r3,r5
        add r3,4
        cmp r3,0xF003E800       ; behind the last pixel?
        jmp.nz fill
        ret
done:   break
