//! A lean WebSocket client: the handshake by hand, frames cut out of one read buffer, nothing copied.
//!
//! It speaks what the driver needs and no more: whole text frames from the server, small text frames to it, pings
//! answered. Frames of the client are masked with zero, which the protocol permits and which costs nothing; masks protect
//! against proxies, and there are none on the loopback.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::scan;

/// No frame of the contract is near this; one that is ends the run.
const LONGEST_FRAME_BYTES: usize = 1 << 20;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A socket that was told `ready`.
#[derive(Debug)]
pub(crate) struct LiveSocket {
    stream: TcpStream,
    buffer: Vec<u8>,
    unread: Range<usize>,
}

impl LiveSocket {
    /// Connects, says hello and waits for `ready`. `buffer_bytes` is what one read may bring.
    pub(crate) async fn open(address: SocketAddr, token: &str, buffer_bytes: usize) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let mut socket = Self {
            stream,
            buffer: vec![0; buffer_bytes.max(1_024)],
            unread: 0..0,
        };
        socket.upgrade(address).await?;
        socket
            .send(TEXT, format!(r#"{{"op":"hello","token":"{token}"}}"#).as_bytes())
            .await?;
        loop {
            if let Some(frame) = socket.next()? {
                let text = socket.text(&frame);
                if frame.opcode == TEXT && scan::head(text).op == b"ready" {
                    return Ok(socket);
                }
                ensure!(frame.opcode == TEXT, "closed before ready: {}", describe_close(text));
                bail!("expected ready, got {}", String::from_utf8_lossy(text));
            }
            socket.fill().await?;
        }
    }

    async fn upgrade(&mut self, address: SocketAddr) -> Result<()> {
        let request = format!(
            "GET /v1/live HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.stream
            .write_all(request.as_bytes())
            .await
            .context("cannot ask for the upgrade")?;
        loop {
            self.fill().await?;
            let received = &self.buffer[self.unread.clone()];
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&received[..end]);
                ensure!(
                    head.starts_with("HTTP/1.1 101"),
                    "no upgrade: {}",
                    head.lines().next().unwrap_or_default()
                );
                self.unread.start += end + 4;
                return Ok(());
            }
        }
    }

    /// Waits for bytes and takes what one read brings. Safe to cancel.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.end == self.buffer.len() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            if self.unread.end == self.buffer.len() {
                ensure!(
                    self.buffer.len() < LONGEST_FRAME_BYTES,
                    "a frame of more than {LONGEST_FRAME_BYTES} bytes"
                );
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let count = self
            .stream
            .read(&mut self.buffer[self.unread.end..])
            .await
            .context("cannot read the socket")?;
        ensure!(count > 0, "the server cut the connection");
        self.unread.end += count;
        Ok(())
    }

    /// The next whole frame that was received; none until `fill` brought more.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        let Some((opcode, payload)) = cut(&self.buffer[self.unread.clone()])? else {
            return Ok(None);
        };
        let payload = self.unread.start + payload.start..self.unread.start + payload.end;
        self.unread.start = payload.end;
        Ok(Some(Frame { opcode, payload }))
    }

    /// The bytes of a frame, valid until the next `fill`.
    pub(crate) fn text(&self, frame: &Frame) -> &[u8] {
        &self.buffer[frame.payload.clone()]
    }

    /// Answers what the connection itself asks; says whether the frame is one of the contract.
    pub(crate) async fn attend(&mut self, frame: &Frame) -> Result<bool> {
        match frame.opcode {
            TEXT => Ok(true),
            CLOSE => bail!("closed: {}", describe_close(self.text(frame))),
            PING => {
                let payload = self.text(frame).to_vec();
                self.send(PONG, &payload).await?;
                Ok(false)
            }
            PONG => Ok(false),
            other => bail!("a frame of kind {other}, which the contract does not know"),
        }
    }

    /// Says that this client is alive, which an idle one must.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        self.send(TEXT, br#"{"op":"ping"}"#).await
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 8);
        frame.push(0x80 | opcode);
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length),
            _ => {
                let length = u16::try_from(payload.len()).context("a client frame of more than 64 KiB")?;
                frame.push(0x80 | 0x7E);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await.context("cannot write the socket")
    }
}

