//! `people`: profiles (R11).

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::projection::{Poison, Projection};
use cocotalk_application::row::{ProfileRow, RowWrite};
use cocotalk_domain::account::AccountEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::number::Version;

/// Who people are.
pub struct People;

impl Projection for People {
    fn name(&self) -> &'static str {
        "people"
    }

    fn rows(&self, recorded: &RecordedEvent) -> Result<Vec<RowWrite>, Poison> {
        match recorded.event.as_ref().map_err(|error| Poison(error.to_string()))? {
            AnyEvent::Account(AccountEvent::Registered(registered)) => Ok(vec![RowWrite::Profile(ProfileRow {
                user_id: registered.user_id,
                sealed: registered.profile.clone(),
                version: Version(recorded.sequence),
            })]),
            AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Claim(_) => Ok(Vec::new()),
        }
    }
}
