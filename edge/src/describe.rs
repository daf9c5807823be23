//! What the descriptions of commands and queries share: who may ask, what is refused and with which example, and the headers
//! that come along.
//!
//! An operation declares each status that it refuses with by one line that names the codes, in backticks:
//!
//! ```text
//! (status = 404, description = "`room_not_found`, `message_not_found`: the one that is answered"),
//! ```
//!
//! The body, its schema with these codes and no others, and an example of each follow from that line: see [`finish`].

pub mod bounds;
mod closed;
mod sample;

use axum::http::StatusCode;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Content, Ref, RefOr, Required, Response, Schema};

pub use self::closed::close;
pub use self::sample::Samples;

use crate::problem::Code;

/// The name of the security scheme.
const BEARER: &str = "bearer";
/// What every operation may be refused with, whatever it does.
const ALWAYS: [Code; 6] = [
    Code::InternalError,
    Code::StorageUnavailable,
    Code::Busy,
    Code::Timeout,
    Code::Starting,
    Code::ShuttingDown,
];
/// What is refused where somebody must say who they are.
const IDENTIFIED: [Code; 4] = [
    Code::Unauthenticated,
    Code::InvalidToken,
    Code::ExpiredToken,
    Code::RateLimited,
];
/// What is refused where there is a body.
const WITH_BODY: [Code; 6] = [
    Code::MalformedJson,
    Code::MalformedRequest,
    Code::BodyTooSlow,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidFields,
];

/// Declares how somebody says who they are.
pub fn declare_bearer(components: &mut Components) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
}

/// An operation that asks for a token and counts against a rate.
pub fn identify(operation: &mut Operation) {
    refuse(operation, &IDENTIFIED);
    let requirement = SecurityRequirement::new(BEARER, Vec::<String>::new());
    operation.security.get_or_insert_default().push(requirement);
    for response in responses(operation) {
        add_header(
            response,
            "RateLimit-Limit",
            "How often in all; absent where there is no rate",
            optional_number(),
        );
        add_header(response, "RateLimit-Remaining", "How often still", optional_number());
        add_header(
            response,
            "RateLimit-Reset",
            "Seconds until the whole burst is there again",
            optional_number(),
        );
    }
}

/// An operation that may be refused with these codes, besides those that it names itself.
pub fn refuse(operation: &mut Operation, codes: &[Code]) {
    for code in codes {
        let status = code.status().as_str().to_owned();
        let response = operation.responses.responses.entry(status);
        if let RefOr::T(response) = response.or_insert_with(|| Response::new("").into())
            && !named(&response.description).any(|named| named == *code)
        {
            let own = std::mem::take(&mut response.description);
            let comma = if own.is_empty() { "" } else { ", " };
            response.description = format!("{own}{comma}`{}`", code.as_str());
        }
    }
}

/// An operation that takes a header if it is there.
pub fn take_header(operation: &mut Operation, name: &str, schema: impl Into<RefOr<Schema>>, description: &str) {
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema));
    operation.parameters.get_or_insert_default().push(header.build().into());
}

/// Whether an operation takes something there.
pub fn takes(operation: &Operation, place: &ParameterIn) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *place))
}

/// Makes an operation whole: each refusal that was declared by its codes, and an example where there is none. To be called
/// once everything else is said.
pub fn finish(operation: &mut Operation, samples: &Samples) {
    refuse(operation, &ALWAYS);
    if operation.request_body.is_some() {
        refuse(operation, &WITH_BODY);
    }
    if takes(operation, &ParameterIn::Path) {
        refuse(operation, &[Code::MalformedRequest]);
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        add_examples(&mut body.content, samples);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        add_header(
            response,
            "X-Request-Id",
            "What to tell us when you ask about it",
            text(),
        );
        match refusal(status) {
            Some(status) => {
                add_headers_of(response, status);
                describe_refusal(response);
            }
            None => add_examples(&mut response.content, samples),
        }
    }
}

fn add_examples<'a>(contents: impl IntoIterator<Item = (&'a String, &'a mut RefOr<Content>)>, samples: &Samples) {
    for (_, content) in contents {
        if let RefOr::T(content) = content
            && let Some(schema) = &content.schema
            && content.example.is_none()
            && content.examples.is_empty()
        {
            content.example = Some(samples.of(schema));
        }
    }
}

/// Adds a header to an answer of a command or query.
pub fn add_header(response: &mut Response, name: &str, description: &str, header: HeaderBuilder) {
    let header = header.description(Some(description)).build();
    response.headers.insert(name.to_owned(), header.into());
}

/// A text that is always there.
pub fn text() -> HeaderBuilder {
    required(optional_text())
}

