; Says hello on the UART and on the text screen.
.include "soc.inc"
    mov r0, message
    mov r1, TEXT
    mov r2, 1
    st8 VIDEO, r2               ; text mode
next:
    ld8 r2, r0
    cmp r2, 0
    jmp.z end
    st32 UART_DATA, r2
    st8 r1, r2
    add r0, 1
    add r1, 1
    jmp next
end:
    mov r0, 0
    st32 SYSTEM_EXIT, r0        ; switch off, all well

message:
    $ASCII "Hello, house!", 0
