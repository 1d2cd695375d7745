//! The open TCP connections of a node: all are read at once, none makes the node wait for long.

use std::future::poll_fn;
use std::mem::take;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A peer that takes no bytes for so long is gone.
const WRITE: Duration = Duration::from_millis(800);

struct Line {
    number: u32,
    stream: TcpStream,
    output: Vec<u8>,
}

/// Connections, each with a number that no other has had.
#[derive(Default)]
pub struct Lines {
    lines: Vec<Line>,
    last: u32,
}

impl Lines {
    /// Takes a connection; gives its number.
    pub fn add(&mut self, stream: TcpStream) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.lines.push(Line { number: self.last, stream, output: Vec::new() });
        self.last
    }

    /// What a connection says next: its number, and nothing when it is over. Pending while there are none.
    pub async fn heard(&mut self) -> (u32, Vec<u8>) {
        poll_fn(|context| {
            for line in &mut self.lines {
                let mut segment = [0; 1024];
                let mut buffer = ReadBuf::new(&mut segment);
                if let Poll::Ready(read) = Pin::new(&mut line.stream).poll_read(context, &mut buffer) {
                    let heard = read.map(|()| buffer.filled().to_vec()).unwrap_or_default();
                    return Poll::Ready((line.number, heard));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Closes all but these.
    pub fn keep(&mut self, mut is_kept: impl FnMut(u32) -> bool) {
        self.lines.retain(|line| is_kept(line.number));
    }

    /// Lets something be added to what each connection is to carry.
    pub fn each(&mut self, mut add: impl FnMut(u32, &mut Vec<u8>)) {
        self.lines.iter_mut().for_each(|line| add(line.number, &mut line.output));
    }

    /// Sends what there is; gives the connections that this has ended.
    pub async fn send(&mut self) -> Vec<u32> {
        let mut ended = Vec::new();
        for line in &mut self.lines {
            let output = take(&mut line.output);
            if !output.is_empty()
                && !matches!(timeout(WRITE, line.stream.write_all(&output)).await, Ok(Ok(())))
            {
                ended.push(line.number);
            }
        }
        self.keep(|number| !ended.contains(&number));
        ended
    }
}
