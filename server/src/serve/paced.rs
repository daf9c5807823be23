//! A stream on which the head of a request must come in time.
//!
//! hyper has one clock for waiting and for a slow head. Here they are two: a connection may wait for its next request as long as
//! connections are kept, but what has begun must be whole soon. A head that comes at once costs no timer.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// A head is being read, or the first one is waited for.
const HEAD: u8 = 0;
/// A request is being answered; or it is no HTTP any more.
const ANSWERING: u8 = 1;
/// Nothing of the next request is there.
const WAITING: u8 = 2;

/// The stream.
pub(super) struct Paced {
    stream: TcpStream,
    phase: Arc<AtomicU8>,
    head: Duration,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Where one says that a head is there.
#[derive(Clone)]
pub(super) struct Heads(Arc<AtomicU8>);

impl Paced {
    /// A new connection, whose first head must be there within `head`.
    pub(super) fn new(stream: TcpStream, head: Duration) -> (Self, Heads) {
        let phase = Arc::new(AtomicU8::new(HEAD));
        let heads = Heads(Arc::clone(&phase));
        let paced = Self {
            stream,
            phase,
            head,
            deadline: Instant::now() + head,
            timer: None,
        };
        (paced, heads)
    }

    /// Ready when the head that is being read should have been there.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(context)
    }
}

impl Heads {
    /// The answer to a request whose head is there now.
    pub(super) fn answered<E, F>(&self, answer: F) -> impl Future<Output = Result<Response, E>> + use<E, F>
    where
        F: Future<Output = Result<Response, E>>,
    {
        self.0.store(ANSWERING, Ordering::Relaxed);
        let phase = Arc::clone(&self.0);
        async move {
            let answer = answer.await;
            let is_http = !matches!(&answer, Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS);
            if is_http {
                phase.store(WAITING, Ordering::Relaxed);
            }
            answer
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, into) {
            Poll::Ready(read) => {
                if into.filled().len() > before && self.phase.load(Ordering::Relaxed) == WAITING {
                    self.deadline = Instant::now() + self.head;
                    self.phase.store(HEAD, Ordering::Relaxed);
                    self.timer = None;
                }
                Poll::Ready(read)
            }
            Poll::Pending if self.phase.load(Ordering::Relaxed) == HEAD => {
                ready!(self.poll_late(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the head of a request is too slow",
                )))
            }
            Poll::Pending => {
                self.timer = None;
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