/// A text that may be absent.
pub fn optional_text() -> HeaderBuilder {
    Header::builder().schema(Some(ObjectBuilder::new().schema_type(Type::String)))
}

fn number() -> HeaderBuilder {
    required(optional_number())
}

fn optional_number() -> HeaderBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    Header::builder().schema(Some(number))
}

/// The crate has no field for it.
fn required(header: HeaderBuilder) -> HeaderBuilder {
    header.extensions(Some(Extensions::from_iter([("required", true)])))
}

/// Every answer that is declared.
fn responses(operation: &mut Operation) -> impl Iterator<Item = &mut Response> {
    let responses = operation.responses.responses.values_mut();
    responses.filter_map(|response| match response {
        RefOr::T(response) => Some(response),
        RefOr::Ref(_) => None,
    })
}

/// The status, if it is that of a refusal.
fn refusal(status: &str) -> Option<StatusCode> {
    let status: StatusCode = status.parse().ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

/// The codes that a description names.
fn named(description: &str) -> impl Iterator<Item = Code> {
    let words = description.split('`').skip(1).step_by(2);
    words.filter_map(|word| Code::ALL.iter().copied().find(|code| code.as_str() == word))
}

fn add_headers_of(response: &mut Response, status: StatusCode) {
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
        add_header(
            response,
            "Retry-After",
            "Seconds until a try makes sense again",
            number(),
        );
    }
    if status == StatusCode::UNAUTHORIZED {
        add_header(response, "WWW-Authenticate", "What is asked for (RFC 6750)", text());
    }
}

fn describe_refusal(response: &mut Response) {
    let codes: Vec<Code> = named(&response.description).collect();
    let words = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.iter().map(|code| code.as_str())));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("ProblemDetails"))
        .item(ObjectBuilder::new().property("code", words));
    let examples = codes.iter().map(|code| {
        let value = serde_json::to_value(code.example()).expect("a problem is plain data");
        let example = ExampleBuilder::new().summary(code.title()).value(Some(value));
        (code.as_str().to_owned(), example.build().into())
    });
    let mut content = Content::new(Some(Schema::from(schema)));
    content.examples = examples.collect();
    response.content.clear();
    response
        .content
        .insert("application/problem+json".to_owned(), content.into());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::openapi::path::OperationBuilder;

    use super::*;

    fn described(operation: impl Into<Operation>) -> Value {
        let mut operation = operation.into();
        finish(&mut operation, &Samples::default());
        serde_json::to_value(operation).unwrap()
    }

    #[test]
    fn a_line_with_codes_becomes_a_schema_of_these_codes_with_an_example_each() {
        let line = Response::new("`room_not_found`, `message_not_found`: the one that is answered");
        let operation = described(OperationBuilder::new().response("404", line));
        let answer = &operation["responses"]["404"];
        let content = &answer["content"]["application/problem+json"];
        assert_eq!(
            content["schema"]["allOf"][1]["properties"]["code"]["enum"],
            json!(["room_not_found", "message_not_found"])
        );
        let example = &content["examples"]["message_not_found"];
        assert_eq!(example["summary"], "No such message");
        assert_eq!(example["value"]["type"], "/docs/problems/message_not_found");
        assert_eq!(example["value"]["status"], 404);
        assert_eq!(content["examples"].as_object().unwrap().len(), 2);
        assert_eq!(answer["headers"]["X-Request-Id"]["required"], true);
    }

    #[test]
    fn what_is_said_once_is_added_to_what_an_operation_names_itself() {
        let own = OperationBuilder::new().response("503", Response::new("`busy`: later"));
        let operation = described(own);
        let answer = &operation["responses"]["503"];
        assert_eq!(
            answer["description"],
            "`busy`: later, `storage_unavailable`, `timeout`, `starting`, `shutting_down`"
        );
        assert_eq!(answer["headers"]["Retry-After"]["required"], true);
        assert!(operation["responses"]["413"].is_null(), "there is no body");
    }

    #[test]
    fn an_operation_that_asks_for_a_token_says_so() {
        let mut operation = OperationBuilder::new().response("200", Response::new("Here")).build();
        identify(&mut operation);
        let operation = described(operation);
        assert_eq!(operation["security"], json!([{"bearer": []}]));
        assert!(operation["responses"]["200"]["headers"]["RateLimit-Limit"].is_object());
        assert_eq!(
            operation["responses"]["401"]["headers"]["WWW-Authenticate"]["required"],
            true
        );
        assert_eq!(
            operation["responses"]["429"]["headers"]["Retry-After"]["required"],
            true
        );
    }
}
