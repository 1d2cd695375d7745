//! Two outputs side by side: whether they are equal, and where they part when they are not.

use std::process::ExitStatus;

/// What a program wrote and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    pub output: Vec<u8>,
    pub status: ExitStatus,
}

/// The lines shown before the first that differs.
const CONTEXT: usize = 3;
/// The lines shown of each side from there.
const SHOWN: usize = 8;

/// The difference in words, or nothing when both are equal.
pub fn difference(linux: &Transcript, hob: &Transcript) -> Option<String> {
    if linux == hob {
        return None;
    }
    let mut text = String::new();
    if linux.status != hob.status {
        text.push_str(&format!("Linux: {}; Hob: {}\n", linux.status, hob.status));
    }
    if linux.output == hob.output {
        text.push_str("the output is equal\n");
        return Some(text);
    }
    let (left, right) = (lines(&linux.output), lines(&hob.output));
    let common = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
    text.push_str(&format!("the output differs from line {} on:\n", common + 1));
    for line in &left[common.saturating_sub(CONTEXT)..common] {
        text.push_str(&format!("          {line}\n"));
    }
    for (name, side) in [("Linux", &left), ("Hob", &right)] {
        let rest = side.get(common..).unwrap_or_default();
        rest.iter().take(SHOWN).for_each(|line| text.push_str(&format!("{name:>8}: {line}\n")));
        if rest.is_empty() {
            text.push_str(&format!("{name:>8}: (ends here)\n"));
        }
    }
    Some(text)
}

/// The lines with everything that is not printable shown as an escape.
fn lines(bytes: &[u8]) -> Vec<String> {
    bytes.split_inclusive(|&byte| byte == b'\n').map(|line| line.escape_ascii().to_string()).collect()
}

/// The last `count` lines of what a machine wrote, for a failure's message.
pub fn tail(bytes: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn transcript(output: &str, status: i32) -> Transcript {
        Transcript { output: output.into(), status: ExitStatus::from_raw(status) }
    }

    #[test]
    fn equal_transcripts_have_no_difference() {
        assert_eq!(difference(&transcript("a\n", 0), &transcript("a\n", 0)), None);
    }

    #[test]
    fn the_first_line_that_differs_is_named_with_both_sides() {
        let text = difference(&transcript("a\nb\nc\n", 0), &transcript("a\nx\nc\n", 0)).unwrap_or_default();
        assert!(text.contains("from line 2"), "{text}");
        assert!(text.contains("Linux: b\\n") && text.contains("Hob: x\\n"), "{text}");
    }

    #[test]
    fn a_missing_end_of_line_is_a_difference() {
        assert!(difference(&transcript("a\n", 0), &transcript("a", 0)).is_some());
        assert!(difference(&transcript("a\n", 0), &transcript("a\n", 11)).is_some());
    }
}
