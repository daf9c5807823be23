//! The description of the queries: what the Rust types say, and what is the same for each of them said once.

use cocotalk_edge::describe::{self, Samples, bounds};
use cocotalk_edge::problem::{Code, ProblemDetails};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::{Modify, OpenApi, PartialSchema as _};

use crate::frame;

/// All queries.
#[derive(OpenApi)]
#[openapi(
    paths(
        crate::change::list::list,
        crate::limits::get::get,
        crate::live::upgrade,
        crate::member::list::list,
        crate::message::list::list,
        crate::room::get::get,
        crate::room::list::list,
    ),
    components(schemas(ProblemDetails)),
    modifiers(&Queries),
)]
pub(crate) struct Api;

/// The paths that ask for no token: the limits are everybody's, and a socket brings its token in its first frame.
const OPEN_TO_ALL: [&str; 2] = ["/v1/limits", "/v1/live"];
/// What a query that somebody must sign in for may be refused with: it takes a position, and a query if there is one.
const SIGNED_IN: [Code; 2] = [Code::InvalidPosition, Code::ReadModelBehind];

/// What is the same for every query.
struct Queries;

impl Modify for Queries {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        bounds::gather(openapi);
        let components = openapi.components.get_or_insert_default();
        describe::declare_bearer(components);
        frame::describe::tell_types_apart(components);
        let samples = Samples::new(components);
        for (path, item) in &mut openapi.paths.paths {
            if let Some(operation) = &mut item.get {
                if !OPEN_TO_ALL.contains(&path.as_str()) {
                    sign_in(operation);
                }
                describe_query(operation);
                describe::finish(operation, &samples);
            }
        }
    }
}

fn sign_in(operation: &mut Operation) {
    describe::refuse(operation, &SIGNED_IN);
    describe::identify(operation);
    describe::take_header(
        operation,
        "X-Min-Position",
        bounds::Positions::schema(),
        "An X-Position that a command answered, or the position of a frame; several repeated or joined by commas. The answer \
         is at least as new, or there is none: it is waited for up to 500 ms",
    );
}

/// Whatever a query takes, it takes nothing else.
fn describe_query(operation: &mut Operation) {
    describe::refuse(operation, &[Code::UnknownQueryParameter, Code::MalformedRequest]);
    if describe::takes(operation, &ParameterIn::Query) {
        describe::refuse(operation, &[Code::InvalidQuery]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::testing::Api;

    fn document() -> Value {
        serde_json::to_value(crate::openapi(&cocotalk_domain::limits::Limits::default())).unwrap()
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
        let of_queries: Vec<_> = paths.keys().filter(|path| *path != "/v1/live").collect();
        assert_eq!(of_queries.len(), 6, "as many as in the router");
        for path in of_queries {
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
    fn every_query_asks_for_a_token_that_is_not_open_to_all() {
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            let get = &item["get"];
            let is_open = super::OPEN_TO_ALL.contains(&path.as_str());
            assert_eq!(get["security"].is_array(), !is_open, "{path}");
            let success = if path == "/v1/live" { "101" } else { "200" };
            assert!(get["responses"][success].is_object(), "{path}");
        }
    }
}
