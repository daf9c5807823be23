//! Register a person: their account and the names that are theirs alone, all of it or nothing.

use cocotalk_domain::account::AccountCommand;
use cocotalk_domain::claim::{ClaimCommand, ClaimKind};
use cocotalk_domain::id::UserId;
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::{ClaimId, StreamId};
use cocotalk_domain::time::Instant;
use serde::{Deserialize, Serialize};

use super::{Answer, AnyState, Decision, Refusal, States, UseCase};
use crate::sealing::hmac;

/// Takes the handle and begins the account, in one unit.
#[derive(Clone, Debug)]
pub struct Register {
    /// A new id, whose data key is in the vault already.
    pub user_id: UserId,
    /// The claim on the handle.
    pub handle: ClaimId,
    /// The profile as JSON, sealed.
    pub profile: Sealed,
    /// When.
    pub at: Instant,
}

/// What a registered person is told; the words of it are filled in from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredAnswer {
    /// Who they are.
    pub user_id: UserId,
}

/// The id of the claim on a name: keyed with the installation's pepper, so that it tells nothing about the name. `value` is
/// normalised already.
pub fn claim_id(pepper: &[u8; 32], kind: ClaimKind, value: &str) -> ClaimId {
    let mac = hmac(pepper, format!("{}\0{value}", kind.as_str()).as_bytes());
    let (id, _) = mac.split_first_chunk().expect("a MAC is longer than an id");
    ClaimId(*id)
}

impl UseCase for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn home(&self) -> StreamId {
        StreamId::Claim(self.handle)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![self.home(), StreamId::Account(self.user_id)]
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let (claim, account) = (self.home(), StreamId::Account(self.user_id));
        let mut events = Vec::new();
        if let AnyState::Claim(state) = on.state(claim) {
            let take = ClaimCommand::Take {
                kind: ClaimKind::Handle,
                owner: self.user_id,
                at: self.at,
            };
            events.extend(state.decide(take)?.into_iter().map(|event| (claim, event.into())));
        }
        if let AnyState::Account(state) = on.state(account) {
            let register = AccountCommand::Register {
                user_id: self.user_id,
                profile: self.profile.clone(),
                claims: vec![self.handle],
                at: self.at,
            };
            events.extend(state.decide(register)?.into_iter().map(|event| (account, event.into())));
        }
        Ok(Decision {
            events,
            answer: Answer::new(201, &RegisteredAnswer { user_id: self.user_id }),
        })
    }
}
