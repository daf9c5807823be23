//! The query side of the HTTP API: what people may see, read from the read model and the log, and told live.
//!
//! - `<view>/<get|list>.rs`: one endpoint a file: its query, its answer, its description and its handler.
//! - `item` and `frame`: what a timeline and the live socket show, made in one place for both.
//! - `unread`, `window`, `activity`: the arithmetic of unread numbers, of pages, and of the room list's order.
//! - `checkpoints`: queries that must not be older than a position wait here.
//! - `live`: the socket.
//!
//! # How to add a query
//! Write `src/<view>/<get|list>.rs` with a handler that takes an `Identity`, a strict `Query` and a `MinPosition`, waits for
//! the projections it reads, and asks the read model for lists, never for one item of its answer at a time; then name it in
//! [`router`] and in `describe::Api`. A test compares the two.
//!
//! # How to add a frame
//! An event: a variant of `frame::Type` and its line in `frame::describe::TYPES`. Another frame of the server: a variant of
//! `live::server_frame::ServerFrame`; of a client: one of `live::client_frame::ClientFrame`. Its description follows.

mod activity;
pub mod change;
pub mod checkpoints;
mod describe;
pub mod frame;
pub mod item;
pub mod limits;
pub mod live;
pub mod member;
pub mod message;
mod names;
pub mod room;
mod state;
mod unread;
mod viewer;
mod window;
pub mod words;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::get;
use cocotalk_domain::limits::Limits;
use cocotalk_edge::describe::bounds;
use utoipa::OpenApi as _;

pub use state::QueryState;

/// The routes of all queries but the live socket's. Nothing is around them yet: see `cocotalk_edge::layers::around`.
pub fn router(state: QueryState) -> Router {
    Router::new()
        .route("/v1/limits", get(limits::get::get))
        .route("/v1/rooms", get(room::list::list))
        .route("/v1/rooms/{room_id}", get(room::get::get))
        .route("/v1/rooms/{room_id}/changes", get(change::list::list))
        .route("/v1/rooms/{room_id}/members", get(member::list::list))
        .route("/v1/rooms/{room_id}/messages", get(message::list::list))
        .with_state(state)
}

/// What the live socket of a server with these limits is: an `AsyncAPI` document.
pub fn asyncapi(limits: &Limits) -> serde_json::Value {
    live::describe::asyncapi(limits)
}

/// What the queries of a server with these limits are, to be merged with what the commands are.
pub fn openapi(limits: &Limits) -> utoipa::openapi::OpenApi {
    let mut openapi = describe::Api::openapi();
    bounds::fill(openapi.components.get_or_insert_default(), limits);
    openapi
}
