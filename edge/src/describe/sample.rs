//! Samples of what a schema describes: an example of everything, without one being written for everything.

use serde_json::{Map, Value, json};
use utoipa::openapi::Components;

/// The schemas that may be named, to make samples from.
#[derive(Clone, Debug, Default)]
pub struct Samples(Map<String, Value>);

impl Samples {
    /// Of these components.
    pub fn new(components: &Components) -> Self {
        let schemas = components.schemas.iter();
        Self(schemas.map(|(name, schema)| (name.clone(), json!(schema))).collect())
    }

    /// One value that fits: the schema's own example, else what follows from its parts. An object has what it must have, and
    /// what has an example of its own.
    pub fn of(&self, schema: &impl serde::Serialize) -> Value {
        self.sample(&json!(schema))
    }

    fn sample(&self, schema: &Value) -> Value {
        let own = schema.get("example").or_else(|| schema["examples"].get(0));
        let fixed = schema.get("const").or_else(|| schema["enum"].get(0));
        if let Some(value) = own.or(fixed) {
            return value.clone();
        }
        if let Some(named) = self.named(schema) {
            return self.sample(named);
        }
        if let Some(one) = variants(schema).find(|one| one["type"] != "null") {
            return self.sample(one);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| self.sample(part));
            return parts.filter_map(|part| part.as_object().cloned()).flatten().collect();
        }
        self.plain(schema)
    }

    fn has_example(&self, schema: &Value) -> bool {
        let own = schema.get("example").or_else(|| schema.get("examples"));
        own.is_some()
            || self.named(schema).is_some_and(|named| self.has_example(named))
            || variants(schema).any(|one| self.has_example(one))
    }

    fn named(&self, schema: &Value) -> Option<&Value> {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        self.0.get(name)
    }

    fn plain(&self, schema: &Value) -> Value {
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match (kind.unwrap_or("object"), schema["format"].as_str()) {
            ("string", Some("uuid")) => json!("0198c0de-7a1c-7000-8000-000000000001"),
            ("string", Some("date-time")) => json!("2026-03-01T09:30:00.000Z"),
            ("string", _) => json!("string"),
            ("integer" | "number", _) => json!(schema["minimum"].as_u64().unwrap_or(0).max(1)),
            ("boolean", _) => json!(false),
            ("array", _) => json!([self.sample(&schema["items"])]),
            _ => self.object(schema),
        }
    }

    fn object(&self, schema: &Value) -> Value {
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let fields = schema["properties"].as_object().into_iter().flatten();
        let shown = fields.filter(|(name, field)| required.contains(&name.as_str()) || self.has_example(field));
        shown.map(|(name, field)| (name.clone(), self.sample(field))).collect()
    }
}

fn variants(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = [&schema["oneOf"], &schema["anyOf"]];
    lists.into_iter().filter_map(Value::as_array).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_what_it_must_have_and_what_has_an_example() {
        let samples = Samples::default();
        let schema = json!({
            "type": "object",
            "required": ["id", "at", "size", "tags"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "at": {"type": ["string", "null"], "format": "date-time"},
                "size": {"type": "integer", "minimum": 3},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
                "text": {"type": "string", "examples": ["점심"]},
                "alias": {"type": "string"},
            },
        });
        let expected = json!({
            "id": "0198c0de-7a1c-7000-8000-000000000001",
            "at": "2026-03-01T09:30:00.000Z",
            "size": 3,
            "tags": ["a"],
            "text": "점심",
        });
        assert_eq!(samples.of(&schema), expected);
    }

    #[test]
    fn parts_are_put_together_and_names_looked_up() {
        let room = json!({"type": "object", "required": ["pinned"], "properties": {"pinned": {"type": "boolean"}}});
        let samples = Samples(Map::from_iter([("Room".to_owned(), room)]));
        let whole = json!({"allOf": [
            {"$ref": "#/components/schemas/Room"},
            {"type": "object", "required": ["role"], "properties": {"role": {"enum": ["owner"]}}},
        ]});
        assert_eq!(samples.of(&whole), json!({"pinned": false, "role": "owner"}));
        assert_eq!(
            samples.of(&json!({"oneOf": [whole]})),
            json!({"pinned": false, "role": "owner"})
        );
    }
}
