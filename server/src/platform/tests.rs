//! The descriptions as they are served.

use cocotalk_domain::limits::Limits;
use serde_json::{Value, json};

/// Where something is in a document, with its schema.
type Place = (String, Value);

fn document() -> Value {
    json!(super::openapi(&Limits::default()))
}

/// The schemas of all that is sent: parameters, headers, and bodies.
fn of_requests(document: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                found.push((format!("{place} {name}"), parameter["schema"].clone()));
            }
            for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                found.push((format!("{place} {kind}"), content["schema"].clone()));
            }
        }
    }
    found
}

/// Everything in a schema that may be of any length or size.
fn unbounded(document: &Value, (place, schema): Place) -> Vec<String> {
    let within = |name: &str, part: &Value| unbounded(document, (format!("{place}/{name}"), part.clone()));
    if let Some(name) = schema["$ref"].as_str() {
        let named = document.pointer(name.trim_start_matches('#'));
        return within("", named.unwrap_or_else(|| panic!("{place}: there is no {name}")));
    }
    let has = |bound: &str| !schema[bound].is_null();
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let is_bounded = |kind: &&str| match *kind {
        "string" => {
            has("maxLength") || has("enum") || ["uuid", "date-time"].contains(&schema["format"].as_str().unwrap_or(""))
        }
        "integer" => has("minimum") && has("maximum"),
        "array" => has("maxItems"),
        "object" => schema["additionalProperties"] == false,
        _ => true,
    };
    let own = kinds
        .iter()
        .filter(|kind| !is_bounded(kind))
        .map(|kind| format!("{place}: {kind}"));
    let mut found: Vec<String> = own.collect();
    for parts in ["oneOf", "anyOf", "allOf"] {
        found.extend(
            schema[parts]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|part| within(parts, part)),
        );
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    found.extend(fields.flat_map(|(name, field)| within(name, field)));
    if has("items") {
        found.extend(within("items", &schema["items"]));
    }
    found
}

#[test]
fn everything_that_is_sent_has_bounds() {
    let document = document();
    let places = of_requests(&document);
    assert!(places.len() > 50, "{} places are all there are?", places.len());
    let found: Vec<String> = places
        .into_iter()
        .flat_map(|place| unbounded(&document, place))
        .collect();
    assert_eq!(found, [""; 0]);
}
