//! `GET /v1/limits`: every bound that a user can meet. Shown to everybody, so that clients need not guess.

use axum::Json;
use axum::extract::State;
use cocotalk_domain::limits::Limits;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::query::{Nothing, Query};
use cocotalk_edge::settings::RateSettings;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::QueryState;

/// Every bound that a user can meet. Characters are Unicode scalar values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsShown {
    /// Longest text of a message, characters.
    pub text_chars: usize,
    /// Longest name of a room, characters.
    pub room_name_chars: usize,
    /// Longest status message, characters.
    pub status_message_chars: usize,
    /// Longest display name, characters.
    pub display_name_chars: usize,
    /// Shortest handle, characters.
    pub handle_min_chars: usize,
    /// Longest handle, characters.
    pub handle_max_chars: usize,
    /// Fewest members of a group when it is created, creator included.
    pub group_min_members: usize,
    /// Most members of a group when it is created.
    pub group_create_members: usize,
    /// Most members a group can grow to.
    pub group_max_members: usize,
    /// Most friends of a person.
    pub friends: usize,
    /// Most people mentioned in one message.
    pub mentions: usize,
    /// How long an author may edit and delete a message, seconds.
    pub message_change_s: u64,
    /// Most kinds of reactions on one message.
    pub reaction_kinds: usize,
    /// Most messages that a person hides from themselves in one room.
    pub hidden_messages: usize,
    /// Largest upload, bytes.
    pub upload_bytes: u64,
    /// Largest page of a list or a timeline, items.
    pub page_items: usize,
    /// Largest frame a client may send, bytes.
    pub frame_bytes: usize,
    /// Largest body of a request, bytes.
    pub body_bytes: usize,
    /// How often somebody may ask.
    pub rate: Rates,
}

/// How often somebody may ask; 0 = no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rates {
    /// Commands of one account in a minute.
    pub commands_per_minute: u32,
    /// Queries of one account in a minute.
    pub queries_per_minute: u32,
    /// Frames of one account on its live sockets in a minute.
    pub frames_per_minute: u32,
    /// Accounts made from one network in an hour.
    pub sign_ups_per_hour: u32,
    /// Failed sign-ins of one handle from one network in 15 minutes, and ten times as many of one handle.
    pub sign_in_failures: u32,
    /// Verifications of one address in a day.
    pub verifications_per_day: u32,
    /// Seconds between two verifications of one address.
    pub verification_interval_s: u32,
}

/// Get the limits
///
/// Every bound that a user can meet, with the rates. For everybody: no token is needed.
#[utoipa::path(
    get,
    path = "/v1/limits",
    tag = "limits",
    operation_id = "get_limits",
    responses(
        (status = 200, description = "The bounds", body = LimitsShown),
    ),
)]
pub(crate) async fn get(
    State(state): State<QueryState>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Json<LimitsShown>, Problem> {
    Ok(Json(shown(&state.door.limits, state.rates)))
}

/// Taken apart by name, so that a new bound cannot be forgotten here.
fn shown(limits: &Limits, rate: RateSettings) -> LimitsShown {
    let Limits {
        text_chars,
        room_name_chars,
        status_message_chars,
        display_name_chars,
        handle_min_chars,
        handle_max_chars,
        group_min_members,
        group_create_members,
        group_max_members,
        friends,
        mentions,
        message_change_s,
        reaction_kinds,
        hidden_messages,
        upload_bytes,
        page_items,
        frame_bytes,
        body_bytes,
    } = *limits;
    let RateSettings {
        commands_per_minute,
        queries_per_minute,
        frames_per_minute,
        sign_ups_per_hour,
        sign_in_failures,
        verifications_per_day,
        verification_interval_s,
    } = rate;
    LimitsShown {
        text_chars,
        room_name_chars,
        status_message_chars,
        display_name_chars,
        handle_min_chars,
        handle_max_chars,
        group_min_members,
        group_create_members,
        group_max_members,
        friends,
        mentions,
        message_change_s,
        reaction_kinds,
        hidden_messages,
        upload_bytes,
        page_items,
        frame_bytes,
        body_bytes,
        rate: Rates {
            commands_per_minute,
            queries_per_minute,
            frames_per_minute,
            sign_ups_per_hour,
            sign_in_failures,
            verifications_per_day,
            verification_interval_s,
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Api;

    #[tokio::test]
    async fn limits_are_shown_to_everybody() {
        insta::assert_json_snapshot!(Api::new().get_unsigned("/v1/limits").await.ok());
    }

    #[tokio::test]
    async fn what_is_shown_is_what_is_configured() {
        let section = serde_json::to_value(cocotalk_edge::settings::LimitsSection::default()).unwrap();
        assert_eq!(Api::new().get_unsigned("/v1/limits").await.ok(), section);
    }

    #[tokio::test]
    async fn there_is_no_parameter() {
        let answer = Api::new().get_unsigned("/v1/limits?q=1").await;
        assert_eq!(answer.refused(422), "unknown_query_parameter");
    }
}
