//! The description of the queries: what the Rust types say, and what is the same for each of them said once.

use cocotalk_edge::problem::ProblemDetails;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

/// All queries.
#[derive(OpenApi)]
#[openapi(
    paths(
        crate::change::list::list,
        crate::limits::get::get,
        crate::member::list::list,
        crate::message::list::list,
        crate::room::get::get,
        crate::room::list::list,
    ),
    components(schemas(ProblemDetails)),
    modifiers(&Queries),
)]
pub(crate) struct Api;

/// The path of the one query that asks for no token and reads nothing.
const OPEN_TO_ALL: &str = "/v1/limits";
/// The name of the security scheme.
const BEARER: &str = "bearer";
/// What every query may answer, besides its own.
const COMMON: [(&str, &str); 3] = [
    ("400", "`malformed_request`"),
    ("500", "`internal_error`"),
    ("503", "`busy`, `timeout`, with `Retry-After`"),
];
/// What a query that somebody must sign in for may answer, besides its own.
const SIGNED_IN: [(&str, &str); 4] = [
    ("401", "`unauthenticated`, `invalid_token`, `expired_token`"),
    (
        "422",
        "`unknown_query_parameter`, `invalid_query`, `invalid_cursor`, `invalid_position`",
    ),
    ("429", "`rate_limited`, with `Retry-After`"),
    (
        "503",
        "`read_model_behind`, `storage_unavailable`, `busy`, `timeout`, with `Retry-After`",
    ),
];

/// What is the same for every query.
struct Queries;

impl Modify for Queries {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
        let_shapes_overlap(components);
        for (path, item) in &mut openapi.paths.paths {
            if let Some(operation) = &mut item.get {
                if path != OPEN_TO_ALL {
                    sign_in(operation);
                }
                answer(operation, &COMMON);
            }
        }
    }
}

/// Which shape a frame's data has follows from its type: data without fields also fits a shape whose fields may be absent, so
/// it is any of them and not exactly one.
fn let_shapes_overlap(components: &mut Components) {
    let Some(RefOr::T(data)) = components.schemas.get_mut("FrameData") else {
        return;
    };
    if let Schema::OneOf(one) = data {
        let mut any = AnyOfBuilder::new().description(one.description.take());
        for shape in std::mem::take(&mut one.items) {
            any = any.item(shape);
        }
        *data = Schema::AnyOf(any.build());
    }
}

fn sign_in(operation: &mut Operation) {
    answer(operation, &SIGNED_IN);
    operation.parameters.get_or_insert_default().push(min_position().into());
    operation
        .security
        .get_or_insert_default()
        .push(SecurityRequirement::new(BEARER, Vec::<String>::new()));
}

fn answer(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, codes) in answers {
        let of_status = operation.responses.responses.entry((*status).to_owned());
        of_status.or_insert_with(|| problem(codes).into());
    }
}

fn min_position() -> Parameter {
    ParameterBuilder::new()
        .name("X-Min-Position")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "An X-Position that a command answered, or the position of a frame; several repeated or joined by commas. The \
             answer is at least as new, or there is none: it is waited for up to 500 ms",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::testing::Api;

    fn document() -> Value {
        serde_json::to_value(crate::openapi()).unwrap()
    }

    #[test]
    fn the_description_is_kept() {
        insta::assert_json_snapshot!(document());
    }

    /// Asked without a token, a route that is there answers something else than an empty 404.
    #[tokio::test]
    async fn every_described_query_is_routed() {
        let api = Api::new();
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 6, "as many as in the router");
        for path in paths.keys() {
            let path = path.replace("{room_id}", "00000000-0000-0000-0000-000000000001");
            let answer = api.get_unsigned(&path).await;
            assert!([200, 401].contains(&answer.status.as_u16()), "{path}: {}", answer.body);
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let names: std::collections::BTreeSet<_> =
            paths.values().map(|item| item["get"]["operationId"].as_str()).collect();
        assert_eq!(names.len(), paths.len());
    }

    #[test]
    fn every_query_but_one_asks_for_a_token() {
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            let get = &item["get"];
            assert_eq!(get["security"].is_array(), path != super::OPEN_TO_ALL, "{path}");
            assert!(get["responses"]["200"].is_object(), "{path}");
        }
    }
}
