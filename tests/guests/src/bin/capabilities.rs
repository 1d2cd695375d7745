//! Capabilities, user ids and what an execve makes of them: each case is a process of its own that changes itself step by step and
//! tells after each step who it is.
#![expect(unsafe_code, reason = "the calls are made with wrong arguments too")]

use guests::call;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

const CAPGET: usize = 125;
const CAPSET: usize = 126;
const PRCTL: usize = 157;
const SETUID: usize = 105;
const SETREUID: usize = 113;
const SETRESUID: usize = 117;
const SETFSUID: usize = 122;
const SETRESGID: usize = 119;
const SETRLIMIT: usize = 160;
const NONE: usize = usize::MAX;
/// The program itself, set-user-ID of root and of user 1000.
const AS_ROOT: &str = "/tmp/as-root";
const AS_USER: &str = "/tmp/as-user";
const AS_GROUP: &str = "/tmp/as-group";
const PLAIN: &str = "/tmp/plain";
/// The capabilities of the cases: CAP_CHOWN to CAP_NET_BIND_SERVICE, which root has wherever tests are run.
const COMMON: u64 = 0x7ff;
const CHOWN: u64 = 1 << 0;
const SETPCAP: u64 = 1 << 8;
const NET_BIND: u64 = 1 << 10;

