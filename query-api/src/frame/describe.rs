//! What each type of frame carries, for the descriptions of HTTP and of the socket alike.
//!
//! To add a type, add its line to [`TYPES`]: a test compares them with [`Type`].

use std::borrow::Cow;

use utoipa::openapi::schema::{self, AnyOfBuilder, ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Components, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{
    Created, Frame, Members, NameChange, Nothing, NoticeChange, ReactionChange, Reads, SeatChange, SettingsChange,
    Type, Unread,
};
use crate::item::Item;

/// The name of a schema.
type Name = fn() -> Cow<'static, str>;

/// Each type with what its data may be.
const TYPES: &[(Type, &[Name])] = &[
    (Type::MessageSent, &[Item::name]),
    (Type::MessageEdited, &[Item::name]),
    (Type::MessageDeleted, &[Item::name]),
    (Type::ReactionChanged, &[ReactionChange::name]),
    (Type::RoomCreated, &[Created::name]),
    (
        Type::RoomChanged,
        &[
            NameChange::name,
            NoticeChange::name,
            SettingsChange::name,
            Nothing::name,
        ],
    ),
    (Type::RoomClosed, &[Nothing::name]),
    (Type::MemberJoined, &[Members::name]),
    (Type::MemberLeft, &[Members::name]),
    (Type::MemberKicked, &[Members::name]),
    (Type::MemberRoleChanged, &[Members::name]),
    (Type::ReadAdvanced, &[Reads::name]),
    (Type::UnreadChanged, &[Unread::name]),
    (Type::SeatChanged, &[SeatChange::name]),
];

/// The frames of each type, by the name of their schema: `event.` and the type.
pub(crate) fn events() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    TYPES.iter().map(|(of, data)| {
        let word = word(*of);
        let mut frame = ObjectBuilder::from(frame());
        let only = ObjectBuilder::new()
            .schema_type(schema::Type::String)
            .enum_values(Some([word.as_str()]));
        frame = frame.property("type", only).property("data", any(data));
        (format!("event.{word}"), Schema::from(frame).into())
    })
}

/// Makes `Frame` any of the frames of each type, so that data is told apart by the type.
pub(crate) fn tell_types_apart(components: &mut Components) {
    let Some(RefOr::T(Schema::Object(frame))) = components.schemas.get("Frame") else {
        return;
    };
    let mut one = OneOfBuilder::new().description(frame.description.clone());
    for (name, schema) in events() {
        one = one.item(Ref::from_schema_name(&name));
        components.schemas.insert(name, schema);
    }
    components.schemas.insert("Frame".to_owned(), Schema::from(one).into());
    for name in ["FrameData", "FrameType"] {
        components.schemas.remove(name);
    }
}

fn frame() -> schema::Object {
    match Frame::schema() {
        RefOr::T(Schema::Object(frame)) => frame,
        _ => unreachable!("a struct is described as an object"),
    }
}

/// The type as it is written.
fn word(of: Type) -> String {
    let word = serde_json::to_value(of).expect("a word is plain data");
    word.as_str().expect("a type is a word").to_owned()
}

fn any(data: &[Name]) -> RefOr<Schema> {
    let names = data.iter().map(|name| Ref::from_schema_name(name()));
    match data {
        [name] => Ref::from_schema_name(name()).into(),
        _ => Schema::from(names.fold(AnyOfBuilder::new(), AnyOfBuilder::item)).into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_says_what_its_data_is() {
        let described: Vec<String> = TYPES.iter().map(|(of, _)| word(*of)).collect();
        let schema = serde_json::to_value(Type::schema()).unwrap();
        assert_eq!(schema["enum"], json!(described));
    }
}
