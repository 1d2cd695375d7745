//! The first line of a script: `#!interpreter argument` (execve(2), "Interpreter scripts").

use abi::Errno;

/// Bytes of a file that execve(2) looks at (Linux: BINPRM_BUF_SIZE).
pub const HEAD_LEN: usize = 256;

/// The interpreter that a script names, and the one argument that may follow.
#[derive(Debug, PartialEq, Eq)]
pub struct Interpreter<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// All that follows on the line, as one argument.
    pub argument: Option<&'a [u8]>,
}

/// Reads the first line of `head`, the beginning of a file; `None` when it is no script. A name that is cut off by the end of the buffer is ENOEXEC, as it might be another program.
pub fn parse(head: &[u8]) -> Option<Result<Interpreter<'_>, Errno>> {
    let rest = head.strip_prefix(b"#!")?;
    Some(parse_line(rest, head.len() >= HEAD_LEN))
}

fn parse_line(rest: &[u8], may_be_cut: bool) -> Result<Interpreter<'_>, Errno> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = rest.iter().position(|&byte| byte == b'\n');
    let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    let line = line.trim_ascii();
    let split = line.iter().position(|byte| is_blank(byte) || *byte == 0);
    if end.is_none() && may_be_cut && split.is_none() {
        return Err(Errno::ENOEXEC);
    }
    let (path, argument) = line.split_at(split.unwrap_or(line.len()));
    let argument = argument.trim_ascii();
    let argument = argument.split(|&byte| byte == 0).next().unwrap_or_default();
    if path.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    Ok(Interpreter { path, argument: (!argument.is_empty()).then_some(argument) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        let parsed = parse(b"#! /usr/bin/env  python3 -u \necho").unwrap().unwrap();
        assert_eq!(parsed, Interpreter { path: b"/usr/bin/env", argument: Some(b"python3 -u") });
    }

    #[test]
    fn a_script_may_end_without_a_newline() {
        let parsed = parse(b"#!/bin/sh").unwrap().unwrap();
        assert_eq!(parsed, Interpreter { path: b"/bin/sh", argument: None });
    }

    #[test]
    fn a_line_with_no_interpreter_is_no_program() {
        assert_eq!(parse(b"#!\n"), Some(Err(Errno::ENOEXEC)));
        assert_eq!(parse(b"#!   \t \n"), Some(Err(Errno::ENOEXEC)));
    }

    #[test]
    fn a_name_cut_off_by_the_buffer_is_no_program() {
        let mut head = vec![b'a'; HEAD_LEN];
        head[..2].copy_from_slice(b"#!");
        assert_eq!(parse(&head), Some(Err(Errno::ENOEXEC)));
    }

    #[test]
    fn other_files_are_no_scripts() {
        assert_eq!(parse(b"\x7fELF"), None);
        assert_eq!(parse(b""), None);
    }
}
