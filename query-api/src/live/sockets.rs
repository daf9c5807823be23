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
            && socket.outbox.try_send(what).is_err()
        {
            self.slow.push(id);
        }
    }

    /// Queues something for every socket whose id is in this part of all.
    pub(super) fn send_to_part(&mut self, what: &Outgoing, part: u64, parts: u64) {
        for (id, socket) in &mut self.all {
            if id % parts == part && socket.outbox.try_send(what.clone()).is_err() {
                self.slow.push(*id);
            }
        }
    }

    /// Those who could not keep up since this was last asked.
    pub(super) fn take_slow(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.slow)
    }
}
