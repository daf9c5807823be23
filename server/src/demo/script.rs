//! The script of the demo, as its file spells it.

use anyhow::Context as _;
use serde::Deserialize;

/// The file.
pub(super) const TEXT: &str = include_str!("rooms.toml");

/// Who there is and what happens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    pub(super) people: Vec<Person>,
    pub(super) rooms: Vec<Room>,
}

/// Somebody.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub(super) handle: String,
    pub(super) display_name: String,
}

/// A room: direct if one or two are in it, else a group. Its first member opens it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Room {
    pub(super) members: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// Something that happens in a room. People are called by their handles.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Step {
    /// `by` says something.
    Say {
        by: String,
        says: String,
        #[serde(default)]
        mentions: Vec<String>,
        /// What later steps call this message.
        label: Option<String>,
        /// The message it answers.
        answers: Option<String>,
    },
    /// `by` lets people in.
    Invite { by: String, invites: Vec<String> },
    /// `by` gives the room another name.
    Rename { by: String, renames: String },
    /// Somebody leaves.
    Leave { leaves: String },
    /// These people have read everything so far.
    Read { read_by: Vec<String> },
}

impl Script {
    pub(super) fn load() -> anyhow::Result<Self> {
        toml::from_str(TEXT).context("the script of the demo is not understood")
    }
}
