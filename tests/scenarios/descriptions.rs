//! The descriptions of the API: valid by their official schemas, complete, and such that what is not in them is noticed.
//! That every answer and every frame of all tests is one of theirs is seen to by [`Contract`].

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::harness::client::{Api, Reply, new_key, text};
use crate::harness::contract::Contract;

const OPENAPI: &str = include_str!("../harness/schemas/openapi-3.1.json");
const ASYNCAPI: &str = include_str!("../harness/schemas/asyncapi-3.0.json");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn both_descriptions_are_valid_by_their_official_schemas() {
    let contract = Contract::served().await;
    for (schema, document) in [(OPENAPI, contract.openapi()), (ASYNCAPI, contract.asyncapi())] {
        let schema = serde_json::from_str(schema).unwrap();
        let official = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = official
            .iter_errors(document)
            .map(|error| format!("{}: {error:.300}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(jsonschema::meta::is_valid(schema), "{name}: {schema}");
        }
    }
}

#[tokio::test]
async fn every_operation_has_its_answers_its_problems_and_an_example_of_each() {
    let contract = Contract::served().await;
    for (path, item) in contract.openapi()["paths"].as_object().unwrap() {
        for method in METHODS.iter().filter(|method| item[**method].is_object()) {
            let (operation, place) = (&item[*method], format!("/paths/{}/{method}", path.replace('/', "~1")));
            let body = operation["requestBody"]["content"].as_object().into_iter().flatten();
            for (kind, content) in body {
                examples_fit(
                    contract,
                    content,
                    &format!("{place}/requestBody/content/{}", kind.replace('/', "~1")),
                );
            }
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with(['1', '2'])), "{place}");
            assert!(answers.contains_key("500") && answers.contains_key("503"), "{place}");
            for (status, answer) in answers {
                for (kind, content) in answer["content"].as_object().into_iter().flatten() {
                    let place = format!("{place}/responses/{status}/content/{}", kind.replace('/', "~1"));
                    examples_fit(contract, content, &place);
                    if status.starts_with(['4', '5']) {
                        every_code_has_its_example(content, status, &place);
                    }
                }
                assert!(
                    !status.starts_with(['4', '5']) || answer["content"].is_object(),
                    "{place} {status}"
                );
            }
        }
    }
}

fn examples_fit(contract: &Contract, content: &Value, place: &str) {
    let several = content["examples"].as_object().into_iter().flatten();
    let examples: Vec<_> = several
        .map(|(_, example)| &example["value"])
        .chain(content.get("example"))
        .collect();
    assert!(!examples.is_empty(), "{place} has no example");
    for example in examples {
        let kept = contract.check_openapi(&format!("{place}/schema"), example);
        kept.unwrap_or_else(|why| panic!("{place}: {why}: {example}"));
    }
}

fn every_code_has_its_example(content: &Value, status: &str, place: &str) {
    let codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"]
        .as_array()
        .unwrap();
    assert!(!codes.is_empty(), "{place}");
    for code in codes {
        let example = &content["examples"][text(code)]["value"];
        assert_eq!(
            (&example["code"], example["status"].to_string()),
            (code, status.to_owned()),
            "{place}"
        );
    }
}

#[tokio::test]
async fn every_frame_has_an_example_that_fits() {
    let contract = Contract::served().await;
    let messages = contract.asyncapi()["components"]["messages"].as_object().unwrap();
    for (name, message) in messages {
        let examples = message["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let kept = contract.check_asyncapi(&format!("/components/messages/{name}/payload"), &example["payload"]);
            kept.unwrap_or_else(|why| panic!("{name}: {why}: {example}"));
        }
    }
    for name in ["hello", "send", "ready", "ack", "event.message.sent", "event.typing"] {
        assert!(messages.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_described_is_noticed() {
    let contract = Contract::served().await;
    let anna = Api::shared().person("anna").await;
    let good = anna.get("/v1/rooms").await;
    assert_eq!(contract.check_answer("GET", "/v1/rooms", &good), Ok(()));
    let room = format!("/v1/rooms/{}", new_key());
    let refused = anna.get(&room).await;
    assert_eq!(contract.check_answer("GET", &room, &refused), Ok(()));

    let body = |change: &dyn Fn(&mut Value)| {
        let mut value = good.value();
        change(&mut value);
        reply(200, &good.headers, &value)
    };
    for (what, method, path, answer) in [
        ("a status", "GET", "/v1/rooms", reply(418, &good.headers, &good.value())),
        ("a body", "GET", "/v1/rooms", reply(200, &good.headers, &json!("rooms"))),
        ("a field", "GET", "/v1/rooms", body(&|page| page["surprise"] = json!(1))),
        (
            "a type",
            "GET",
            "/v1/rooms",
            body(&|page| page["total_unread"] = json!("none")),
        ),
        ("a call", "GET", "/v1/surprises", reply(200, &good.headers, &json!({}))),
        ("a method", "PUT", "/v1/rooms", reply(200, &good.headers, &json!({}))),
        (
            "a code",
            "GET",
            "/v1/rooms",
            reply(404, &refused.headers, &refused.value()),
        ),
        (
            "a kind of body",
            "GET",
            "/v1/rooms",
            reply(200, &refused.headers, &good.value()),
        ),
        (
            "no request id",
            "GET",
            "/v1/rooms",
            reply(200, &HeaderMap::new(), &good.value()),
        ),
    ] {
        assert!(contract.check_answer(method, path, &answer).is_err(), "{what}");
    }
    for frame in [
        json!({"op": "surprise"}),
        json!({"op": "pong", "surprise": 1}),
        json!({"op": "event", "type": "surprise"}),
        json!({"op": "reconnect"}),
        json!({"op": "event", "type": "room.closed", "position": "1:1", "at": "yesterday", "data": {}}),
    ] {
        assert!(contract.check_frame(&frame).is_err(), "{frame}");
    }
}

fn reply(status: u16, headers: &HeaderMap, body: &Value) -> Reply {
    Reply {
        asked: "an invented call".to_owned(),
        status,
        headers: headers.clone(),
        body: Bytes::from(body.to_string()),
    }
}
