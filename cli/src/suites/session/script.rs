//! The language of session scripts: one step a line.
//!
//! | step | meaning |
//! |---|---|
//! | `# TEXT` | a comment |
//! | `run OPTION...` | options of `./hob run`, before anything else |
//! | `see TEXT` | wait until TEXT appears behind what was seen last |
//! | `type TEXT` | type TEXT and Enter |
//! | `keys TEXT` | type TEXT alone |
//! | `press KEY` | one key: `ctrl-c`, `enter`, `tab`, `escape`, `backspace`, `up`, `down`, `left`, `right`,
//! | | `home`, `end` |
//! | `resize ROWS COLUMNS` | the user changes the window |
//! | `ends STATUS` | the program ends with this status and leaves the terminal as it was |
//!
//! In TEXT `\s` stands for a space and `\n` for the end of a line, where one must be seen or typed at the end.

use anyhow::{Context, Result, bail};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    See(String),
    Type(String),
    Resize { rows: u16, columns: u16 },
    Ends(i32),
}

/// A script: options of `./hob run`, then steps with their line numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    pub options: Vec<String>,
    pub steps: Vec<(usize, Step)>,
}

impl Script {
    /// Reads a script. An error names the line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut script = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            if verb == "run" {
                script.options.extend(rest.split_whitespace().map(str::to_owned));
                continue;
            }
            let step = parse_step(verb, rest).with_context(|| format!("line {number}: {line}"))?;
            script.steps.push((number, step));
        }
        if !matches!(script.steps.last(), Some((_, Step::Ends(_)))) {
            bail!("a session must come to its end: the last step is 'ends STATUS'");
        }
        Ok(script)
    }
}

fn parse_step(verb: &str, rest: &str) -> Result<Step> {
    Ok(match verb {
        "see" if !rest.is_empty() => Step::See(unescape(rest)),
        "type" => Step::Type(format!("{}\r", unescape(rest))),
        "keys" => Step::Type(unescape(rest)),
        "press" => Step::Type(key(rest)?),
        "resize" => {
            let (rows, columns) = rest.split_once(' ').context("expected resize ROWS COLUMNS")?;
            Step::Resize { rows: rows.parse()?, columns: columns.parse()? }
        }
        "ends" => Step::Ends(rest.parse().context("expected ends STATUS")?),
        _ => bail!("expected see, type, keys, press, resize or ends"),
    })
}

fn unescape(text: &str) -> String {
    text.replace("\\s", " ").replace("\\n", "\n")
}

/// What a terminal sends for a key.
fn key(name: &str) -> Result<String> {
    if let Some(letter) = name.strip_prefix("ctrl-").and_then(|rest| rest.chars().next()) {
        return Ok(char::from(letter.to_ascii_lowercase() as u8 & 0x1f).to_string());
    }
    Ok(match name {
        "enter" => "\r",
        "tab" => "\t",
        "escape" => "\x1b",
        "backspace" => "\x7f",
        "up" => "\x1b[A",
        "down" => "\x1b[B",
        "right" => "\x1b[C",
        "left" => "\x1b[D",
        "home" => "\x1b[H",
        "end" => "\x1b[F",
        _ => bail!("there is no key named '{name}'"),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_step_by_step() -> Result<()> {
        let script =
            Script::parse("# a test\nrun --smp 2\nsee #\\s\ntype ls\npress ctrl-z\nresize 10 20\nends 0\n")?;
        assert_eq!(script.options, ["--smp", "2"]);
        let steps: Vec<_> = script.steps.into_iter().map(|(_, step)| step).collect();
        assert_eq!(
            steps,
            [
                Step::See("# ".into()),
                Step::Type("ls\r".into()),
                Step::Type("\x1a".into()),
                Step::Resize { rows: 10, columns: 20 },
                Step::Ends(0),
            ]
        );
        Ok(())
    }

    #[test]
    fn a_wrong_step_is_refused_with_its_line() {
        let error = Script::parse("type ls\npress any\nends 0").map_err(|error| format!("{error:#}"));
        assert!(error.is_err_and(|error| error.contains("line 2")));
        assert!(Script::parse("type ls").is_err());
    }
}
