//! What a machine says of itself on its second serial port: a line protocol, described in docs/testing.md.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How one test of a test kernel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    Skip,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// `hob-report VERSION`, the first line.
    Version(u32),
    /// `begin NAME`: a test starts.
    Begin(String),
    /// `result NAME pass|fail|skip MESSAGE`: a test ended.
    Result { name: String, verdict: Verdict, message: String },
    /// `refused MESSAGE`: the job could not be started.
    Refused(String),
    /// `input`: the job takes what the host passes on as standard input.
    Input,
    /// `exit STATUS`: the job ended with this status of wait(2).
    Exit(i32),
    /// `counter NAME VALUE`.
    Counter { name: String, value: i64 },
    /// `log TEXT`: a line of the kernel's log.
    Log(String),
    /// `panic MESSAGE`: the kernel found a bug of its own and stops.
    Panic(String),
    /// `end`: nothing follows.
    End,
    /// A line of no known form: kept, so that a broken report is seen.
    Unknown(String),
}

impl Record {
    /// Reads one line. Carriage returns are passed over: a terminal in the guest may add them.
    pub fn parse(line: &str) -> Self {
        let line = line.trim_matches(['\r', '\n']);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let unknown = || Self::Unknown(line.to_owned());
        match word {
            "hob-report" => rest.parse().map_or_else(|_| unknown(), Self::Version),
            "begin" => Self::Begin(rest.to_owned()),
            "result" => parse_result(rest).unwrap_or_else(unknown),
            "input" if rest.is_empty() => Self::Input,
            "exit" => rest.parse().map_or_else(|_| unknown(), Self::Exit),
            "counter" => parse_counter(rest).unwrap_or_else(unknown),
            "refused" => Self::Refused(rest.to_owned()),
            "log" => Self::Log(rest.to_owned()),
            "panic" => Self::Panic(rest.to_owned()),
            "end" => Self::End,
            _ => unknown(),
        }
    }
}

fn parse_result(rest: &str) -> Option<Record> {
    let mut parts = rest.splitn(3, ' ');
    let name = parts.next()?.to_owned();
    let verdict = match parts.next()? {
        "pass" => Verdict::Pass,
        "fail" => Verdict::Fail,
        "skip" => Verdict::Skip,
        _ => return None,
    };
    Some(Record::Result { name, verdict, message: parts.next().unwrap_or("").to_owned() })
}

fn parse_counter(rest: &str) -> Option<Record> {
    let (name, value) = rest.split_once(' ')?;
    Some(Record::Counter { name: name.to_owned(), value: value.parse().ok()? })
}

/// Everything that one machine reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    records: Vec<Record>,
}

impl Report {
    /// Adds the next record.
    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// The records in the order in which they came.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How the job ended, when it did.
    pub fn exit(&self) -> Option<ExitStatus> {
        self.records.iter().find_map(|record| match record {
            Record::Exit(status) => Some(ExitStatus::from_raw(*status)),
            _ => None,
        })
    }

    /// Why the job could not be started, when it could not.
    pub fn refusal(&self) -> Option<&str> {
        self.records.iter().find_map(|record| match record {
            Record::Refused(message) => Some(message.as_str()),
            _ => None,
        })
    }

    /// The message of the kernel's panic, when there was one.
    pub fn panic(&self) -> Option<&str> {
        self.records.iter().find_map(|record| match record {
            Record::Panic(message) => Some(message.as_str()),
            _ => None,
        })
    }

    /// The last value of a counter.
    pub fn counter(&self, wanted: &str) -> Option<i64> {
        self.records.iter().rev().find_map(|record| match record {
            Record::Counter { name, value } if name == wanted => Some(*value),
            _ => None,
        })
    }

    /// The kernel's log, line by line.
    pub fn log(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| match record {
            Record::Log(text) => Some(text.as_str()),
            Record::Panic(text) => Some(text.as_str()),
            Record::Unknown(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Whether the report came to its own end.
    pub fn is_complete(&self) -> bool {
        self.records.contains(&Record::End)
    }
}

/// The exit status that a shell would show for `status`: the code, or 128 + the signal.
pub fn shell_status(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read() {
        assert_eq!(Record::parse("hob-report 1\r\n"), Record::Version(1));
        assert_eq!(Record::parse("begin frames"), Record::Begin("frames".into()));
        let message = "expected 1 got 2".to_owned();
        assert_eq!(
            Record::parse("result frames fail expected 1 got 2"),
            Record::Result { name: "frames".into(), verdict: Verdict::Fail, message }
        );
        assert_eq!(Record::parse("refused /x: no"), Record::Refused("/x: no".into()));
        assert_eq!(Record::parse("exit 256"), Record::Exit(256));
        assert_eq!(
            Record::parse("counter frames-leaked -3"),
            Record::Counter { name: "frames-leaked".into(), value: -3 }
        );
        assert_eq!(Record::parse("panic oh no"), Record::Panic("oh no".into()));
        assert_eq!(Record::parse("end"), Record::End);
    }

    #[test]
    fn a_line_of_the_wrong_form_is_kept_as_unknown() {
        for line in ["exit soon", "result a", "result a maybe", "counter x", "what", "hob-report one"] {
            assert_eq!(Record::parse(line), Record::Unknown(line.into()));
        }
    }

    #[test]
    fn a_wait_status_becomes_what_a_shell_shows() {
        assert_eq!(shell_status(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(shell_status(ExitStatus::from_raw(11)), 139);
        assert_eq!(shell_status(ExitStatus::from_raw(11 | 0x80)), 139);
    }
}
