//! The sockets of this process, each with a bounded queue of what it is to be told.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use cocotalk_domain::id::{RoomId, UserId};
use futures_channel::mpsc;

/// A connection of this process.
pub(super) type SocketId = u64;

/// What the hub hands to a socket.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// Frames of one room, in order.
    Frames(Arc<[Utf8Bytes]>),
    /// One frame.
    Frame(Utf8Bytes),
    /// The heartbeat.
    Heartbeat(Utf8Bytes),
    /// The server goes away: come back after a moment.
    Reconnect,
}

/// A connected session.
pub(super) struct Socket {
    pub(super) user: UserId,
    pub(super) outbox: mpsc::Sender<Outgoing>,
    pub(super) rooms: Vec<RoomId>,
}

impl Socket {
    /// Queues something. Whether there was room; if not, nothing is queued any more: what came after it would show a hole to a
    /// client that catches up at that moment, before it is let go.
    fn queue(&mut self, what: Outgoing) -> bool {
        let has_room = self.outbox.try_send(what).is_ok();
        if !has_room {
            self.outbox.close_channel();
        }
        has_room
    }
}

/// The connected sessions. Whoever cannot keep up is noted as slow, and is for the caller to let go.
#[derive(Default)]
pub(super) struct Sockets {
    all: HashMap<SocketId, Socket>,
    slow: Vec<SocketId>,
}

impl Sockets {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.all.get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: SocketId, socket: Socket) {
        self.all.insert(id, socket);
    }

    pub(super) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        self.all.remove(&id)
    }

    /// Queues something for one socket.
    pub(super) fn send(&mut self, id: SocketId, what: Outgoing) {
        if let Some(socket) = self.all.get_mut(&id)
            && !socket.queue(what)
        {
            self.slow.push(id);
        }
    }

    /// Queues something for every socket whose id is in this part of all.
    pub(super) fn send_to_part(&mut self, what: &Outgoing, part: u64, parts: u64) {
        for (id, socket) in &mut self.all {
            if id % parts == part && !socket.queue(what.clone()) {
                self.slow.push(*id);
            }
        }
    }

    /// Those who could not keep up since this was last asked.
    pub(super) fn take_slow(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Outgoing {
        Outgoing::Frame(Utf8Bytes::from_static(text))
    }

    #[test]
    fn whoever_catches_up_too_late_is_told_nothing_after_the_first_thing_that_was_lost() {
        let (outbox, mut told) = mpsc::channel(1);
        let mut sockets = Sockets::default();
        let (user, rooms) = (UserId::from_u128(1), Vec::new());
        sockets.insert(7, Socket { user, outbox, rooms });
        let mut next = || told.try_recv().map(|outgoing| format!("{outgoing:?}"));
        let shown = |text| format!("{:?}", frame(text));
        for text in ["1", "2", "3"] {
            sockets.send(7, frame(text));
        }
        assert_eq!(next().ok(), Some(shown("1")));
        sockets.send(7, frame("4"));
        sockets.send_to_part(&frame("5"), 0, 1);
        assert_eq!(next().ok(), Some(shown("2")));
        assert!(next().is_err(), "3 was lost, so 4 and 5 must not be there");
        let slow = sockets.take_slow();
        assert!(!slow.is_empty() && slow.iter().all(|id| *id == 7), "{slow:?}");
    }
}
