//! The machine's job: one program that the kernel starts as process 1, and whose end is the end of the machine.
//!
//! Hob reads it from the file named by `hob.job=` on the kernel's command line. The file is a sequence of fields, each
//! ended by a zero byte: `hob-job 1`, the working directory, the file that is standard input (empty: the console; `host:`:
//! what the host passes on), the console's first mode (`raw` or `cooked`), the number of arguments, the arguments, the number of environment entries,
//! the entries as `NAME=VALUE`. No field needs quoting, and an argument may be empty.

use std::fmt::Write;

/// Where the job lies in the initramfs, without the leading slash.
pub const PATH: &str = "etc/hob/job";
/// Where the bytes of the job's standard input lie.
pub const INPUT_PATH: &str = "etc/hob/input";
const INPUT_FILE: &str = "/etc/hob/input";
/// Where the script lies that starts the job on a kernel which does not know `hob.job=`.
pub const SCRIPT_PATH: &str = "etc/hob/start";

/// Where a job's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The console, as the standard output.
    Console,
    /// These bytes, in a file.
    Bytes(Vec<u8>),
    /// The host: it passes its own on while the job runs. Only Hob knows this.
    Host,
}

/// A program to run with its arguments and its whole environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The working directory.
    pub folder: String,
    /// Standard input.
    pub input: Input,
    /// The console passes every byte unchanged, as cfmakeraw(3) sets it; otherwise it edits lines and echoes.
    pub is_console_raw: bool,
    /// The program and its arguments. A program without a slash is looked up in the environment's PATH.
    pub arguments: Vec<String>,
    /// `NAME=VALUE` each.
    pub environment: Vec<String>,
}

impl Job {
    /// A job in `/` with the environment of a login as root.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            folder: "/".into(),
            input: Input::Console,
            is_console_raw: true,
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: vec![
                "PATH=/bin:/sbin:/usr/bin:/usr/sbin".into(),
                "HOME=/root".into(),
                "TERM=linux".into(),
            ],
        }
    }

    /// The bytes of the job file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut field = |text: &str| {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        };
        field("hob-job 1");
        field(&self.folder);
        field(match self.input {
            Input::Console => "",
            Input::Bytes(_) => INPUT_FILE,
            Input::Host => "host:",
        });
        field(if self.is_console_raw { "raw" } else { "cooked" });
        for list in [&self.arguments, &self.environment] {
            field(&list.len().to_string());
            list.iter().for_each(|entry| field(entry));
        }
        bytes
    }

    /// A shell script that does as process 1 of any Linux what Hob does with the job file: mounts, a console that
    /// passes bytes unchanged, the report on the second serial port, and the end of the machine.
    pub fn script(&self) -> String {
        let mut script = String::from(
            "#!/bin/sh\n# Starts the job on a kernel that does not know hob.job=.\n\
             PATH=/bin:/sbin:/usr/bin:/usr/sbin\n/etc/init.d/rcS\n\
             exec </dev/ttyS0 >/dev/ttyS0 2>&1\nstty -F /dev/ttyS1 raw -echo\n",
        );
        if self.is_console_raw {
            script.push_str("stty raw -echo\n");
        }
        let _ = writeln!(script, "cd {}", quote(&self.folder));
        script.push_str("env -i");
        for entry in &self.environment {
            let _ = write!(script, " {}", quote(entry));
        }
        script.push_str(" setsid -c");
        for argument in &self.arguments {
            let _ = write!(script, " {}", quote(argument));
        }
        if let Input::Bytes(_) = self.input {
            let _ = write!(script, " <{INPUT_FILE}");
        }
        // A shell's status says 128 + the signal; wait(2) has the signal in the low byte and the status above it.
        script.push_str(
            "\nstatus=$?\nif [ $status -gt 128 ]; then status=$((status - 128)); else status=$((status * 256)); fi\n\
             printf 'hob-report 1\\nexit %s\\nend\\n' $status >/dev/ttyS1\n\
             echo 0 >/proc/sys/kernel/printk\npoweroff -f\n",
        );
        script
    }
}

/// `text` as one word of the shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_file_keeps_empty_arguments_spaces_and_quotes() {
        let job = Job {
            folder: "/tmp".into(),
            input: Input::Console,
            is_console_raw: false,
            arguments: vec!["echo".into(), String::new(), "a 'b' \"c\"\n".into()],
            environment: vec!["A=1 2".into()],
        };
        assert_eq!(job.encode(), b"hob-job 1\0/tmp\0\0cooked\x003\0echo\0\0a 'b' \"c\"\n\x001\0A=1 2\0");
    }

    #[test]
    fn a_quote_inside_a_word_survives_the_shell() {
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s {}", quote("it's $HOME `x`\\"))])
            .output();
        assert_eq!(output.map(|output| output.stdout).ok(), Some(b"it's $HOME `x`\\".to_vec()));
    }
}
