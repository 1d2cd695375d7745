//! No number escapes comparison: each public constant and flag is named in a test, or stands here with
//! the reason why no crate of headers can confirm it.

use std::fs;
use std::path::{Path, PathBuf};

/// Numbers that are written in prose or in kernel sources only: manual pages, linux/rseq.h,
/// linux/securebits.h, asm/prctl.h, asm/sigcontext.h and asm/ucontext.h, or that Hob derives.
const WITHOUT_HEADER: &[&str] = &[
    "ARCH_GET_CPUID",
    "ARCH_GET_FS",
    "ARCH_GET_GS",
    "ARCH_SET_CPUID",
    "ARCH_SET_GS",
    "COUNT",
    "DIRENT64_NAME_OFFSET",
    "FD_SETSIZE",
    "FP_XSTATE_MAGIC1",
    "FP_XSTATE_MAGIC2",
    "FP_XSTATE_MAGIC2_SIZE",
    "FUTEX_CMD_MASK",
    "LOAD_SHIFT",
    "NANOSECONDS_PER_SECOND",
    "N_TTY",
    "RLIM_INFINITY",
    "RSEQ_CPU_ID_REGISTRATION_FAILED",
    "RSEQ_CPU_ID_UNINITIALIZED",
    "RSEQ_FEATURE_SIZE",
    "RSEQ_FLAG_UNREGISTER",
    "SCM_MAX_FD",
    "SECBIT_KEEP_CAPS",
    "SECBIT_KEEP_CAPS_LOCKED",
    "SECBIT_NOROOT",
    "SECBIT_NO_CAP_AMBIENT_RAISE",
    "SECBIT_NO_SETUID_FIXUP",
    "SECURE_ALL_BITS",
    "SECURE_ALL_LOCKS",
    "SIG_DFL",
    "SIG_IGN",
    "SOCK_TYPE_MASK",
    "SOMAXCONN",
    "SYSLOG_ACTION_CLEAR",
    "SYSLOG_ACTION_CLOSE",
    "SYSLOG_ACTION_CONSOLE_LEVEL",
    "SYSLOG_ACTION_CONSOLE_OFF",
    "SYSLOG_ACTION_CONSOLE_ON",
    "SYSLOG_ACTION_OPEN",
    "SYSLOG_ACTION_READ",
    "SYSLOG_ACTION_READ_ALL",
    "SYSLOG_ACTION_READ_CLEAR",
    "SYSLOG_ACTION_SIZE_BUFFER",
    "SYSLOG_ACTION_SIZE_UNREAD",
    "TASK_NAME_LENGTH",
    "UC_FP_XSTATE",
    "UC_SIGCONTEXT_SS",
    "UC_STRICT_RESTORE_SS",
    "USER_HZ",
    "UTSNAME_LENGTH",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the crate") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_number_is_compared_with_a_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = ["numbers.rs", "layouts.rs", "tables.rs"]
        .map(|name| fs::read_to_string(root.join("tests").join(name)).expect("a test's source"));
    let named = |name: &str| {
        tests
            .iter()
            .any(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name))
    };
    let mut missing = Vec::new();
    for path in sources(&root.join("src")) {
        for line in fs::read_to_string(&path).expect("a source").lines() {
            if line.contains("&[(") {
                continue; // a table, whose entries other tests compare
            }
            let declared = line.strip_prefix("pub const ").or_else(|| line.strip_prefix("        const "));
            let Some((name, _)) = declared.and_then(|rest| rest.split_once([':', ' '])) else { continue };
            let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if is_name && !named(name) && !WITHOUT_HEADER.contains(&name) {
                missing.push(name.to_owned());
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
