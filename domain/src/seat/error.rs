//! Why a seat refuses.

/// One variant per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    /// A mute that is over before it begins.
    #[error("muted_until is not in the future")]
    MutedIntoThePast,
    /// So many messages of one room can be hidden and no more.
    #[error("at most {max} messages of a room can be hidden")]
    TooManyHidden {
        /// The most.
        max: usize,
    },
}

impl SeatError {
    /// The stable word for this refusal, as clients see it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MutedIntoThePast => "not_in_the_future",
            Self::TooManyHidden { .. } => "too_many_hidden",
        }
    }
}
