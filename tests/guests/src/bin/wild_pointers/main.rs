//! Every call that takes an address is given wild ones: the null page, unmapped memory, a read-only page, the hole of
//! non-canonical addresses, the kernel's half. Each must fail as on Linux, and the program goes on.
#![expect(unsafe_code, reason = "no safe wrapper passes a wild address")]

mod table;

use table::{Things, WILD};

/// Makes a call with whatever it is given.
fn call(number: usize, arguments: [usize; 6]) -> isize {
    // SAFETY: the addresses point to memory that nothing in this program uses, or cannot be used at all; the calls below
    // neither start threads nor end the program.
    unsafe { guests::call(number, arguments) }
}

const SYS_MMAP: usize = 9;
const SYS_OPENAT: usize = 257;
const SYS_PIPE: usize = 22;
const AT_FDCWD: usize = -100_isize as usize;

fn main() {
    let zero = call(SYS_OPENAT, [AT_FDCWD, c"/dev/zero".as_ptr() as usize, 0, 0, 0, 0]) as usize;
    let folder = call(SYS_OPENAT, [AT_FDCWD, c"/".as_ptr() as usize, 0o200_000, 0, 0, 0]) as usize;
    let mut pipe = [0_u32; 2];
    let made = call(SYS_PIPE, [pipe.as_mut_ptr() as usize, 0, 0, 0, 0, 0]);
    println!("pipe: {made}");
    let (reader, writer) = (pipe[0] as usize, pipe[1] as usize);
    call(1, [writer, c"content".as_ptr() as usize, 7, 0, 0, 0]);
    let epoll = call(291, [0; 6]) as usize;
    let path = c"/".as_ptr() as usize;
    // A page that can be read and not written, and one behind which nothing is mapped.
    let read_only = call(SYS_MMAP, [0, 4096, 1, 0x22, usize::MAX, 0]) as usize;
    let two = call(SYS_MMAP, [0, 8192, 3, 0x22, usize::MAX, 0]) as usize;
    call(11, [two + 4096, 4096, 0, 0, 0, 0]);

    let open = |name: &std::ffi::CStr, flags| {
        call(SYS_OPENAT, [AT_FDCWD, name.as_ptr() as usize, flags, 0o600, 0, 0]) as usize
    };
    let name = c"/tmp/wild-pointers";
    let file = open(name, 0o102);
    call(1, [file, c"content".as_ptr() as usize, 7, 0, 0, 0]);
    let ready = call(291, [0; 6]) as usize;
    // EPOLLIN, level-triggered: the pipe holds something.
    let interest = [1_u32, 0, 0];
    println!("watched: {}", call(233, [ready, 1, reader, interest.as_ptr() as usize, 0, 0]));
    let mut pair = [0_u32; 2];
    println!("pair: {}", call(53, [1, 1, 0, pair.as_mut_ptr() as usize, 0, 0]));
    let listener = call(41, [1, 0o4001, 0, 0, 0, 0]) as usize;
    let address = [1_u8, 0, 0, b'w', b'i', b'l', b'd'];
    println!("bound: {}", call(49, [listener, address.as_ptr() as usize, address.len(), 0, 0, 0]));
    println!("listens: {}", call(50, [listener, 1, 0, 0, 0, 0]));
    let process = std::process::id() as usize;
    let things = Things {
        zero,
        null: open(c"/dev/null", 2),
        folder,
        file,
        file_name: name.as_ptr() as usize,
        reader,
        writer,
        epoll,
        ready,
        timer: call(283, [1, 0, 0, 0, 0, 0]) as usize,
        event: call(290, [1, 0o4000, 0, 0, 0, 0]) as usize,
        stream: pair[0] as usize,
        listener,
        process,
        two,
    };

    // The hole and the end of the addresses that a program has with five levels of page tables: wild with four as well.
    let addresses = [
        ("null", 0),
        ("one", 1),
        ("hole", 0x0100_0000_0000_0000),
        ("kernel", 0xffff_8000_0000_0000),
        ("last", usize::MAX - 7),
        ("end", 0x00ff_ffff_ffff_fffc),
    ];
    for (name, number, arguments) in table::calls(&things) {
        let results = addresses.map(|(_, address)| {
            // Without a limit the wait would not end.
            if address == 0 && name.ends_with("limit") {
                return 0;
            }
            let result =
                call(number, arguments.map(|argument| if argument == WILD { address } else { argument }));
            // Success is told apart from failure alone where it differs from boot to boot.
            if number == 12 {
                0
            } else if result > 4096 || number == 100 && result >= 0 {
                1
            } else {
                result
            }
        });
        println!("{name}: {results:?}");
    }
    println!("events into a read-only page: {}", call(232, [ready, read_only, 4, usize::MAX, 0, 0]));
    println!("read into a read-only page: {}", call(0, [zero, read_only, 64, 0, 0, 0]));
    println!("read to the end of what is mapped: {}", call(0, [zero, two + 4096 - 16, 64, 0, 0, 0]));
    println!(
        "entries to the end of what is mapped: {}",
        call(217, [folder, two + 4096 - 40, 4096, 0, 0, 0]) > 0
    );
    println!("stat across the end of what is mapped: {}", call(4, [path, two + 4096 - 16, 0, 0, 0, 0]));
    println!("a name that ends where memory does: {}", {
        // SAFETY: the last eight bytes of the page are this program's and nothing else uses them.
        unsafe { std::ptr::copy_nonoverlapping(b"/missing".as_ptr(), (two + 4096 - 8) as *mut u8, 8) };
        call(4, [two + 4096 - 8, two, 0, 0, 0, 0])
    });
    for len in [usize::MAX, 1 << 63, (1 << 63) - 1, 0x7fff_ffff_ffff_f000, 1 << 56] {
        let results = [
            call(0, [reader, two, len, 0, 0, 0]),
            call(1, [writer, WILD - 64, len, 0, 0, 0]),
            call(9, [0, len, 3, 0x22, usize::MAX, 0]),
            call(11, [two, len, 0, 0, 0, 0]),
            call(28, [two, len, 0, 0, 0, 0]),
            call(79, [16, len, 0, 0, 0, 0]),
            call(318, [16, len, 0, 0, 0, 0]),
            call(217, [folder, 16, len, 0, 0, 0]),
            call(7, [two, len, 0, 0, 0, 0]),
            call(20, [writer, two, len, 0, 0, 0]),
        ];
        println!("length {len:#x}: {results:?}");
        call(1, [writer, path, 1, 0, 0, 0]);
    } // The list that the kernel walks when the thread ends.
    println!("robust list: {}", call(273, [0xffff_8000_0000_0000, 24, 0, 0, 0, 0]));
    println!("removed: {}", call(87, [name.as_ptr() as usize, 0, 0, 0, 0, 0]));
}
