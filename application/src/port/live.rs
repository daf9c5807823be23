//! What was committed, as it is committed; and what is never stored.

use std::sync::Arc;

use cocotalk_domain::id::{RoomId, UserId};
use tokio::sync::broadcast;

use crate::port::event_log::RecordedEvent;

/// Events of one commit, in slice order.
pub type Committed = Arc<[Arc<RecordedEvent>]>;

/// The stream of committed events that live sockets are fed from.
///
/// - An event MUST NOT be told before it is durable, and not before the read model of the same store shows it where both
///   are one transaction.
/// - Inside a slice events come in the order of their positions; they MAY be repeated after a fault.
/// - A subscriber that falls behind is told so (`Lagged`) and fetches what it missed from the event log.
pub trait EventFeed: Send + Sync + 'static {
    /// Everything committed from now on.
    fn subscribe(&self) -> broadcast::Receiver<Committed>;
}

/// Somebody is typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub room_id: RoomId,
    /// Who.
    pub user_id: UserId,
}

/// Signals that are never stored: lost when nobody listens, at most once, on every node.
pub trait Ephemeral: Send + Sync + 'static {
    /// Tells everybody; never waits.
    fn typing(&self, typing: Typing);
    /// Everything told from now on.
    fn subscribe(&self) -> broadcast::Receiver<Typing>;
}
