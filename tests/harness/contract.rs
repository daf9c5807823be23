//! What the server promises of itself, and whether it keeps it: every answer is held against the served OpenAPI, every frame
//! against the served `AsyncAPI`. What is not declared there fails the test that it came to.
//!
//! A client must pass over fields that it does not know; these tests must not. So schemas are closed here: an object has no
//! field that is not described.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hyper::HeaderMap;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::harness::client::{Api, Reply, text};
use crate::stage::Stage;

/// Addresses that are no operations: the descriptions themselves, and whom the console offers to sign in as.
const UNDESCRIBED: [&str; 3] = ["/v1/openapi.json", "/v1/asyncapi.json", "/v1/dev/people"];
/// Headers that HTTP has anyway, and those that every answer has whatever it is.
const OF_HTTP: [&str; 8] = [
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "transfer-encoding",
    "x-content-type-options",
];
const PROBLEM: &str = "application/problem+json";

/// Both descriptions.
pub(crate) struct Contract {
    openapi: Described,
    asyncapi: Described,
}

/// One document, and the checks made from it so far.
struct Described {
    document: Value,
    /// What its references lead to, closed.
    components: Value,
    checks: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// What the shared stage serves: all of them serve the same.
    pub(crate) async fn served() -> &'static Self {
        static SERVED: OnceCell<Contract> = OnceCell::const_new();
        let fetch = async || {
            let api = Api::at(Stage::shared().doors());
            let document = async |path| api.get(path).undescribed().await.is(200);
            Contract {
                openapi: Described::new(document("/v1/openapi.json").await),
                asyncapi: Described::new(document("/v1/asyncapi.json").await),
            }
        };
        SERVED.get_or_init(fetch).await
    }

    /// The OpenAPI document.
    pub(crate) fn openapi(&self) -> &Value {
        &self.openapi.document
    }

    /// The `AsyncAPI` document.
    pub(crate) fn asyncapi(&self) -> &Value {
        &self.asyncapi.document
    }

    /// Whether this is what a call may be answered with. Pages and the doors of operators are no part of the contract.
    pub(crate) fn check_answer(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        let path = path.split('?').next().unwrap_or_default();
        if !path.starts_with("/v1/") || UNDESCRIBED.contains(&path) {
            return Ok(());
        }
        let Some(operation) = self.operation(method, path) else {
            return self.check_outside(reply);
        };
        let status = reply.status.to_string();
        let place = format!("{operation}/responses/{status}");
        let declared = self.openapi.document.pointer(&place);
        let declared = declared.ok_or_else(|| format!("{status} is not declared"))?;
        check_headers(declared, &reply.headers)?;
        let Some(contents) = declared["content"].as_object() else {
            return if reply.body.is_empty() {
                Ok(())
            } else {
                Err("a body is not declared".to_owned())
            };
        };
        let kind = reply.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        if !contents.contains_key(kind) {
            return Err(format!("{kind:?} is not declared"));
        }
        let schema = format!("{place}/content/{}/schema", escaped(kind));
        self.openapi.check(&schema, &body(reply)?)
    }

    /// What answers where there is no operation, or none yet.
    fn check_outside(&self, reply: &Reply) -> Result<(), String> {
        let kind = reply.header("content-type").unwrap_or_default();
        if ![404, 405, 503].contains(&reply.status) || kind != PROBLEM {
            return Err("there is no such operation".to_owned());
        }
        self.openapi.check("/components/schemas/ProblemDetails", &body(reply)?)
    }

    /// Where the operation stands: of several templates that fit, the one with the most words of its own.
    fn operation(&self, method: &str, path: &str) -> Option<String> {
        let paths = self.openapi.document["paths"].as_object()?;
        let fitting = paths.keys().filter(|template| fits(template, path));
        let template = fitting.min_by_key(|template| template.matches('{').count())?;
        let place = format!("/paths/{}/{}", escaped(template), method.to_lowercase());
        self.openapi.document.pointer(&place).map(|_| place)
    }

    /// Whether this is a frame that the server may say.
    pub(crate) fn check_frame(&self, frame: &Value) -> Result<(), String> {
        let name = match (frame["op"].as_str(), frame["type"].as_str()) {
            (Some("event"), Some(of)) => format!("event.{of}"),
            (Some(op), _) => op.to_owned(),
            (None, _) => return Err("there is no op".to_owned()),
        };
        let place = format!("/components/messages/{}/payload", escaped(&name));
        self.asyncapi.check(&place, frame)
    }

    /// Whether the value is one of the schema that stands there in the OpenAPI document.
    pub(crate) fn check_openapi(&self, place: &str, value: &Value) -> Result<(), String> {
        self.openapi.check(place, value)
    }

    /// Whether the value is one of the schema that stands there in the `AsyncAPI` document.
    pub(crate) fn check_asyncapi(&self, place: &str, value: &Value) -> Result<(), String> {
        self.asyncapi.check(place, value)
    }
}

