; Fills the graphics screen, over and over: stores to a screen, compare and jump.
.include "soc.inc"
again:
    mov r1, GRAPHICS
    add r2, 0x01010101
fill:
    st32 r1, r2
    add r1, 4
    cmp r1, GRAPHICS + GRAPHICS_BYTES
    jmp.nz fill
    jmp again
