//! The description of the live socket: `AsyncAPI` 3.0, from the types that are read and written.
//!
//! A frame of the server that is no event is a variant of [`ServerFrame`], one of a client a variant of [`ClientFrame`], an
//! event a line of `crate::frame::describe`: nothing else is to be done to describe it. Messages are called by their `op`,
//! events `event.` and their `type`.

use std::collections::BTreeMap;

use cocotalk_domain::limits::Limits;
use cocotalk_edge::describe::{Samples, bounds, close};
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::client_frame::{ClientFrame, Hello, Send};
use super::server_frame::{ServerFrame, Typing};
use crate::frame::{Frame, describe::events};

/// What each frame of a client is answered with, if it is answered; any of them may get a `problem`.
const ANSWERS: [(&str, &str); 3] = [("hello", "ready"), ("ping", "pong"), ("send", "ack")];
/// What the connection is, for whoever reads the document.
const ABOUT: &str = "Frames are JSON texts with an `op`. The first frame of a client is `hello`; the server answers `ready`, \
    and from then on both sides say what they have to. What is refused gets a `problem`. Unknown types of events are to be \
    passed over, their `version` not.";

/// A frame by its name, with its schema.
type Message = (String, Value);

/// The document.
pub(crate) fn asyncapi(limits: &Limits) -> Value {
    let mut components = components();
    bounds::fill(&mut components, limits);
    let samples = Samples::new(&components);
    let (told, heard) = (of_server(), of_client());
    let messages: Map<String, Value> = told
        .iter()
        .chain(&heard)
        .map(|(name, schema)| (name.clone(), message(name, schema, &samples)))
        .collect();
    let named: Map<String, Value> = messages
        .keys()
        .map(|name| (name.clone(), reference("components/messages", name)))
        .collect();
    let operations: Map<String, Value> = heard
        .iter()
        .map(|(name, _)| (format!("hear.{name}"), hear(name)))
        .chain([("tell".to_owned(), tell(&told))])
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "CocoTalk live socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "defaultContentType": "application/json",
        "channels": {
            "live": {
                "address": "/v1/live",
                "title": "The live socket",
                "description": ABOUT,
                "messages": named,
                "bindings": {"ws": {"method": "GET"}},
            },
        },
        "operations": operations,
        "components": {"messages": messages, "schemas": components.schemas},
    })
}

/// Every schema that a frame may name.
fn components() -> Components {
    let mut found = Vec::new();
    <Frame as ToSchema>::schemas(&mut found);
    <Typing as ToSchema>::schemas(&mut found);
    <ServerFrame as ToSchema>::schemas(&mut found);
    <ClientFrame as ToSchema>::schemas(&mut found);
    <Hello as ToSchema>::schemas(&mut found);
    <Send as ToSchema>::schemas(&mut found);
    let mut schemas: BTreeMap<String, RefOr<Schema>> = found.into_iter().collect();
    for unused in ["FrameData", "FrameType"] {
        schemas.remove(unused);
    }
    let mut components = Components::new();
    components.schemas.extend(schemas);
    close(&mut components, "PostMessage");
    components
}

/// What the server says.
fn of_server() -> Vec<Message> {
    let events = events().map(|(name, schema)| (name, json!(schema)));
    let typing = ("event.typing".to_owned(), json!(Typing::schema()));
    variants(&json!(ServerFrame::schema()))
        .chain(events)
        .chain([typing])
        .collect()
}

/// What a client says.
fn of_client() -> Vec<Message> {
    let parsed_apart = [Hello::schema(), Send::schema()].map(|schema| json!(schema));
    let named = parsed_apart.map(|schema| (op(&schema), schema));
    variants(&json!(ClientFrame::schema())).chain(named).collect()
}

/// The variants of an enum that is told apart by `op`.
fn variants(schema: &Value) -> impl Iterator<Item = Message> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    let named: Vec<_> = variants.map(|variant| (op(variant), variant.clone())).collect();
    named.into_iter()
}

fn op(schema: &Value) -> String {
    let word = schema["properties"]["op"]["enum"][0].as_str();
    word.expect("a frame is told apart by its op").to_owned()
}

fn message(name: &str, schema: &Value, samples: &Samples) -> Value {
    let mut payload = schema.clone();
    let description = payload
        .as_object_mut()
        .and_then(|payload| payload.remove("description"));
    json!({
        "name": name,
        "description": description,
        "payload": payload,
        "examples": [{"payload": samples.of(schema)}],
    })
}

fn hear(name: &str) -> Value {
    let answers = ANSWERS
        .iter()
        .filter(|(asked, _)| *asked == name)
        .map(|(_, answer)| *answer);
    let answers: Vec<Value> = answers.chain(["problem"]).map(of_channel).collect();
    json!({
        "action": "receive",
        "channel": {"$ref": "#/channels/live"},
        "messages": [of_channel(name)],
        "reply": {"channel": {"$ref": "#/channels/live"}, "messages": answers},
    })
}

fn tell(told: &[Message]) -> Value {
    let is_answer = |name: &str| name == "problem" || ANSWERS.iter().any(|(_, answer)| *answer == name);
    let unasked = told
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !is_answer(name));
    json!({
        "action": "send",
        "channel": {"$ref": "#/channels/live"},
        "messages": unasked.map(of_channel).collect::<Vec<_>>(),
    })
}

fn of_channel(name: &str) -> Value {
    reference("channels/live/messages", name)
}

fn reference(place: &str, name: &str) -> Value {
    json!({"$ref": format!("#/{place}/{name}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_kept() {
        insta::assert_json_snapshot!(asyncapi(&Limits::default()));
    }

    #[test]
    fn every_frame_is_described_with_what_it_is_and_an_example() {
        let document = asyncapi(&Limits::default());
        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            let example = &message["examples"][0]["payload"];
            let described = match &example["type"] {
                Value::String(of) => format!("event.{of}"),
                _ => example["op"].as_str().unwrap().to_owned(),
            };
            assert_eq!(*name, described);
            assert!(message["description"].is_string(), "{name}");
        }
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = asyncapi(&Limits::default());
        for named in document.to_string().split("\"#/").skip(1) {
            let place = named.split('"').next().unwrap();
            assert!(document.pointer(&format!("/{place}")).is_some(), "{place}");
        }
    }
}
