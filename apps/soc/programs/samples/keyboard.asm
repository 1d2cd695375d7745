        mov r14,0x8000          ; the stack of the program
        movsi r14,0x9000        ; the stack of the interrupt handler
        movsi r1,0xF3000001     ; where keys are taken from
        movsi r10,0xF1000000    ; the cursor
        mov r5,0xF2
        mov r10,r5
        shl r10,24              ; video control
        mov r1,1                ; text mode, and the keyboard's interrupt
        st8 r10,r1
        ireg r1,handler
        mov r1,0
        sti
wait:   jmp wait                ; all happens in the handler
handler: ld8 r2,r1              ; the oldest key
        add r5,1                ; keys so far
        cmp r2,8
        jmp.z erase
        cmp r2,32
        jmp.ae print
        mov r3,r10              ; anything else: to the start of the next row
        sub r3,0xF1000000
        mod r3,80
        sub r10,r3
        add r10,80
        mov r3,0
        jmp done
erase:  sub r10,1
        mov r3,32
        st8 r10,r3
        mov r3,0
        jmp done
print:  st8 r10,r2
        add r10,1
done:   mov r2,0
        iret
