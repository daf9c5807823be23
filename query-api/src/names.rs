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

    /// The names, each opened once however often it is shown.
    pub(crate) fn open(&self, keys: &Keys) -> Names {
        let open = |row: &ProfileRow| {
            let profile = serde_json::from_str::<Profile>(&keys.open(&row.sealed)?).ok()?;
            Some((row.user_id, profile.display_name))
        };
        Names(self.0.values().filter_map(open).collect())
    }
}

/// The names of some people.
pub(crate) struct Names(HashMap<UserId, String>);

impl Names {
    /// The name that others see; empty where there is no such person any more.
    pub(crate) fn of(&self, user: UserId) -> String {
        self.0.get(&user).cloned().unwrap_or_default()
    }
}
