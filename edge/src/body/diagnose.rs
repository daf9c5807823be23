//! Why a body was refused, found out after the fact: first whether it is JSON at all, then which field is wrong.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::problem::{Code, FieldError, Problem};

/// Longest detail, characters: a message may quote what was sent.
const DETAIL_CHARS: usize = 200;
/// Largest body whose fields are tried one after another, bytes: in a larger one the search would take longer than a
/// request may hold its thread.
const SEARCHED_BYTES: usize = 8 * 1_024;
/// The fields that tell the variants of a request or of a frame apart.
const TAGS: [&str; 2] = ["kind", "op"];

/// The problem with a body that parsed although it is no object.
pub(super) fn not_an_object(bytes: &[u8]) -> Problem {
    match json(bytes) {
        Ok(_) => Problem::invalid_field("", "wrong_type", "an object is expected"),
        Err(problem) => problem,
    }
}

/// The problem with a body that did not parse as a `T`.
pub(super) fn refusal<T: DeserializeOwned>(bytes: &[u8]) -> Problem {
    let value = match json(bytes) {
        Ok(value) if value.is_object() => value,
        Ok(_) => return not_an_object(bytes),
        Err(problem) => return problem,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return Problem::new(Code::InvalidFields);
    };
    let message = without_place(&error.inner().to_string());
    let mut pointer = pointer(error.path());
    let code = match quoted(&message) {
        Some(("missing field", field)) => {
            push(&mut pointer, field);
            "missing"
        }
        Some(("unknown field", field)) => {
            point_at_last(&mut pointer, field);
            "unknown_field"
        }
        Some(("duplicate field", field)) => {
            point_at_last(&mut pointer, field);
            "duplicate_field"
        }
        _ => {
            if pointer.is_empty()
                && bytes.len() <= SEARCHED_BYTES
                && let Some(field) = culprit::<T>(&value)
            {
                push(&mut pointer, &field);
            }
            if message.starts_with("invalid type") {
                "wrong_type"
            } else {
                "invalid_value"
            }
        }
    };
    Problem::invalid_fields(vec![FieldError::new(pointer, code, shorten(&message))])
}

/// The body as JSON, or why it is none. Stricter than skipping over what nobody reads: all text is UTF-8 without lone
/// surrogates, and nothing is nested deeper than the parser follows.
fn json(bytes: &[u8]) -> Result<Value, Problem> {
    let malformed = |detail: String| Problem::new(Code::MalformedJson).detail(detail);
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(malformed(format!("byte {} is not UTF-8", error.valid_up_to())));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(shorten(&error.to_string())))
}

/// The field of an object that makes it no `T`, where the parser does not say: inside of a type that is told by its tag, it
/// has lost the way. It is the one without which the message is another.
fn culprit<T: DeserializeOwned>(value: &Value) -> Option<String> {
    /// Fields tried at most; no request has as many.
    const FIELDS: usize = 32;
    let message = |value: Value| serde_json::from_value::<T>(value).err().map(|error| error.to_string());
    let (whole, object) = (message(value.clone())?, value.as_object()?);
    let makes_it = |field: &&String| {
        let mut rest = object.clone();
        rest.remove(*field);
        message(Value::Object(rest)).as_ref() != Some(&whole)
    };
    // Without the tag everything is another type, so it is suspected last.
    let (tag, fields): (Vec<_>, Vec<_>) = object
        .keys()
        .take(FIELDS)
        .partition(|field| TAGS.contains(&field.as_str()));
    fields.into_iter().chain(tag).find(makes_it).cloned()
}

/// What kind of message, and the field it names: "missing field `x`".
fn quoted(message: &str) -> Option<(&str, &str)> {
    let (kind, rest) = message.split_once(" `")?;
    Some((kind, rest.split_once('`')?.0))
}

/// The message without " at line 1 column 2": the pointer says where.
fn without_place(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
        .to_owned()
}

/// What is told of a message, which may quote all that was sent.
pub fn shorten(message: &str) -> String {
    match message.char_indices().nth(DETAIL_CHARS) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message.to_owned(),
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } => push(&mut pointer, key),
            Segment::Enum { variant } => push(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

/// Points at this field of the object, whether the path ends at the object or at the field.
fn point_at_last(pointer: &mut String, field: &str) {
    let mut last = String::new();
    push(&mut last, field);
    if !pointer.ends_with(&last) {
        pointer.push_str(&last);
    }
}
