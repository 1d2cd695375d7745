; Adds to every word of 512 KiB: loads and stores over more than the first caches hold.
again:
    mov r1, 0x40000
next:
    ld32 r2, r1
    add r2, r1
    st32 r1, r2
    ld16 r3, r1
    add r4, r3
    add r1, 4
    cmp r1, 0xC0000
    jmp.nz next
    jmp again
