; Paints a moving pattern, frame after frame, until a key is pressed.
.include "soc.inc"
    mov r9, 0                   ; number of the frame
frame:
    mov r1, GRAPHICS
    mov r3, 0                   ; y
row:
    mov r2, 0                   ; x
pixel:
    mov r4, r2
    add r4, r9
    and r4, 0xFF                ; red
    mov r5, r3
    add r5, r9
    shl r5, 8
    and r5, 0xFF00              ; green
    mov r6, r2
    xor r6, r3
    shl r6, 16
    and r6, 0xFF0000            ; blue
    or r4, r5
    or r4, r6
    or r4, 0xFF000000           ; opaque
    st32 r1, r4
    add r1, 4
    add r2, 1
    cmp r2, 320
    jmp.nz pixel
    add r3, 1
    cmp r3, 200
    jmp.nz row
    add r9, 4
    ld8 r7, KEYBOARD
    cmp r7, 0
    jmp.z frame
    mov r1, 0
    st32 SYSTEM_EXIT, r1
