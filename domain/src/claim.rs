//! A claim: one stream per unique handle, email or phone. Its first event is the claim, so two can never win.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Instant;

/// The state of a claim: whose it is, if anybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    owner: Option<UserId>,
}

/// What kind of name is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// The name that people are found by.
    Handle,
}

impl ClaimKind {
    /// The word that goes into the claim's id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handle => "handle",
        }
    }
}

/// What can be asked of a claim.
#[derive(Clone, Copy, Debug)]
pub enum ClaimCommand {
    /// Take it.
    Take {
        /// What kind of name.
        kind: ClaimKind,
        /// For whom.
        owner: UserId,
        /// When.
        at: Instant,
    },
}

/// Why a claim refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Somebody has it.
    #[error("the {} is taken", .0.as_str())]
    Taken(ClaimKind),
}

impl ClaimError {
    /// The stable word for this refusal, as clients see it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Taken(ClaimKind::Handle) => "handle_taken",
        }
    }
}

/// An event of a claim's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimEvent {
    /// It is somebody's.
    #[serde(rename = "claim.taken")]
    Taken(Taken),
}

/// A name is somebody's from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What kind of name.
    pub kind: ClaimKind,
    /// Whose.
    pub owner: UserId,
    /// When.
    pub at: Instant,
}

impl ClaimEvent {
    /// The wire version of what this build writes.
    pub const VERSION: &'static str = "1";

    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Taken(_) => "claim.taken",
        }
    }
}

impl cqrs_es::DomainEvent for ClaimEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_owned()
    }
}

impl Claim {
    /// The version of this state's shape in snapshots: raised whenever a change makes the same events give other bytes.
    pub const STATE_VERSION: u32 = 1;

    /// What happens when `command` meets this state.
    pub fn decide(&self, command: ClaimCommand) -> Result<Vec<ClaimEvent>, ClaimError> {
        let ClaimCommand::Take { kind, owner, at } = command;
        match self.owner {
            Some(_) => Err(ClaimError::Taken(kind)),
            None => Ok(vec![ClaimEvent::Taken(Taken { kind, owner, at })]),
        }
    }

    /// The state after `event`. Total: what was written happened.
    pub fn evolve(&mut self, event: &ClaimEvent) {
        let ClaimEvent::Taken(e) = event;
        self.owner = Some(e.owner);
    }

    /// Whose it is.
    pub const fn owner(&self) -> Option<UserId> {
        self.owner
    }
}

crate::aggregate!(Claim, ClaimCommand, ClaimEvent, ClaimError, "claim");

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn take(owner: u128) -> ClaimCommand {
        ClaimCommand::Take {
            kind: ClaimKind::Handle,
            owner: UserId::from_u128(owner),
            at: Instant::from_millis(5),
        }
    }

    fn taken(owner: u128) -> ClaimEvent {
        let (kind, at) = (ClaimKind::Handle, Instant::from_millis(5));
        ClaimEvent::Taken(Taken {
            kind,
            owner: UserId::from_u128(owner),
            at,
        })
    }

    #[test]
    fn a_taken_name_is_refused() {
        TestFramework::<Claim>::with(())
            .given(vec![taken(1)])
            .when(take(2))
            .then_expect_error(ClaimError::Taken(ClaimKind::Handle));
    }

    #[test]
    fn a_free_name_is_taken() {
        TestFramework::<Claim>::with(())
            .given_no_previous_events()
            .when(take(1))
            .then_expect_events(vec![taken(1)]);
    }
}
