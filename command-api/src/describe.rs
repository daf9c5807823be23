//! The description of the commands: what the Rust types say, and what is the same for each of them said once.

use cocotalk_edge::describe::{self, Samples, bounds};
use cocotalk_edge::problem::{Code, ProblemDetails};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::{Modify, OpenApi, PartialSchema as _, ToSchema};
use uuid::Uuid;

/// A room after a command.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomAt {
    /// The room.
    room_id: Uuid,
    /// Its version: each of its events raises it by one.
    #[schema(minimum = 1)]
    version: u64,
}

/// A message after a command.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageAt {
    /// The room.
    room_id: Uuid,
    /// The message.
    message_id: Uuid,
    /// Its place in the room.
    #[schema(minimum = 1)]
    seq: u64,
    /// The room's version after the command.
    #[schema(minimum = 1)]
    version: u64,
}

/// All commands.
#[derive(OpenApi)]
#[openapi(
    paths(
        crate::account::create_dev::create_dev,
        crate::account::sign_in_dev::sign_in_dev,
        crate::message::delete::delete,
        crate::message::edit::edit,
        crate::message::reaction::put_reaction,
        crate::message::reaction::take_reaction,
        crate::room::change::change,
        crate::room::give_role::give_role,
        crate::room::invite::invite,
        crate::room::kick::kick,
        crate::room::leave::leave,
        crate::room::open::open,
        crate::room::send::send,
        crate::seat::mark_read::mark_read,
        crate::seat::set_preferences::set_preferences,
    ),
    components(schemas(ProblemDetails)),
    modifiers(&Commands),
)]
pub(crate) struct Api;

/// Where no token is asked for.
const OPEN_TO_ALL: &str = "/v1/dev/";
/// The one thing here that is no command: it writes nothing to the log.
const SIGN_IN: &str = "/v1/dev/sessions";
/// What every command may be refused with: it takes a key, and few take a query.
const COMMAND: [Code; 3] = [
    Code::UnknownQueryParameter,
    Code::InvalidIdempotencyKey,
    Code::IdempotencyKeyReused,
];

/// What is the same for every command.
struct Commands;

impl Modify for Commands {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        bounds::gather(openapi);
        let components = openapi.components.get_or_insert_default();
        describe::declare_bearer(components);
        for tagged in ["OpenRoom", "PostMessage"] {
            describe::close(components, tagged);
        }
        let samples = Samples::new(components);
        for (path, item) in &mut openapi.paths.paths {
            let operations = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                if path == SIGN_IN {
                    describe::refuse(operation, &[Code::UnknownQueryParameter]);
                } else {
                    describe_command(operation);
                }
                if !path.starts_with(OPEN_TO_ALL) {
                    describe::identify(operation);
                }
                describe::finish(operation, &samples);
            }
        }
    }
}

fn describe_command(operation: &mut Operation) {
    describe::refuse(operation, &COMMAND);
    if describe::takes(operation, &ParameterIn::Query) {
        describe::refuse(operation, &[Code::InvalidQuery]);
    }
    describe::take_header(
        operation,
        "Idempotency-Key",
        bounds::Key::schema(),
        "The id of this command, chosen by you: a retry with it is answered as before and done once",
    );
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            describe::add_header(
                response,
                "X-Position",
                "Where it landed: a query with this as X-Min-Position sees it",
                describe::text(),
            );
            describe::add_header(
                response,
                "Idempotent-Replayed",
                "`true` where an earlier request with the same key did it",
                describe::optional_text(),
            );
        }
    }
}
