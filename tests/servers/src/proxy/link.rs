//! One connection through the proxy: a client, a server, and what is on its way between them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::Inner;

/// What is read at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Pieces that may be on their way in one direction; with more, nothing is read until some have arrived.
const PIECES: usize = 1_024;

/// Both ends of a connection.
pub(super) struct Link {
    client: TcpStream,
    /// Absent if it goes nowhere.
    server: Option<TcpStream>,
    /// Whether something was taken and not passed on.
    lost: AtomicBool,
    gone: Mutex<bool>,
    bell: Condvar,
}

/// Bytes on their way, or the end of them.
struct Piece {
    due: Instant,
    /// Empty: the sender sends no more.
    bytes: Vec<u8>,
}

impl Link {
    pub(super) fn between(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        // It is the proxy that decides on delays.
        server.set_nodelay(true)?;
        Self::new(client, Some(server))
    }

    pub(super) fn to_nowhere(client: TcpStream) -> io::Result<Self> {
        Self::new(client, None)
    }

    fn new(client: TcpStream, server: Option<TcpStream>) -> io::Result<Self> {
        client.set_nodelay(true)?;
        Ok(Self {
            lost: AtomicBool::new(server.is_none()),
            client,
            server,
            gone: Mutex::new(false),
            bell: Condvar::new(),
        })
    }

    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends both connections, whatever is on its way.
    pub(super) fn cut(&self) {
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
        // Ends that are closed already are no worse for it.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.as_ref().map(|server| server.shutdown(Shutdown::Both));
    }

    /// Passes everything on until both directions have ended.
    pub(super) fn run(&self, proxy: &Arc<Inner>, number: u64) {
        match &self.server {
            None => self.read_all(proxy, &self.client, None),
            Some(server) => std::thread::scope(|scope| {
                scope.spawn(|| self.direct(proxy, &self.client, server));
                self.direct(proxy, server, &self.client);
            }),
        }
        // One that swallowed its end stays, unended, until it is healed or cut.
        if !self.has_lost() {
            proxy.forget(number);
        }
    }

    /// One direction.
    fn direct(&self, proxy: &Inner, from: &TcpStream, to: &TcpStream) {
        let (sender, pieces) = sync_channel(PIECES);
        std::thread::scope(|scope| {
            scope.spawn(|| self.write_all(proxy, to, pieces));
            self.read_all(proxy, from, Some(&sender));
            // Nothing more will be on its way: the writer ends when all has arrived.
            drop(sender);
        });
    }

    fn read_all(&self, proxy: &Inner, mut from: &TcpStream, pieces: Option<&SyncSender<Piece>>) {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut due = Instant::now();
        loop {
            let read = from.read(&mut buffer);
            let Some(pieces) = pieces.filter(|_| !proxy.is_swallowing()) else {
                self.lost.store(true, Ordering::Relaxed);
                match read {
                    Ok(length) if length > 0 => continue,
                    Ok(_) | Err(_) => return,
                }
            };
            let Ok(length) = read else { return self.cut() };
            // In order: nothing overtakes what was sent before it.
            due = due.max(Instant::now() + proxy.next_delay());
            let piece = Piece {
                due,
                bytes: buffer[..length].to_vec(),
            };
            if pieces.send(piece).is_err() || length == 0 {
                return;
            }
        }
    }

    fn write_all(&self, proxy: &Inner, mut to: &TcpStream, pieces: Receiver<Piece>) {
        for Piece { due, bytes } in pieces {
            if self.is_gone_before(due) {
                return;
            }
            if proxy.is_swallowing() {
                self.lost.store(true, Ordering::Relaxed);
            } else if bytes.is_empty() {
                let _ = to.shutdown(Shutdown::Write);
            } else if to.write_all(&bytes).is_err() {
                return self.cut();
            } else {
                proxy.count_bytes(bytes.len());
            }
        }
    }

    /// Waits until then; true if the connection is cut first.
    fn is_gone_before(&self, due: Instant) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let left = due.saturating_duration_since(Instant::now());
        let waited = self.bell.wait_timeout_while(gone, left, |gone| !*gone);
        let (gone, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *gone
    }
}
