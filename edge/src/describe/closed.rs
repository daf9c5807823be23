//! Bodies that are told apart by a tag, as objects that have no other fields.

use utoipa::openapi::schema::{AdditionalProperties, Object};
use utoipa::openapi::{Components, RefOr, Schema};

/// Makes each variant of the enum one object, which has the fields of its type and the tag, and refuses any other.
///
/// The derived schema is that of the type and that of the tag, both of which hold: closed apart, each would refuse the fields of
/// the other.
pub fn close(components: &mut Components, tagged: &str) {
    let Some(RefOr::T(Schema::OneOf(mut one_of))) = components.schemas.remove(tagged) else {
        return;
    };
    let mut joined = Vec::new();
    for variant in &mut one_of.items {
        if let RefOr::T(Schema::AllOf(all_of)) = variant {
            let mut object = Object::default();
            for part in &all_of.items {
                join(&mut object, part, components, &mut joined);
            }
            object.description.clone_from(&all_of.description);
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            *variant = Schema::Object(object).into();
        }
    }
    for name in joined {
        components.schemas.remove(&name);
    }
    components
        .schemas
        .insert(tagged.to_owned(), Schema::OneOf(one_of).into());
}

fn join(object: &mut Object, part: &RefOr<Schema>, components: &Components, joined: &mut Vec<String>) {
    match part {
        RefOr::T(Schema::Object(part)) => {
            object.properties.extend(part.properties.clone());
            object.required.extend(part.required.clone());
        }
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            if let Some(named) = components.schemas.get(name) {
                join(object, named, components, joined);
                joined.push(name.to_owned());
            }
        }
        RefOr::T(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::ToSchema;

    use super::*;
    use crate::message::PostMessage;

    #[test]
    fn a_kind_has_its_own_fields_and_no_others() {
        let mut found = Vec::new();
        <PostMessage as ToSchema>::schemas(&mut found);
        found.push((
            PostMessage::name().into_owned(),
            <PostMessage as utoipa::PartialSchema>::schema(),
        ));
        let mut components = Components::new();
        components.schemas.extend(found);
        close(&mut components, "PostMessage");
        let message = json!(components.schemas["PostMessage"]);
        let text = &message["oneOf"][0];
        assert_eq!(text["additionalProperties"], false);
        assert_eq!(text["required"], json!(["text", "kind"]));
        assert_eq!(text["properties"]["kind"]["enum"], json!(["text"]));
        assert!(text["properties"]["mentions"].is_object(), "{text}");
        assert_eq!(message["oneOf"].as_array().unwrap().len(), 5);
        assert!(!components.schemas.contains_key("PostText"));
    }
}
