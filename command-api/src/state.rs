//! What the handlers of commands need.

use std::sync::Arc;

use axum::extract::FromRef;
use cocotalk_application::port::event_log::LogReader;
use cocotalk_edge::auth::Tokens;
use cocotalk_edge::command::Commands;
use cocotalk_edge::door::Door;

/// The state of the router; a clone is a few counters.
#[derive(Clone)]
pub struct CommandState {
    /// What the extractors need; its rate is that of commands.
    pub door: Arc<Door>,
    /// What runs commands.
    pub commands: Arc<Commands>,
    /// What makes accounts without sign-up; `None` where the listener is not loopback, and then there is no such door.
    pub dev_accounts: Option<Arc<DevAccounts>>,
}

/// What makes accounts for development.
pub struct DevAccounts {
    /// The secret of claims: an id made with it tells nothing about the name that is claimed.
    pub pepper: [u8; 32],
    /// Gives the tokens. Of the same secret as those of the door; they live as long as a day of work needs.
    pub tokens: Arc<Tokens>,
    /// The log, which says whose handle it is.
    pub log: Arc<dyn LogReader>,
}

impl FromRef<CommandState> for Arc<Door> {
    fn from_ref(state: &CommandState) -> Self {
        Self::clone(&state.door)
    }
}

impl FromRef<CommandState> for Arc<Commands> {
    fn from_ref(state: &CommandState) -> Self {
        Self::clone(&state.commands)
    }
}

/// The state of the door that makes accounts.
#[derive(Clone)]
pub(crate) struct DevState {
    pub(crate) door: Arc<Door>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) accounts: Arc<DevAccounts>,
}

impl FromRef<DevState> for Arc<Door> {
    fn from_ref(state: &DevState) -> Self {
        Self::clone(&state.door)
    }
}

impl CommandState {
    /// The state of the door that makes accounts, where there is one.
    pub(crate) fn dev(&self) -> Option<DevState> {
        let accounts = self.dev_accounts.as_ref()?;
        Some(DevState {
            door: Arc::clone(&self.door),
            commands: Arc::clone(&self.commands),
            accounts: Arc::clone(accounts),
        })
    }
}
