; A small editor: letters appear where the cursor is, Backspace takes one back, Enter goes to the next row.
.include "soc.inc"
.equ CURSOR, '_'
    mov r14, 0x8000
    movsi r14, 0x9000
    movsi r1, TEXT              ; the cursor
    mov r0, 1
    st8 VIDEO, r0
    mov r2, CURSOR
    st8 TEXT, r2
    ireg r0, on_key             ; 1 is the keyboard
    sti
sleep:
    st32 SYSTEM_WAIT, r0
    jmp sleep

on_key:
    mov r3, ' '
    st8 r1, r3
    ld8 r2, KEYBOARD + 1
    cmp r2, 8
    jmp.z erase
    cmp r2, 13
    jmp.z enter
    cmp r2, ' '
    jmp.bl show
    st8 r1, r2
    add r1, 1
    jmp show
erase:
    cmp r1, TEXT
    sub.a r1, 1
    jmp show
enter:
    mov r4, r1
    sub r4, TEXT
    mod r4, TEXT_COLUMNS
    sub r1, r4
    add r1, TEXT_COLUMNS
show:
    cmp r1, TEXT + TEXT_BYTES
    mov.ae r1, TEXT             ; over the end: to the beginning
    mov r3, CURSOR
    st8 r1, r3
    iret
