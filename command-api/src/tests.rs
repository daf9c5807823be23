//! What holds for every command.

use std::collections::HashSet;
use std::sync::Arc;

use axum::http::Method;
use cocotalk_application::command_bus::CommandError;
use cocotalk_application::error::StoreError;
use cocotalk_application::use_case::RoomAnswer;
use cocotalk_domain::id::CommandId;
use cocotalk_domain::limits::Limits;
use serde_json::{Value, json};

use crate::fake::{App, Call, KEY, ME, MESSAGE, ROOM, identity};
use crate::openapi;

/// Where no token is asked for.
const DEV: &str = "/v1/dev/";
/// What is no command.
const SIGN_IN: &str = "/v1/dev/sessions";

fn messages() -> String {
    format!("/v1/rooms/{ROOM}/messages")
}

fn sending(app: &App, text: &str) -> Call {
    let body = json!({"kind": "text", "text": text});
    app.mine(Method::POST, &messages()).json(&body)
}

/// Every operation of the description, with its path filled in.
fn operations() -> Vec<(Method, String, Value)> {
    let document = serde_json::to_value(openapi(&Limits::default())).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let path = path
                .replace("{room_id}", &ROOM.to_string())
                .replace("{user_id}", &ME.to_string())
                .replace("{message_id}", &MESSAGE.to_string())
                .replace("{emoji}", "%F0%9F%91%8D");
            operations.push((method, path, operation.clone()));
        }
    }
    operations
}

#[tokio::test]
async fn what_is_described_is_served() {
    let app = App::new();
    let operations = operations();
    assert_eq!(operations.len(), 15);
    for (method, path, _) in operations {
        let reply = app.mine(method.clone(), &path).text("{").send().await;
        assert!(
            ![404, 405].contains(&reply.status.as_u16()),
            "{method} {path}: {reply:?}"
        );
    }
}

#[test]
fn every_operation_names_its_answers_problems_and_headers() {
    for (method, path, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        let is_counted = !path.starts_with(DEV);
        assert_eq!(responses.contains_key("429"), is_counted, "{method} {path}");
        for status in ["400", "422", "500", "503"] {
            let content = &responses[status]["content"]["application/problem+json"];
            let codes = &content["schema"]["allOf"][1]["properties"]["code"]["enum"];
            assert!(codes[0].is_string(), "{method} {path} {status}");
        }
        let mut successes = responses.iter().filter(|(status, _)| status.starts_with('2'));
        let is_command = path != SIGN_IN;
        assert!(
            successes.all(|(_, response)| response["headers"]["X-Position"].is_object() == is_command),
            "{method} {path}"
        );
        let body = &operation["requestBody"]["content"]["application/json"];
        let has_example = body["example"].is_object() || body["examples"].is_object();
        assert!(operation.get("requestBody").is_none() || has_example, "{method} {path}");
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        assert_eq!(
            parameters.any(|parameter| parameter["name"] == "Idempotency-Key"),
            is_command,
            "{path}"
        );
        assert_eq!(operation["security"].is_array(), !path.starts_with(DEV), "{path}");
    }
}

#[test]
fn the_kinds_of_a_body_are_told_apart_in_the_description() {
    let document = serde_json::to_value(openapi(&Limits::default())).unwrap();
    let schemas = &document["components"]["schemas"];
    for (schema, kinds) in [("OpenRoom", 2), ("PostMessage", 5)] {
        assert_eq!(
            schemas[schema]["oneOf"].as_array().unwrap().len(),
            kinds,
            "{}",
            schemas[schema]
        );
    }
}

#[tokio::test]
async fn every_command_but_those_for_development_needs_a_token() {
    let app = App::new();
    for (method, path, _) in operations().into_iter().filter(|(_, path, _)| !path.starts_with(DEV)) {
        let reply = app.request(method.clone(), &path).json(&json!({})).send().await;
        reply.refused(401, "unauthenticated");
        let forged = app.request(method, &path).header("authorization", "Bearer junk");
        forged.send().await.refused(401, "invalid_token");
    }
}