/// One frame of the server, by its place in the buffer.
#[derive(Debug)]
pub(crate) struct Frame {
    opcode: u8,
    payload: Range<usize>,
}

/// The kind and the payload's place of the frame that `bytes` starts with, if it is whole.
fn cut(bytes: &[u8]) -> Result<Option<(u8, Range<usize>)>> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    ensure!(first & 0x80 != 0, "the server fragmented a frame");
    ensure!(first & 0x70 == 0, "the server used an extension nobody asked for");
    ensure!(second & 0x80 == 0, "the server masked a frame");
    let (start, length) = match second & 0x7F {
        126 => match rest.first_chunk() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        length => (2, u64::from(length)),
    };
    ensure!(length <= LONGEST_FRAME_BYTES as u64, "a frame of {length} bytes");
    let payload = start..start + length as usize;
    Ok((payload.end <= bytes.len()).then_some((first & 0x0F, payload)))
}

fn describe_close(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        Some((code, reason)) => format!("{} {}", u16::from_be_bytes(*code), String::from_utf8_lossy(reason)),
        None => "without a code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn frames_are_cut_at_every_length() {
        assert_eq!(cut(&[]).unwrap(), None);
        assert_eq!(cut(&[0x81]).unwrap(), None);
        assert_eq!(cut(&[0x81, 2, b'h']).unwrap(), None);
        assert_eq!(cut(&[0x81, 2, b'h', b'i', 0x81]).unwrap(), Some((TEXT, 2..4)));
        let mut medium = vec![0x81, 126, 1, 0];
        assert_eq!(cut(&medium[..3]).unwrap(), None);
        medium.extend([b'x'; 256]);
        assert_eq!(cut(&medium).unwrap(), Some((TEXT, 4..260)));
        let mut long = vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        long.extend(vec![b'x'; 65_536]);
        assert_eq!(cut(&long).unwrap(), Some((TEXT, 10..65_546)));
    }

    #[test]
    fn what_the_contract_does_not_know_is_refused() {
        assert!(cut(&[0x01, 0]).is_err(), "a fragment");
        assert!(cut(&[0xC1, 0]).is_err(), "compressed");
        assert!(cut(&[0x81, 0x80, 0, 0, 0, 0]).is_err(), "masked");
        assert!(cut(&[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0]).is_err(), "absurdly long");
        assert_eq!(describe_close(&[0x0F, 0xA9, b's', b'l', b'o', b'w']), "4009 slow");
    }

    #[tokio::test]
    async fn a_conversation() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = vec![0; 4_096];
            let _ = stream.read(&mut received).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                .await
                .unwrap();
            let hello = stream.read(&mut received).await.unwrap();
            assert_eq!(&received[6..hello], br#"{"op":"hello","token":"abc"}"#);
            let mut frames = vec![0x81, 14];
            frames.extend(br#"{"op":"ready"}"#);
            frames.extend([0x89, 1, b'p']);
            let mut event = vec![0x81, 126, 0x20, 0];
            event.extend(vec![b'y'; 0x2000]);
            frames.extend(&event);
            stream.write_all(&frames).await.unwrap();
            let pong = stream.read(&mut received).await.unwrap();
            assert_eq!(&received[..pong], [0x8A, 0x81, 0, 0, 0, 0, b'p']);
        };
        let client = async {
            let mut socket = LiveSocket::open(address, "abc", 1_024).await.unwrap();
            let mut longest = 0;
            while longest < 0x2000 {
                while let Some(frame) = socket.next().unwrap() {
                    if socket.attend(&frame).await.unwrap() {
                        longest = longest.max(socket.text(&frame).len());
                    }
                }
                if longest < 0x2000 {
                    socket.fill().await.unwrap();
                }
            }
        };
        tokio::join!(server, client);
    }
}
