//! An account: that a person exists, and who they are.
//!
//! This is its beginning: registration. Verification, sessions and erasure join it with sign-up.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::sealed::Sealed;
use crate::stream::ClaimId;
use crate::time::Instant;

/// The state of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    user_id: Option<UserId>,
    claims: Vec<ClaimId>,
}

/// What can be asked of an account.
#[derive(Clone, Debug)]
pub enum AccountCommand {
    /// Begin it.
    Register {
        /// A new id.
        user_id: UserId,
        /// What the person is called, sealed with their key: the profile as JSON.
        profile: Sealed,
        /// The claims taken in the same unit.
        claims: Vec<ClaimId>,
        /// When.
        at: Instant,
    },
}

/// Why an account refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The new id is taken.
    #[error("the account exists already")]
    AlreadyRegistered,
}

impl AccountError {
    /// The stable word for this refusal, as clients see it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "account_exists",
        }
    }
}

/// An event of an account's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// The person exists.
    #[serde(rename = "account.registered")]
    Registered(Registered),
}

/// A person exists from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Who.
    pub user_id: UserId,
    /// What they are called, sealed: the profile as JSON.
    pub profile: Sealed,
    /// The unique names that are theirs.
    pub claims: Vec<ClaimId>,
    /// When.
    pub at: Instant,
}

impl AccountEvent {
    /// The wire version of what this build writes.
    pub const VERSION: &'static str = "1";

    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registered(_) => "account.registered",
        }
    }
}

impl cqrs_es::DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_owned()
    }
}

impl Account {
    /// The version of this state's shape in snapshots: raised whenever a change makes the same events give other bytes.
    pub const STATE_VERSION: u32 = 1;

    /// What happens when `command` meets this state.
    pub fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        let AccountCommand::Register {
            user_id,
            profile,
            claims,
            at,
        } = command;
        if self.exists() {
            return Err(AccountError::AlreadyRegistered);
        }
        Ok(vec![AccountEvent::Registered(Registered {
            user_id,
            profile,
            claims,
            at,
        })])
    }

    /// The state after `event`. Total: what was written happened.
    pub fn evolve(&mut self, event: &AccountEvent) {
        let AccountEvent::Registered(e) = event;
        self.user_id = Some(e.user_id);
        self.claims.clone_from(&e.claims);
    }

    /// Whether the person exists.
    pub const fn exists(&self) -> bool {
        self.user_id.is_some()
    }
}

crate::aggregate!(Account, AccountCommand, AccountEvent, AccountError, "account");

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn profile() -> Sealed {
        Sealed {
            subject: UserId::from_u128(1),
            bytes: vec![1, 2, 3],
        }
    }

    fn registered() -> AccountEvent {
        let claims = vec![ClaimId([9; 16])];
        let (user_id, at) = (UserId::from_u128(1), Instant::from_millis(5));
        AccountEvent::Registered(Registered {
            user_id,
            profile: profile(),
            claims,
            at,
        })
    }

    fn register() -> AccountCommand {
        let claims = vec![ClaimId([9; 16])];
        let (user_id, at) = (UserId::from_u128(1), Instant::from_millis(5));
        AccountCommand::Register {
            user_id,
            profile: profile(),
            claims,
            at,
        }
    }

    #[test]
    fn an_account_is_registered_once() {
        TestFramework::<Account>::with(())
            .given(vec![registered()])
            .when(register())
            .then_expect_error(AccountError::AlreadyRegistered);
    }

    #[test]
    fn registering_makes_the_person_exist() {
        TestFramework::<Account>::with(())
            .given_no_previous_events()
            .when(register())
            .then_expect_events(vec![registered()]);
    }
}
