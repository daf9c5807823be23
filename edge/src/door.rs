//! A door: what the extractors need to know of the API they belong to.

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::port::clock::Clock;
use cocotalk_domain::id::UserId;
use cocotalk_domain::limits::Limits;
use ipnet::IpNet;

use crate::auth::Tokens;
use crate::rate::Limiter;

/// What the extractors of one API need. Its state hands it out: `impl FromRef<State> for Arc<Door>`.
///
/// ```
/// use std::sync::Arc;
/// use axum::extract::FromRef;
/// use cocotalk_edge::door::Door;
///
/// #[derive(Clone)]
/// struct CommandState {
///     door: Arc<Door>,
/// }
///
/// impl FromRef<CommandState> for Arc<Door> {
///     fn from_ref(state: &CommandState) -> Self {
///         Arc::clone(&state.door)
///     }
/// }
/// ```
pub struct Door {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What a request may hold.
    pub limits: Arc<Limits>,
    /// How long its body may take to arrive.
    pub body_timeout: Duration,
    /// Who asks.
    pub tokens: Arc<Tokens>,
    /// How often one account may ask: commands and queries each count their own.
    pub rate: Limiter<UserId>,
    /// Whose word about where a request came from is taken.
    pub trusted_proxies: Arc<[IpNet]>,
}
