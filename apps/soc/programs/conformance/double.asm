; A second exception while one is handled resets the machine: registers, flags and handlers are cleared, memory is as at
; power-on, and whoever runs the machine is told. That it came to this is shown by the TOML file.
.include "soc.inc"
    mov r14, 0x8000
    mov r1, 1
    reg r1, handler
    st32 0x6000, r1
    st32 TEXT, r1
    st8 VIDEO, r1
    ud

handler:
    ud
