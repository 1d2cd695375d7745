; Works out Fibonacci numbers by recursion: calls, returns, pushes and pops.
    mov r14, 0x80000
again:
    mov r1, 20
    call fibonacci
    jmp again
fibonacci:
    cmp r1, 2
    ret.bl
    push r1
    sub r1, 1
    call fibonacci
    pop r2
    push r1
    mov r1, r2
    sub r1, 2
    call fibonacci
    pop r2
    add r1, r2
    ret