#[derive(Clone, Copy)]
enum Step {
    Call(&'static str, usize, [usize; 5]),
    /// Effective, permitted, inheritable.
    Set(u64, u64, u64),
    Execute(&'static str),
}
use Step::{Call, Execute, Set};

const fn prctl(name: &'static str, operation: usize, first: usize, second: usize) -> Step {
    Call(name, PRCTL, [operation, first, second, 0, 0])
}

const KEEP_CAPS: Step = prctl("keep capabilities", 8, 1, 0);
const NO_NEW: Step = prctl("no new privileges", 38, 1, 0);
const TO_USER: Step = Call("setuid 1000", SETUID, [1000, 0, 0, 0, 0]);
const TO_EFFECTIVE: Step = Call("effective 1000", SETRESUID, [NONE, 1000, NONE, 0, 0]);
const BACK: Step = Call("effective 0", SETRESUID, [NONE, 0, NONE, 0, 0]);

const CASES: &[(&str, &[Step])] = &[
    ("setuid", &[TO_USER, BACK, Call("setuid 0", SETUID, [0; 5])]),
    ("there and back", &[TO_EFFECTIVE, BACK, TO_EFFECTIVE, Execute(PLAIN)]),
    ("kept", &[KEEP_CAPS, TO_USER, Set(CHOWN, CHOWN | SETPCAP, CHOWN), Execute(PLAIN)]),
    ("kept over execve", &[KEEP_CAPS, Execute(PLAIN)]),
    (
        "setreuid",
        &[Call("setreuid 5 6", SETREUID, [5, 6, 0, 0, 0]), Call("setreuid 6 5", SETREUID, [6, 5, 0, 0, 0])],
    ),
    ("file-system user", &[Call("fsuid 7", SETFSUID, [7, 0, 0, 0, 0]), Call("fsuid 0", SETFSUID, [0; 5])]),
    (
        "groups",
        &[
            Call("setresgid 4 5 6", SETRESGID, [4, 5, 6, 0, 0]),
            TO_USER,
            Call("setresgid 6 6 6", SETRESGID, [6, 6, 6, 0, 0]),
            Call("setresgid 9", SETRESGID, [9, 9, 9, 0, 0]),
        ],
    ),
    (
        "fewer",
        &[
            Set(CHOWN, CHOWN | NET_BIND, 0),
            Set(CHOWN | NET_BIND, CHOWN | NET_BIND, 0),
            Set(CHOWN, CHOWN | SETPCAP, 0),
            Set(CHOWN, CHOWN, SETPCAP),
            Execute(PLAIN),
        ],
    ),
    ("effective, not permitted", &[Set(CHOWN, 0, 0)]),
    (
        "bounding",
        &[
            prctl("drop", 24, 0, 0),
            prctl("read", 23, 0, 0),
            prctl("read", 23, 1, 0),
            prctl("drop nothing", 24, 99, 0),
            prctl("read nothing", 23, 99, 0),
            Set(0, 0, CHOWN),
            Execute(PLAIN),
        ],
    ),
    (
        "bounding, inheritable",
        &[
            Set(SETPCAP, SETPCAP | CHOWN, 0),
            prctl("drop", 24, 10, 0),
            Set(SETPCAP, SETPCAP | CHOWN, NET_BIND),
            Set(SETPCAP, SETPCAP | CHOWN, CHOWN),
            Execute(PLAIN),
        ],
    ),
    (
        "ambient",
        &[
            prctl("raise", 47, 2, 10),
            Set(COMMON, COMMON, NET_BIND),
            prctl("raise", 47, 2, 10),
            prctl("is set", 47, 1, 10),
            prctl("is set, another", 47, 1, 0),
            prctl("raise nothing", 47, 2, 99),
            prctl("no such operation", 47, 9, 0),
            KEEP_CAPS,
            TO_USER,
        ],
    ),
    (
        "ambient over execve",
        &[KEEP_CAPS, TO_USER, Set(NET_BIND, NET_BIND, NET_BIND), prctl("raise", 47, 2, 10), Execute(PLAIN)],
    ),
    (
        "ambient, set-user-ID",
        &[KEEP_CAPS, TO_USER, Set(NET_BIND, NET_BIND, NET_BIND), prctl("raise", 47, 2, 10), Execute(AS_USER)],
    ),
    (
        "ambient, lowered",
        &[
            Set(NET_BIND | CHOWN, NET_BIND | CHOWN, NET_BIND | CHOWN),
            prctl("raise", 47, 2, 10),
            prctl("raise", 47, 2, 0),
            prctl("lower", 47, 3, 0),
            prctl("clear, with more", 47, 4, 1),
            prctl("clear", 47, 4, 0),
            prctl("forbid", 28, 1 << 6, 0),
            prctl("raise", 47, 2, 10),
        ],
    ),
    (
        "ambient, inheritable gone",
        &[Set(NET_BIND, NET_BIND, NET_BIND), prctl("raise", 47, 2, 10), Set(NET_BIND, NET_BIND, 0)],
    ),
    ("set-user-ID root", &[TO_USER, Execute(AS_ROOT), TO_EFFECTIVE, Execute(PLAIN)]),
    ("set-user-ID of a user", &[Execute(AS_USER), Execute(PLAIN)]),
    (
        "set-user-ID of a user, to another",
        &[
            Call("setuid 1001", SETUID, [1001, 0, 0, 0, 0]),
            Execute(AS_USER),
            Call("setuid 1001", SETUID, [1001, 0, 0, 0, 0]),
            Execute(PLAIN),
        ],
    ),
    ("set-group-ID", &[TO_USER, Execute(AS_GROUP), Execute(PLAIN)]),
    ("no new privileges", &[TO_USER, NO_NEW, Execute(AS_ROOT)]),
    ("secure bits", &[prctl("no root", 28, 1, 0), Execute(PLAIN)]),
    (
        "secure bits, locked",
        &[
            prctl("no root, locked", 28, 3, 0),
            prctl("unlocked", 28, 1, 0),
            prctl("none", 28, 0, 0),
            prctl("more", 28, 7, 0),
            prctl("unknown", 28, 1 << 20, 0),
            TO_USER,
            prctl("not permitted", 28, 7, 0),
        ],
    ),
    ("no fix-up", &[prctl("no fix-up", 28, 4, 0), TO_USER, Execute(PLAIN)]),
    (
        "keep capabilities, locked",
        &[
            prctl("locked", 28, 1 << 5, 0),
            KEEP_CAPS,
            prctl("keep, by bits", 28, 3 << 4, 0),
            prctl("keep, strange", 8, 2, 0),
        ],
    ),
    ("set-user-ID root without root", &[prctl("no root", 28, 1, 0), KEEP_CAPS, TO_USER, Execute(AS_ROOT)]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, case, step] = &arguments[..] {
        let number = |text: &String| text.parse().unwrap_or(usize::MAX);
        return go_on(number(case), number(step));
    }
    let program = fs::read("/proc/self/exe").expect("this program");
    // A file system on which set-user-ID counts.
    let tmpfs = c"tmpfs".as_ptr() as usize;
    // SAFETY: a mount changes nothing in this program.
    unsafe { call(165, [tmpfs, c"/tmp".as_ptr() as usize, tmpfs, 0, c"mode=777".as_ptr() as usize, 0]) };
    for (path, owner, mode) in
        [(AS_ROOT, 0, 0o4755), (AS_USER, 1000, 0o4755), (AS_GROUP, 1007, 0o2755), (PLAIN, 0, 0o755)]
    {
        fs::write(path, &program).expect("a file");
        chown(path, Some(owner), Some(owner)).expect("an owner");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    for (index, (name, _)) in CASES.iter().enumerate() {
        println!("{name}");
        guests::in_a_child(|| go_on(index, 0));
    }
    for (others, limit) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (2, 3)] {
        println!("{others} others, {limit} allowed");
        println!("  end: {:#x}", guests::in_a_child(|| too_many(others, limit)));
    }
    auxiliary_vector();
}

/// Makes the steps of a case from one on; after an execve the new program does the rest.
fn go_on(case: usize, first: usize) {
    let Some((_, steps)) = CASES.get(case) else { return println!("  it runs") };
    if first > 0 {
        tell("  then");
    } else {
        begin();
    }
    for (index, step) in steps.iter().enumerate().skip(first) {
        match *step {
            Call(name, number, [a, b, c, d, e]) => {
                // SAFETY: the calls change who this process is.
                let result = unsafe { call(number, [a, b, c, d, e, 0]) };
                tell(&format!("  {name}: {result}"));
            }
            Set(effective, permitted, inheritable) => {
                tell(&format!("  set: {}", set(effective, permitted, inheritable)));
            }
            Execute(path) => {
                execute(path, &[case.to_string(), (index + 1).to_string()]);
                tell("  execve refused");
            }
        }
    }
}

/// Gives up all capabilities that are not [`COMMON`].
fn begin() {
    for capability in (0..64).filter(|capability| COMMON >> capability & 1 == 0) {
        // SAFETY: the calls change what this process may do.
        unsafe { call(PRCTL, [24, capability, 0, 0, 0, 0]) };
    }
    set(COMMON, COMMON, 0);
}

/// Sets the three sets of capabilities.
fn set(effective: u64, permitted: u64, inheritable: u64) -> isize {
    let header = [0x2008_0522_u32, 0];
    let low = [effective, permitted, inheritable].map(|set| set as u32);
    let high = [effective, permitted, inheritable].map(|set| (set >> 32) as u32);
    let sets = [low, high];
    // SAFETY: the call reads both.
    unsafe { call(CAPSET, [&raw const header as usize, &raw const sets as usize, 0, 0, 0, 0]) }
}

/// PR_GET_AUXV gives what /proc/self/auxv has, as much as there is room for.
fn auxiliary_vector() {
    const GET: usize = 0x4155_5856;
    let known = fs::read("/proc/self/auxv").expect("the vector");
    let mut bytes = vec![0_u8; 4096];
    for room in [0, 20, 4096] {
        bytes.fill(0);
        // SAFETY: the call writes to `bytes`, at most so much.
        let result = unsafe { call(PRCTL, [GET, bytes.as_mut_ptr() as usize, room, 0, 0, 0]) };
        let told = room.min(known.len());
        println!("auxiliary vector, {room}: {} {}", result > 0, bytes[..told] == known[..told]);
    }
    // SAFETY: the call is refused.
    println!("with more: {}", unsafe { call(PRCTL, [GET, 0, 0, 1, 0, 0]) });
}

/// Runs this program anew, as the file that it is in `path`.
fn execute(path: &str, arguments: &[String]) -> isize {
    let all: Vec<CString> = std::iter::once(path)
        .chain(arguments.iter().map(String::as_str))
        .map(|word| CString::new(word).expect("a word"))
        .collect();
    let mut words: Vec<usize> = all.iter().map(|word| word.as_ptr() as usize).collect();
    words.push(0);
    // SAFETY: strings and vector outlive the call.
    unsafe { call(59, [words[0], words.as_ptr() as usize, [0_usize].as_ptr() as usize, 0, 0, 0]) }
}

/// Prints who this process is.
fn tell(what: &str) {
    let header = [0x2008_0522_u32, 0];
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: the calls write to `sets`, or change nothing.
    let bits = unsafe {
        call(CAPGET, [&raw const header as usize, &raw mut sets as usize, 0, 0, 0, 0]);
        [27, 7, 39].map(|operation| call(PRCTL, [operation, 0, 0, 0, 0, 0]))
    };
    let [effective, permitted, inheritable] =
        [0, 1, 2].map(|set| u64::from(sets[0][set]) | u64::from(sets[1][set]) << 32);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(",")
    };
    println!(
        "{what} | uid {} gid {} | effective {effective:x} permitted {permitted:x} inheritable {inheritable:x} bounding {} ambient {} | bits {bits:?}",
        of("Uid:"),
        of("Gid:"),
        of("CapBnd:"),
        of("CapAmb:"),
    );
}

/// A user who has more processes than he may can become nobody's program: execve(2), EAGAIN, after setuid(2). `others` run already.
fn too_many(others: usize, limit: u64) {
    const READ: usize = 0;
    const PIPE: usize = 22;
    const FORK: usize = 57;
    let user = 2000 + others * 10 + limit as usize;
    let (mut ready, mut held, mut byte) = ([0_u32; 2], [0_u32; 2], 0_u8);
    let at = &raw mut byte as usize;
    // SAFETY: the calls write to the three variables, or change who this process is and what it may.
    let result = unsafe {
        call(PIPE, [&raw mut ready as usize, 0, 0, 0, 0, 0]);
        call(PIPE, [&raw mut held as usize, 0, 0, 0, 0, 0]);
        for _ in 0..others {
            if call(FORK, [0; 6]) == 0 {
                call(SETUID, [user, 0, 0, 0, 0, 0]);
                call(3, [held[1] as usize, 0, 0, 0, 0, 0]);
                call(1, [ready[1] as usize, at, 1, 0, 0, 0]);
                // Until the process that began this has ended.
                call(READ, [held[0] as usize, at, 1, 0, 0, 0]);
                call(231, [0; 6]);
            }
            call(READ, [ready[0] as usize, at, 1, 0, 0, 0]);
        }
        let limits = [limit, limit];
        call(SETRLIMIT, [6, &raw const limits as usize, 0, 0, 0, 0]);
        call(SETUID, [user, 0, 0, 0, 0, 0])
    };
    println!("  setuid: {result}");
    println!("  execve: {}", execute(PLAIN, &["999".into(), "0".into()]));
    // SAFETY: a child that is made ends at once.
    let child = unsafe { call(FORK, [0; 6]) };
    if child == 0 {
        std::process::exit(0);
    }
    println!("  fork: {}", child.min(1));
    println!("  execve: {}", execute(PLAIN, &["999".into(), "0".into()]));
}
