//! Errors of ports, sorted by what the caller does next.

/// What went wrong between us and a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Try again later: the store is down, full, slow or locked. Nothing is known to be lost.
    #[error("{what} is not available")]
    Unavailable {
        /// Which part, for operators.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Page someone: what is stored cannot be what was written.
    #[error("{what} is damaged: {why}")]
    Corrupt {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl StoreError {
    /// The store cannot be reached or will not take it now.
    pub fn unavailable(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable {
            what,
            source: source.into(),
        }
    }

    /// What is stored makes no sense.
    pub fn corrupt(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            what,
            why: why.to_string(),
        }
    }
}

impl From<cocotalk_domain::event::DecodeError> for StoreError {
    fn from(error: cocotalk_domain::event::DecodeError) -> Self {
        Self::corrupt("the event log", error)
    }
}

/// The error and everything beneath it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