#[tokio::test]
async fn the_token_of_who_was_erased_is_worth_nothing() {
    let app = App::new();
    app.vault.erase(ME);
    sending(&app, "아직 있어?").send().await.refused(401, "invalid_token");
    let leaving = app.mine(Method::DELETE, &format!("/v1/rooms/{ROOM}/members/me"));
    leaving.send().await.refused(401, "invalid_token");
    assert_eq!(app.bus.seen(), []);
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_everywhere() {
    let app = App::new();
    for (method, path, _) in operations() {
        let call = app.mine(method, &format!("{path}?q=1")).json(&json!({}));
        call.send().await.refused(422, "unknown_query_parameter");
    }
}

#[tokio::test]
async fn a_path_without_an_id_is_malformed() {
    let app = App::new();
    let call = app.mine(Method::POST, "/v1/rooms/here/messages");
    call.json(&json!({})).send().await.refused(400, "malformed_request");
}

#[tokio::test]
async fn a_command_says_whose_it_is_and_where_it_comes_from() {
    let app = App::new();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    sending(&app, "안녕").header("traceparent", trace).send().await.is(200);
    let seen = app.bus.only();
    assert_eq!(
        (seen.key.actor, seen.key.command_id.to_string()),
        (ME.uuid(), KEY.to_owned())
    );
    assert_eq!(seen.metadata.actor, ME.to_string());
    assert_eq!(seen.metadata.command_id, KEY);
    assert_eq!(seen.metadata.session_id, Some(identity().session_id.to_string()));
    assert_eq!(seen.metadata.traceparent.as_deref(), Some(trace));
}

#[tokio::test]
async fn without_a_key_the_server_makes_one() {
    let app = App::new();
    for _ in 0..2 {
        sending(&app, "안녕").without("idempotency-key").send().await.is(200);
    }
    let keys: HashSet<CommandId> = app.bus.seen().iter().map(|seen| seen.key.command_id).collect();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn a_key_that_is_no_uuid_is_refused() {
    let app = App::new();
    let call = sending(&app, "안녕").header("idempotency-key", "12345");
    call.send().await.refused(422, "invalid_idempotency_key");
}

#[tokio::test]
async fn a_request_is_the_same_however_it_is_written() {
    let app = App::new();
    let spaced = "{ \"text\" : \"\\uac19\\uc740 말\",\n \"mentions\": [], \"reply_to\": null, \"kind\": \"text\" }";
    sending(&app, "같은 말").send().await.is(200);
    app.mine(Method::POST, &messages()).text(spaced).send().await.is(200);
    sending(&app, "다른 말").send().await.is(200);
    let other_room = "/v1/rooms/0198c0de-7a1c-7000-8000-000000000001/messages";
    let body = json!({"kind": "text", "text": "같은 말"});
    app.call(Method::POST, other_room, &body).await.is(200);
    let macs: Vec<_> = app.bus.seen().iter().map(|seen| seen.request_mac).collect();
    assert_eq!(macs[0], macs[1]);
    assert_eq!(macs.iter().collect::<HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn an_answer_says_where_it_landed_and_whether_it_was_given_before() {
    let app = App::new();
    let first = sending(&app, "안녕").send().await;
    assert_eq!(
        (first.header("x-position"), first.header("idempotent-replayed")),
        (Some("3:17"), None)
    );
    let answer = RoomAnswer {
        room_id: ROOM,
        version: 9,
    };
    app.bus.replay(201, &answer);
    let again = sending(&app, "안녕").send().await;
    assert_eq!(again.is(201)["version"], 9);
    assert_eq!(again.header("x-position"), Some("3:17"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn what_the_bus_cannot_do_is_told() {
    let unavailable = StoreError::unavailable("the event log", "disk full");
    for (error, status, code, retry) in [
        (CommandError::KeyReused, 422, "idempotency_key_reused", None),
        (CommandError::Busy, 503, "busy", Some("1")),
        (
            CommandError::Unavailable(Arc::new(unavailable)),
            503,
            "storage_unavailable",
            Some("1"),
        ),
    ] {
        let app = App::new();
        app.bus.say(Err(error));
        let reply = sending(&app, "안녕").send().await;
        reply.refused(status, code);
        assert_eq!(reply.header("retry-after"), retry);
    }
}

#[tokio::test]
async fn an_account_that_asks_too_often_is_told_when_to_come_back() {
    let app = App::with_rate(2);
    for remaining in ["1", "0"] {
        let reply = sending(&app, "안녕").send().await;
        reply.is(200);
        assert_eq!(reply.header("ratelimit-limit"), Some("2"));
        assert_eq!(reply.header("ratelimit-remaining"), Some(remaining));
    }
    let reply = sending(&app, "안녕").send().await;
    reply.refused(429, "rate_limited");
    assert!(reply.header("retry-after").is_some() && reply.header("ratelimit-reset").is_some());
    assert_eq!(app.bus.seen().len(), 2);
}
