//! Waiting for programs and files with a time limit.

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Waits until `file` can be read, at most for `limit`; returns whether it can.
pub fn wait_readable(file: &impl AsFd, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).context("a time limit out of range")?;
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the end of `child`, at most for `limit`; nothing when it still runs then.
pub fn wait_within(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).context("cannot watch a process")?;
    if !wait_readable(&end, limit)? {
        return Ok(None);
    }
    Ok(Some(child.wait().context("cannot wait for a process")?))
}

/// Ends `child` if it still runs.
pub fn end(child: &mut Child) {
    // Both fail only for a child that has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_program_that_runs_too_long_is_noticed_and_can_be_ended() -> Result<()> {
        let mut child = Command::new("sleep").arg("1000").spawn()?;
        assert_eq!(wait_within(&mut child, Duration::from_millis(20))?, None);
        end(&mut child);
        assert!(wait_within(&mut Command::new("true").spawn()?, Duration::from_secs(60))?.is_some());
        Ok(())
    }
}
