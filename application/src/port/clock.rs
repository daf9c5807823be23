//! Time and new ids: asked for at the edge only, stamped once, and carried from there.

use cocotalk_domain::time::Instant;
use uuid::Uuid;

/// What time it is and what the next id is.
///
/// - Ids MUST be `UUIDv7` and unique.
/// - `now` MAY step back; whoever needs order takes the larger of it and what came before.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Instant;
    /// A new id.
    fn new_id(&self) -> Uuid;
}
