//! Requests written by hand, as no HTTP client would: unfinished, slow, or lying about their length.

use std::net::SocketAddr;

use hyper::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::client::{PATIENCE, Reply};

/// The head of a request to be.
#[must_use]
pub(crate) struct Raw {
    address: SocketAddr,
    asked: String,
    head: String,
}

impl Raw {
    /// A request for this.
    pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> Self {
        let asked = format!("{method} {path}");
        Self {
            head: format!("{asked} HTTP/1.1\r\nhost: {address}\r\n"),
            address,
            asked,
        }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// With this body, whose length is announced.
    pub(crate) async fn announced(self, body: &str) -> Reply {
        self.header("content-length", &body.len().to_string()).begun(body).await
    }

    /// With this body in pieces, and nobody says how many will come.
    pub(crate) async fn in_chunks(self, body: &str) -> Reply {
        let chunks = body.as_bytes().chunks(4_096).map(|chunk| {
            let text = String::from_utf8_lossy(chunk);
            format!("{:x}\r\n{text}\r\n", chunk.len())
        });
        let body = chunks.collect::<String>() + "0\r\n\r\n";
        self.header("transfer-encoding", "chunked").begun(&body).await
    }

    /// With these bytes, whatever the head says of them.
    pub(crate) async fn begun(self, bytes: &str) -> Reply {
        let Self { address, asked, head } = self;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        // The server may refuse before it has read all of it, and an answer may come while it is still being written.
        let writing = async {
            let _ = writer.write_all(bytes.as_bytes()).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            reply = timeout(PATIENCE, read(&mut reader, asked)) => reply.expect("an answer in time"),
            () = writing => unreachable!("it is pending for ever"),
        }
    }
}

/// Reads an answer whose body is JSON.
async fn read(stream: &mut (impl AsyncRead + Unpin), asked: String) -> Reply {
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let length = stream.read(&mut part).await.unwrap_or_default();
        answer.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && (length == 0 || serde_json::from_str::<Value>(body).is_ok())
        {
            return reply(asked, head, body);
        }
        assert_ne!(length, 0, "{asked}: the server hung up after {text:?}");
    }
}

fn reply(asked: String, head: &str, body: &str) -> Reply {
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status: StatusCode = status.unwrap_or_default().parse().unwrap();
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.parse().ok()?, value.trim().parse().ok()?))
    });
    Reply {
        asked,
        status: status.as_u16(),
        headers: headers.collect::<HeaderMap>(),
        body: body.to_owned().into(),
    }
}
