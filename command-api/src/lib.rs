//! The command side of the HTTP API: one endpoint a file, each with its request, its handler, its description and its tests.
//!
//! A handler parses the request into a use case and hands it to the bus; it decides nothing. What all of them share is in
//! `cocotalk_edge`: who asks, how often they may, how a retry is recognised, and how a refusal looks.
//!
//! # How to add a command
//! Write `src/<aggregate>/<verb>.rs` with a request type (`deny_unknown_fields`), a handler that takes a `Caller` and
//! answers with `Answered`, and its `#[utoipa::path]`, in which each status it refuses with is one line that names the codes
//! (see `cocotalk_edge::describe`); then name it in [`router`] and in `Api`. A test compares the two.

mod account;
mod describe;
mod message;
mod nullable;
mod room;
mod seat;
mod state;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{delete, patch, post, put};
use cocotalk_domain::limits::Limits;
use cocotalk_edge::describe::bounds;
use utoipa::OpenApi as _;

pub use state::{CommandState, DevAccounts};

/// The routes of all commands. Nothing is around them yet: see `cocotalk_edge::layers::around`.
pub fn router(state: CommandState) -> Router {
    let rooms = Router::new()
        .route("/v1/rooms", post(room::open::open))
        .route("/v1/rooms/{room_id}", patch(room::change::change))
        .route("/v1/rooms/{room_id}/members", post(room::invite::invite))
        .route("/v1/rooms/{room_id}/members/me", delete(room::leave::leave))
        .route("/v1/rooms/{room_id}/members/{user_id}", delete(room::kick::kick))
        .route(
            "/v1/rooms/{room_id}/members/{user_id}/role",
            put(room::give_role::give_role),
        )
        .route("/v1/rooms/{room_id}/messages", post(room::send::send))
        .route(
            "/v1/rooms/{room_id}/messages/{message_id}",
            patch(message::edit::edit).delete(message::delete::delete),
        )
        .route(
            "/v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}",
            put(message::reaction::put_reaction).delete(message::reaction::take_reaction),
        )
        .route(
            "/v1/rooms/{room_id}/preferences",
            put(seat::set_preferences::set_preferences),
        )
        .route("/v1/rooms/{room_id}/read-marker", put(seat::mark_read::mark_read));
    let dev = state.dev().map(|dev| {
        Router::new()
            .route("/v1/dev/accounts", post(account::create_dev::create_dev))
            .route("/v1/dev/sessions", post(account::sign_in_dev::sign_in_dev))
            .with_state(dev)
    });
    rooms.with_state(state).merge(dev.unwrap_or_default())
}

/// What the commands of a server with these limits are, to be merged with what the queries are.
pub fn openapi(limits: &Limits) -> utoipa::openapi::OpenApi {
    let mut openapi = describe::Api::openapi();
    bounds::fill(openapi.components.get_or_insert_default(), limits);
    openapi
}
