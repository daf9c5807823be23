//! The names of people, opened from their sealed profiles.

use std::collections::HashMap;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::row::ProfileRow;
use cocotalk_application::sealing::Keys;
use cocotalk_domain::id::UserId;
use serde::Deserialize;

/// What is needed of a profile.
#[derive(Deserialize)]
struct Profile {
    display_name: String,
}

/// The profiles of some people, still sealed: their subjects are known before their keys are asked for.
pub(crate) struct Profiles(HashMap<UserId, ProfileRow>);

impl Profiles {
    /// The profiles of these people, with one question for all of them.
    pub(crate) async fn of(model: &dyn ReadModel, users: impl IntoIterator<Item = UserId>) -> Result<Self, StoreError> {
        let mut users: Vec<UserId> = users.into_iter().collect();
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        model.profiles(&users).await.map(Self)
    }

    /// Whose keys open them.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = UserId> {
        self.0.values().map(|row| row.sealed.subject)
    }

    /// The name that others see; empty where there is no such person any more.
    pub(crate) fn display_name(&self, user: UserId, keys: &Keys) -> String {
        let opened = self.0.get(&user).and_then(|row| keys.open(&row.sealed));
        let profile = opened.and_then(|json| serde_json::from_str::<Profile>(&json).ok());
        profile.map(|profile| profile.display_name).unwrap_or_default()
    }
}
