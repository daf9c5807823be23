//! Why a socket is closed, and what its client makes of it.

use std::error::Error;

use tokio_tungstenite::tungstenite::Error as Tungstenite;

/// A reason to close. 4000, 4001, 4008, 4009 and 4011 mean: reconnect, you may resume. The others: mend something first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The other side is gone already.
    Gone,
    /// The server goes away.
    GoingAway,
    /// No hello in time.
    NoHello,
    /// The hello was not understood.
    HelloNotUnderstood,
    /// No token, or one that is not valid.
    NoValidToken,
    /// No sign of life for three heartbeats.
    Silent,
    /// The client cannot keep up.
    TooSlow,
    /// Too many problems.
    TooManyProblems,
    /// Too busy to let anybody in.
    Busy,
    /// A frame over the limit.
    FrameTooLarge,
}

impl Close {
    /// The code and its reason; none where nobody is left to tell.
    pub(super) const fn code(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Gone => return None,
            Self::GoingAway => (4000, "going away: reconnect, you may resume"),
            Self::NoHello => (4001, "no hello in time"),
            Self::HelloNotUnderstood => (4002, "the hello was not understood"),
            Self::NoValidToken => (4003, "no token, or one that is not valid"),
            Self::Silent => (4008, "silent for three heartbeats: reconnect, you may resume"),
            Self::TooSlow => (4009, "too slow: reconnect, you may resume"),
            Self::TooManyProblems => (4010, "too many bad frames, or too many beyond the rate"),
            Self::Busy => (4011, "busy: reconnect in a moment"),
            Self::FrameTooLarge => (1009, "a frame over the limit"),
        })
    }

    /// What an error of the connection means.
    pub(super) fn of(error: &axum::Error) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(inner) = source {
            if let Some(Tungstenite::Capacity(_)) = inner.downcast_ref::<Tungstenite>() {
                return Self::FrameTooLarge;
            }
            source = inner.source();
        }
        Self::Gone
    }
}
