//! How long and how large what people send may be, as schemas: from the types and limits that enforce it.
//!
//! A field, parameter or header names one of them as its `value_type`. Limits can be configured, so the schemas are those of
//! `Limits::default()` until [`fill`] has made them those of this server. A length in JSON Schema is counted in Unicode code
//! points; texts are counted in scalar values, which is the same number for every text that is one. What none of this can say
//! (that somebody exists, that a name is free) is a refusal with a code of its own.

use std::borrow::Cow;

use cocotalk_application::position::{Cursor, Position};
use cocotalk_domain::limits::{ALBUM_ITEMS, Limits, SEQ_MAX};
use cocotalk_domain::text::{self, Shape};
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::auth::TOKEN_BYTES;
use crate::page::{DEFAULT_ITEMS, PAGE_CURSOR_CHARS};

macro_rules! bounds {
    ($($(#[doc = $doc:literal])+ $name:ident: |$limits:pat_param| $schema:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl $name {
                /// For a server with these limits.
                pub fn of($limits: &Limits) -> Schema {
                    Schema::from($schema.description(Some(concat!($($doc),+).trim_start())))
                }
            }

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    Self::of(&Limits::default()).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )+

        /// Each of them by its name.
        const ALL: &[(&str, fn(&Limits) -> Schema)] = &[$((stringify!($name), $name::of)),+];
    };
}

bounds! {
    /// What people say
    MessageText: |limits| text(text::MessageText::shape(limits)).examples([json!("점심 뭐 먹지?")]);
    /// The name of a room, or somebody's own name for it: one line
    RoomName: |limits| text(text::RoomName::shape(limits)).examples([json!("주말 등산")]);
    /// What stands above a room
    Notice: |limits| text(text::Notice::shape(limits)).examples([json!("점심은 냉면!")]);
    /// The name that others see: one line
    DisplayName: |limits| text(text::DisplayName::shape(limits)).examples([json!("보람")]);
    /// The name to be found by
    Handle: |limits| text(text::Handle::shape(limits)).examples([json!("boram_kim")]);
    /// One Unicode emoji
    Emoji: |_| string().min_length(Some(1)).max_length(Some(text::Emoji::MAX_CHARS)).examples([json!("👍")]);
    /// The people who are mentioned; repetitions count once, so a longer list may do if it has them
    Mentions: |limits| ids(0, limits.mentions);
    /// The others of a new group; repetitions and you yourself count once, so a longer list may do if it has them
    GroupMembers: |limits| ids(limits.group_min_members.saturating_sub(1), limits.group_create_members.saturating_sub(1));
    /// Who is invited; repetitions and members count once
    Invited: |limits| ids(1, limits.group_max_members);
    /// Uploads, in order
    MediaIds: |_| ids(1, ALBUM_ITEMS);
    /// A place in a room
    SeqNumber: |_| integer(0, SEQ_MAX).examples([json!(12)]);
    /// A place in a room or a version of it, which may be one that is not there yet
    AnyNumber: |_| integer(0, u64::MAX);
    /// Most items of a page
    PageLimit: |limits| integer(1, limits.page_items as u64).default(Some(DEFAULT_ITEMS.min(limits.page_items).into()));
    /// `next_cursor` of the page before
    PageCursor: |_| string().min_length(Some(1)).max_length(Some(PAGE_CURSOR_CHARS)).pattern(Some(BASE64URL));
    /// Where a live socket has come
    LiveCursor: |_| string().max_length(Some(Cursor::MAX_CHARS)).pattern(Some(BASE64URL));
    /// An access token
    AccessToken: |_| string().max_length(Some(TOKEN_BYTES)).examples([json!("<access token>")]);
    /// The id of a command, chosen by who sends it
    Key: |_| id();
    /// Places in the log, as they were answered
    Positions: |_| string().max_length(Some(Position::MAX_CHARS)).pattern(Some(Position::PATTERN));
}

const BASE64URL: &str = "^[A-Za-z0-9_-]*$";

/// Adds those that parameters name, which nothing else gathers.
pub fn gather(openapi: &mut OpenApi) {
    let operations = openapi.paths.paths.values().flat_map(|item| {
        let all = [&item.get, &item.post, &item.put, &item.patch, &item.delete];
        all.into_iter()
            .flatten()
            .flat_map(|operation| operation.parameters.iter().flatten())
    });
    let named: Vec<_> = operations
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => parameter.schema.as_ref().map(|schema| json!(schema).to_string()),
            RefOr::Ref(_) => None,
        })
        .collect();
    let components = openapi.components.get_or_insert_default();
    for (name, of) in ALL {
        let reference = json!(Ref::from_schema_name(*name))["$ref"].to_string();
        if named.iter().any(|schema| schema.contains(&reference)) {
            components
                .schemas
                .insert((*name).to_owned(), of(&Limits::default()).into());
        }
    }
}

