//! The description of the commands: what the Rust types say, and what is the same for each of them said once.

use cocotalk_edge::problem::ProblemDetails;
use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema};
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

/// A message that is said, over HTTP and over the socket alike.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageSent {
    /// The room.
    room_id: Uuid,
    /// The message.
    message_id: Uuid,
    /// Its place in the room.
    #[schema(minimum = 1)]
    seq: u64,
    /// The room's version with it.
    #[schema(minimum = 1)]
    version: u64,
    /// When it was said, as everybody sees it.
    sent_at: chrono::DateTime<chrono::Utc>,
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
        crate::message::put_reaction::put_reaction,
        crate::message::take_reaction::take_reaction,
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
/// The name of the security scheme.
const BEARER: &str = "bearer";
/// What every command may answer, besides its own.
const COMMON: [(&str, &str); 7] = [
    ("400", "`malformed_json`, `malformed_request`"),
    ("413", "`payload_too_large`"),
    ("415", "`unsupported_media_type`"),
    (
        "422",
        "`invalid_fields`, `unknown_query_parameter`, `invalid_idempotency_key`, `idempotency_key_reused`",
    ),
    ("429", "`rate_limited`, with `Retry-After`"),
    ("500", "`internal_error`"),
    ("503", "`storage_unavailable`, `busy`, `timeout`, with `Retry-After`"),
];

/// What is the same for every command.
struct Commands;

impl Modify for Commands {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme(BEARER, SecurityScheme::Http(bearer));
        for (path, item) in &mut openapi.paths.paths {
            let operations = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                describe(operation);
                if path != SIGN_IN {
                    describe_command(operation);
                }
                if !path.starts_with(OPEN_TO_ALL) {
                    describe_authentication(operation);
                }
            }
        }
    }
}

fn describe_command(operation: &mut Operation) {
    operation
        .parameters
        .get_or_insert_default()
        .push(idempotency_key().into());
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            add_headers(response);
        }
    }
}

fn describe(operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    for (status, codes) in COMMON {
        answers
            .entry(status.to_owned())
            .or_insert_with(|| problem(codes).into());
    }
}

fn describe_authentication(operation: &mut Operation) {
    operation.responses.responses.insert(
        "401".to_owned(),
        problem("`unauthenticated`, `invalid_token`, `expired_token`").into(),
    );
    operation
        .security
        .get_or_insert_default()
        .push(SecurityRequirement::new(BEARER, Vec::<String>::new()));
}

fn idempotency_key() -> Parameter {
    let uuid = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The id of this command, chosen by you: a retry with it is answered as before and done once",
        ))
        .schema(Some(uuid))
        .build()
}

fn add_headers(response: &mut Response) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let headers = [
        (
            "X-Position",
            "Where it landed: a query with this as X-Min-Position sees it",
        ),
        (
            "Idempotent-Replayed",
            "`true` where an earlier request with the same key did it",
        ),
    ];
    for (name, description) in headers {
        let header = HeaderBuilder::new()
            .schema(Some(text()))
            .description(Some(description))
            .build();
        response.headers.insert(name.to_owned(), header.into());
    }
}

fn problem(codes: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ProblemDetails")))
        .build();
    ResponseBuilder::new()
        .description(codes)
        .content("application/problem+json", content)
        .build()
}
