//! Pipes: their capacity, whole records from several writers, both ends' closing, non-blocking ends, SIGPIPE.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{read, write};
use rustix::pipe::{PIPE_BUF, PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe, pipe_with};
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

fn main() -> io::Result<()> {
    capacity()?;
    closing()?;
    packets()?;
    records()?;
    broken()
}

/// How much fits, and how much must be taken out before more does.
fn capacity() -> io::Result<()> {
    let (reader, writer) = pipe_with(PipeFlags::NONBLOCK)?;
    println!("empty: {:?}", read(&reader, &mut [0; 1]));
    println!("capacity: {}", fcntl_getpipe_size(&writer)?);
    let mut total = 0;
    let end = loop {
        match write(&writer, &[7; 5000]) {
            Ok(count) => total += count,
            Err(error) => break error,
        }
    };
    println!("filled with {total}, then {end:?}");
    println!("nothing is written to a full pipe: {:?}", write(&writer, &[]));
    let mut content = vec![0; total];
    println!("taken: {:?}", read(&reader, &mut content));
    println!("in order: {}", content.iter().all(|&byte| byte == 7));
    println!("grown: {:?}", fcntl_setpipe_size(&writer, 200_000));
    println!("one write: {:?}", write(&writer, &[1; 300_000]));
    println!("shrunk below its content: {:?}", fcntl_setpipe_size(&writer, 4096));
    Ok(())
}

fn closing() -> io::Result<()> {
    let (reader, writer) = pipe()?;
    println!("written: {:?}", write(&writer, b"rest"));
    drop(writer);
    let mut buffer = [0; 16];
    println!("rest: {:?}, end: {:?}", read(&reader, &mut buffer), read(&reader, &mut buffer));
    let mut descriptors = [PollFd::new(&reader, PollFlags::IN)];
    println!("poll: {:?} {:?}", poll(&mut descriptors, None), descriptors[0].revents());
    let (reader, writer) = pipe()?;
    println!("the wrong ends: {:?} {:?}", write(&reader, b"x"), read(&writer, &mut buffer));
    drop(reader);
    println!("no reader: {:?}", write(&writer, b"x"));
    let mut descriptors = [PollFd::new(&writer, PollFlags::OUT)];
    println!("poll: {:?} {:?}", poll(&mut descriptors, None), descriptors[0].revents());
    Ok(())
}

/// O_DIRECT keeps writes apart; what a read leaves of a packet is lost.
fn packets() -> io::Result<()> {
    let (reader, writer) = pipe_with(PipeFlags::DIRECT)?;
    for packet in [&b"first"[..], b"second", b"3"] {
        write(&writer, packet)?;
    }
    let mut buffer = [0; 3];
    for _ in 0..3 {
        let count = read(&reader, &mut buffer)?;
        println!("packet: {}", buffer[..count].escape_ascii());
    }
    fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    println!("after the packets: {:?}", read(&reader, &mut buffer));
    Ok(())
}

/// Writes of PIPE_BUF bytes and less are never mixed, however many write.
fn records() -> io::Result<()> {
    const ROUNDS: usize = 64;
    let (reader, writer) = io::pipe()?;
    let mut reader = io::BufReader::with_capacity(3000, reader);
    let mut whole = 0;
    std::thread::scope(|scope| -> io::Result<()> {
        for number in 1..=4_u8 {
            let writer = writer.try_clone()?;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    assert_eq!(write(&writer, &[number; PIPE_BUF]), Ok(PIPE_BUF));
                }
            });
        }
        drop(writer);
        let mut record = [0; PIPE_BUF];
        while reader.read_exact(&mut record).is_ok() {
            whole += usize::from(record.iter().all(|&byte| byte == record[0]));
        }
        Ok(())
    })?;
    println!("whole records: {whole} of {}", 4 * ROUNDS);
    Ok(())
}

/// A program that writes without end is ended by SIGPIPE; one that ignores it sees EPIPE.
fn broken() -> io::Result<()> {
    let mut child = Command::new("/bin/busybox").arg("yes").stdout(Stdio::piped()).spawn()?;
    let mut start = [0; 8];
    if let Some(mut output) = child.stdout.take() {
        output.read_exact(&mut start)?;
    }
    println!("read {}, then ended by signal {:?}", start.escape_ascii(), child.wait()?.signal());
    let (reader, writer) = pipe()?;
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            loop {
                if let Err(error) = write(&writer, &[0; 4096]) {
                    break error;
                }
            }
        });
        let mut buffer = [0; 4096];
        for _ in 0..20 {
            assert!(read(&reader, &mut buffer).is_ok());
        }
        drop(reader);
        println!("a writer that was waiting: {:?}", blocked.join().ok());
    });
    Ok(())
}