impl Described {
    fn new(document: Value) -> Self {
        let named = document["components"]["schemas"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let with = |is_part: bool| -> Map<String, Value> {
            let closed = named
                .iter()
                .map(|(name, schema)| (name.clone(), closed(schema, is_part)));
            closed.collect()
        };
        Self {
            components: json!({"schemas": with(true), "closed": with(false)}),
            document,
            checks: Mutex::default(),
        }
    }

    fn check(&self, place: &str, value: &Value) -> Result<(), String> {
        let check = self.check_of(place)?;
        let errors: Vec<_> = check
            .iter_errors(value)
            .map(|error| format!("{}: {error:.300}", error.instance_path()))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("; "))
        }
    }

    fn check_of(&self, place: &str) -> Result<Arc<Validator>, String> {
        let mut checks = self.checks.lock().unwrap();
        if let Some(check) = checks.get(place) {
            return Ok(Arc::clone(check));
        }
        let schema = self.document.pointer(place);
        let schema = schema.ok_or_else(|| format!("{place} is not declared"))?;
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": "#/checked",
            "checked": closed(schema, false),
            "components": self.components,
        });
        let check = jsonschema::options().should_validate_formats(true).build(&whole);
        let check = Arc::new(check.map_err(|error| format!("{place} is no schema: {error}"))?);
        checks.insert(place.to_owned(), Arc::clone(&check));
        Ok(check)
    }
}

/// The schema without room for what it does not describe. A part of an `allOf` leaves room for the other parts; the whole does
/// not.
fn closed(schema: &Value, is_part: bool) -> Value {
    let Some(words) = schema.as_object() else {
        return schema.clone();
    };
    let mut closed_words = Map::new();
    for (word, value) in words {
        let value = match word.as_str() {
            "$ref" if !is_part => json!(text(value).replace("/components/schemas/", "/components/closed/")),
            "properties" => each(value, |value| closed(value, false)),
            "items" | "additionalProperties" => closed(value, false),
            "allOf" => each(value, |value| closed(value, true)),
            "oneOf" | "anyOf" => each(value, |value| closed(value, is_part)),
            _ => value.clone(),
        };
        closed_words.insert(word.clone(), value);
    }
    let is_object = words.contains_key("allOf") || words.get("type") == Some(&json!("object"));
    if is_object && !is_part && !words.contains_key("additionalProperties") {
        closed_words.insert("unevaluatedProperties".to_owned(), json!(false));
    }
    Value::Object(closed_words)
}

fn each(value: &Value, change: impl Fn(&Value) -> Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), change(value)))
            .collect(),
        Value::Array(items) => items.iter().map(change).collect(),
        other => other.clone(),
    }
}

/// Whether the path is one of the template's.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(word, given)| word.starts_with('{') && !given.is_empty() || *word == given)
}

/// As it stands in a JSON pointer.
fn escaped(word: &str) -> String {
    word.replace('~', "~0").replace('/', "~1")
}

fn body(reply: &Reply) -> Result<Value, String> {
    serde_json::from_slice(&reply.body).map_err(|error| format!("the body is not JSON: {error}"))
}

fn check_headers(declared: &Value, headers: &HeaderMap) -> Result<(), String> {
    let declared: HashMap<String, &Value> = declared["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, header)| (name.to_lowercase(), header))
        .collect();
    for (name, header) in &declared {
        let value = headers.get(name).map(|value| value.to_str().unwrap_or_default());
        match value {
            Some(value) if header["schema"]["type"] == "integer" && value.parse::<u64>().is_err() => {
                return Err(format!("{name}: {value} is no number"));
            }
            None if header["required"] == true => return Err(format!("{name} is missing")),
            Some(_) | None => {}
        }
    }
    let mut names = headers.keys().map(hyper::header::HeaderName::as_str);
    let unknown = names.find(|name| !declared.contains_key(*name) && !OF_HTTP.contains(name));
    unknown.map_or(Ok(()), |name| Err(format!("the header {name} is not declared")))
}