/// Makes those that are named among these schemas the ones of a server with these limits.
pub fn fill(components: &mut Components, limits: &Limits) {
    for (name, of) in ALL {
        if let Some(schema) = components.schemas.get_mut(*name) {
            *schema = of(limits).into();
        }
    }
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn text(shape: Shape) -> ObjectBuilder {
    string()
        .min_length(Some(shape.min))
        .max_length(Some(shape.max))
        .pattern(Some(shape.of.pattern()))
}

fn integer(least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least))
        .maximum(Some(most))
}

fn id() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

fn ids(least: usize, most: usize) -> ArrayBuilder {
    ArrayBuilder::new()
        .items(id())
        .min_items((least > 0).then_some(least))
        .max_items(Some(most))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use jsonschema::Validator;
    use proptest::prelude::*;

    use super::*;

    fn small() -> Limits {
        Limits {
            text_chars: 5,
            room_name_chars: 4,
            display_name_chars: 3,
            handle_max_chars: 6,
            ..Limits::default()
        }
    }

    fn validator(of: impl Fn(&Limits) -> Schema) -> Validator {
        jsonschema::validator_for(&json!(of(&small()))).expect("it is a schema")
    }

    /// Short texts of what is on either side of every line that is drawn: controls, white space of all kinds, letters, emoji.
    fn texts() -> impl Strategy<Value = String> {
        let edges = "\0\u{1}\t\n\u{1f} \u{7f}\u{85}\u{9f}\u{a0}\u{1680}\u{180e}\u{2000}\u{200a}\u{200b}\u{2028}\u{2029}\u{202f}\
            \u{205f}\u{3000}\u{feff}az09_.AZ가😀";
        let edge = prop::sample::select(edges.chars().collect::<Vec<_>>());
        let any = prop_oneof![4 => edge, 1 => any::<char>(), 2 => Just('a')];
        prop::collection::vec(any, 0..8).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_text_fits_its_schema_where_it_is_taken(given in texts()) {
            let limits = small();
            let taken = [
                (validator(MessageText::of), text::MessageText::parse(&given, &limits).is_ok()),
                (validator(RoomName::of), text::RoomName::parse(&given, &limits).is_ok()),
                (validator(Notice::of), text::Notice::parse(&given, &limits).is_ok()),
                (validator(DisplayName::of), text::DisplayName::parse(&given, &limits).is_ok()),
                (validator(Handle::of), text::Handle::parse(&given, &limits).is_ok()),
            ];
            for (schema, is_taken) in taken {
                prop_assert_eq!(schema.is_valid(&json!(given)), is_taken, "{:?}", given);
            }
        }

        #[test]
        fn a_position_that_fits_is_taken_and_every_one_that_is_given_fits(
            places in prop::collection::vec((0_usize..64, 0..10_u64.pow(18)), 1..5),
        ) {
            let written = places.iter().map(|(slice, pos)| format!("{slice}:{pos}")).collect::<Vec<_>>();
            let schema = validator(Positions::of);
            for text in [written.join(","), written.join(", ")] {
                prop_assert!(schema.is_valid(&json!(text)));
                let position = Position::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert!(schema.is_valid(&json!(position.to_string())));
            }
        }
    }

    #[test]
    fn what_is_no_position_does_not_fit() {
        let schema = validator(Positions::of);
        for wrong in ["", "1", "64:1", "1:", ":1", "1:1,", "a:1", "1:-1"] {
            assert!(!schema.is_valid(&json!(wrong)), "{wrong}");
            assert!(Position::from_str(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_emoji_fits() {
        let schema = validator(Emoji::of);
        let all = emojis::iter().flat_map(|emoji| emoji.skin_tones().into_iter().flatten().chain([emoji]));
        for emoji in all {
            assert!(schema.is_valid(&json!(emoji.as_str())), "{emoji}");
        }
        assert!(!schema.is_valid(&json!("")));
    }

    #[test]
    fn the_longest_cursor_fits() {
        let cursor = Cursor([i64::MAX as u64; 64]).to_string();
        assert!(validator(LiveCursor::of).is_valid(&json!(cursor)));
    }

    #[test]
    fn limits_of_a_server_are_in_its_description() {
        let mut components = Components::new();
        components
            .schemas
            .insert("MessageText".to_owned(), MessageText::schema());
        fill(&mut components, &small());
        assert_eq!(json!(components.schemas["MessageText"])["maxLength"], 5);
        assert_eq!(components.schemas.len(), 1);
    }
}
