//! What people do, and the call that does it.

use serde_json::{Map, Value, json};

use crate::harness::client::Call;
use crate::harness::person::Person;
use crate::model::Model;
use crate::model::room::{Allowed, Role, Who};

/// A change to a value that may be absent: none, to nothing, to this.
pub(crate) type Change<T> = Option<Option<T>>;

/// Kinds of acts, by their names.
pub(crate) const KINDS: usize = 16;

/// One command of one person. Rooms are named by their place in the model.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    OpenGroup {
        with: Vec<Who>,
        name: Option<String>,
    },
    OpenDirect {
        with: Who,
    },
    Say {
        room: usize,
        text: String,
        reply_to: Option<String>,
        mentions: Vec<Who>,
    },
    Edit {
        room: usize,
        message: String,
        text: String,
    },
    Delete {
        room: usize,
        message: String,
    },
    Hide {
        room: usize,
        message: String,
    },
    React {
        room: usize,
        message: String,
        emoji: &'static str,
        puts: bool,
    },
    Read {
        room: usize,
        seq: u64,
    },
    Prefer {
        room: usize,
        muted_until: Change<&'static str>,
        pinned: Option<bool>,
        alias: Change<String>,
    },
    Alter {
        room: usize,
        name: Change<String>,
        notice: Change<String>,
        rename_by: Option<Allowed>,
        invite_by: Option<Allowed>,
    },
    Invite {
        room: usize,
        guests: Vec<Who>,
    },
    Kick {
        room: usize,
        whom: Who,
    },
    GiveRole {
        room: usize,
        whom: Who,
        role: Role,
    },
    Leave {
        room: usize,
    },
}

impl Act {
    /// The room it is in, if there is one yet.
    pub(crate) fn room(&self) -> Option<usize> {
        match self {
            Self::OpenGroup { .. } | Self::OpenDirect { .. } => None,
            Self::Say { room, .. }
            | Self::Edit { room, .. }
            | Self::Delete { room, .. }
            | Self::Hide { room, .. }
            | Self::React { room, .. }
            | Self::Read { room, .. }
            | Self::Prefer { room, .. }
            | Self::Alter { room, .. }
            | Self::Invite { room, .. }
            | Self::Kick { room, .. }
            | Self::GiveRole { room, .. }
            | Self::Leave { room } => Some(*room),
        }
    }

    /// What kind of act it is.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::OpenGroup { .. } => "open group",
            Self::OpenDirect { .. } => "open direct",
            Self::Say { reply_to: None, .. } => "say",
            Self::Say { reply_to: Some(_), .. } => "reply",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Hide { .. } => "hide",
            Self::React { puts: true, .. } => "react",
            Self::React { puts: false, .. } => "take back",
            Self::Read { .. } => "read",
            Self::Prefer { .. } => "prefer",
            Self::Alter { .. } => "alter",
            Self::Invite { .. } => "invite",
            Self::Kick { .. } => "kick",
            Self::GiveRole { .. } => "give role",
            Self::Leave { .. } => "leave",
        }
    }

    /// The call that does it.
    pub(crate) fn call(&self, model: &Model, people: &[Person], by: Who) -> Call {
        let me = &people[by];
        let room = |room: &usize| format!("/v1/rooms/{}", model.rooms[*room].id);
        let at = |place: &usize, message: &str| format!("{}/messages/{message}", room(place));
        let ids = |people_named: &[Who]| -> Vec<&String> { people_named.iter().map(|who| &people[*who].id).collect() };
        match self {
            Self::OpenGroup { with, name } => {
                let mut body = json!({"kind": "group", "user_ids": ids(with)});
                body.as_object_mut()
                    .unwrap()
                    .extend(name.iter().map(|name| ("name".to_owned(), json!(name))));
                me.post("/v1/rooms", &body)
            }
            Self::OpenDirect { with } => me.post("/v1/rooms", &json!({"kind": "direct", "user_id": people[*with].id})),
            Self::Say {
                room: place,
                text,
                reply_to,
                mentions,
            } => {
                let mut body = json!({"kind": "text", "text": text, "mentions": ids(mentions)});
                if let Some(message) = reply_to {
                    body["reply_to"] = json!(message);
                }
                me.post(format!("{}/messages", room(place)), &body)
            }
            Self::Edit { room, message, text } => me.patch(at(room, message), &json!({"text": text})),
            Self::Delete { room, message } => me.delete(at(room, message)),
            Self::Hide { room, message } => me.delete(format!("{}?for=me", at(room, message))),
            Self::React {
                room,
                message,
                emoji,
                puts,
            } => {
                let method = if *puts { "PUT" } else { "DELETE" };
                me.call(method, format!("{}/reactions/{}", at(room, message), in_a_path(emoji)))
            }
            Self::Read { room: place, seq } => me.put(format!("{}/read-marker", room(place)), &json!({"seq": seq})),
            Self::Prefer {
                room: place,
                muted_until,
                pinned,
                alias,
            } => {
                let body = body_of([
                    ("muted_until", muted_until.as_ref().map(|until| json!(until))),
                    ("pinned", pinned.map(Value::Bool)),
                    ("alias", alias.as_ref().map(|alias| json!(alias))),
                ]);
                me.put(format!("{}/preferences", room(place)), &body)
            }
            Self::Alter {
                room: place,
                name,
                notice,
                rename_by,
                invite_by,
            } => {
                let settings = body_of([
                    ("rename_by", rename_by.map(|by| json!(by.word()))),
                    ("invite_by", invite_by.map(|by| json!(by.word()))),
                ]);
                let body = body_of([
                    ("name", name.as_ref().map(|name| json!(name))),
                    ("notice", notice.as_ref().map(|notice| json!(notice))),
                    ("settings", Some(settings)),
                ]);
                me.patch(room(place), &body)
            }
            Self::Invite { room: place, guests } => {
                me.post(format!("{}/members", room(place)), &json!({"user_ids": ids(guests)}))
            }
            Self::Kick { room, whom } => me.kicking(&model.rooms[*room].id, &people[*whom]),
            Self::GiveRole { room, whom, role } => me.giving(&model.rooms[*room].id, &people[*whom], role.word()),
            Self::Leave { room } => me.leaving(&model.rooms[*room].id),
        }
    }
}

/// An object of those fields that are there.
fn body_of<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

/// How a text is written in a path.
fn in_a_path(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |path, byte| path + &format!("%{byte:02X}"))
}
