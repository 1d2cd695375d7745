//! Counting in Rust sources: lines of code, and the word `unsafe`, comments and text left out.

use anyhow::{Context, Result};
use std::path::Path;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub lines: u64,
    pub unsafe_words: u64,
}

/// Counts in all sources under `folder` but the hosted machine's.
pub fn count(folder: &Path) -> Result<Count> {
    let mut total = Count::default();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "hosted") {
            continue;
        }
        let found = if path.is_dir() {
            count(&path)?
        } else {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            count_text(&text)
        };
        total.lines += found.lines;
        total.unsafe_words += found.unsafe_words;
    }
    Ok(total)
}

fn count_text(text: &str) -> Count {
    let code = without_comments_and_text(text);
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    Count {
        lines: code.lines().filter(|line| !line.trim().is_empty()).count() as u64,
        unsafe_words: code.split(|character| !is_word(character)).filter(|word| *word == "unsafe").count()
            as u64,
    }
}

/// The source with comments gone and the contents of strings gone. Raw strings with `#` and block comments within block
/// comments are not told apart further than this count needs.
fn without_comments_and_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if character == '"' {
            code.push('"');
            rest = after_string(&rest[1..]);
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    code
}

/// What follows the closing quote.
fn after_string(text: &str) -> &str {
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_text_and_longer_words_do_not_count_as_unsafe() {
        let source = "// unsafe\n/* unsafe */\nlet unsafe_code = \"unsafe \\\" unsafe\";\nlet quote = '\"'; unsafe { f() }\n\n";
        assert_eq!(count_text(source), Count { lines: 2, unsafe_words: 1 });
    }
}
