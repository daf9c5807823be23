//! Every bound that a user can meet, named, with its reason.

use serde::{Deserialize, Serialize};

/// Characters of a text that are sealed apart as its preview, since a projector cannot cut sealed bytes.
pub const PREVIEW_CHARS: usize = 100;
/// Highest number that `unread_member_count` shows: beyond it nobody counts.
pub const UNREAD_MEMBERS_SHOWN: u64 = 99;
/// Members shown in a room's composite picture.
pub const MEMBERS_SAMPLE: usize = 4;
/// Largest room for which read positions are told live and in history: beyond it the traffic grows with the square.
pub const READS_SHOWN_MEMBERS: u32 = 100;
/// Highest seq that is taken from outside: every one up to it is exact in a double, which is what JSON numbers are to many
/// clients.
pub const SEQ_MAX: u64 = (1 << 53) - 1;
/// Most uploads of one message.
pub const ALBUM_ITEMS: usize = 30;

/// The bounds that `/v1/limits` shows; the section `[limits]` of the configuration. Characters are Unicode scalar values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest text of a message, characters (10,000: at most 40 KB of UTF-8, so a row stays small).
    pub text_chars: usize,
    /// Longest name of a room, characters (50, as the original's clients allow).
    pub room_name_chars: usize,
    /// Longest status message, characters (60).
    pub status_message_chars: usize,
    /// Longest display name, characters (20).
    pub display_name_chars: usize,
    /// Shortest handle, characters (4).
    pub handle_min_chars: usize,
    /// Longest handle, characters (20).
    pub handle_max_chars: usize,
    /// Fewest members of a group when it is created, creator included (3: two people have a direct room).
    pub group_min_members: usize,
    /// Most members of a group when it is created (1,500: one event names them all).
    pub group_create_members: usize,
    /// Most members a group can grow to (3,000).
    pub group_max_members: usize,
    /// Most friends of a person (5,000).
    pub friends: usize,
    /// Most people mentioned in one message (50).
    pub mentions: usize,
    /// How long an author may edit and delete a message, seconds (86,400: a day).
    pub message_change_s: u64,
    /// Most kinds of reactions on one message (20: what a line of a screen holds).
    pub reaction_kinds: usize,
    /// Most messages that a person hides from themselves in one room (1,000: every socket of theirs keeps them in mind).
    pub hidden_messages: usize,
    /// Largest upload, bytes (200 MB).
    pub upload_bytes: u64,
    /// Largest page of a list or a timeline, items (100).
    pub page_items: usize,
    /// Largest frame a client may send, bytes (64 KiB: a text of 10,000 characters fits).
    pub frame_bytes: usize,
    /// Largest body of a JSON request, bytes (256 KiB: 1,500 ids fit).
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_chars: 10_000,
            room_name_chars: 50,
            status_message_chars: 60,
            display_name_chars: 20,
            handle_min_chars: 4,
            handle_max_chars: 20,
            group_min_members: 3,
            group_create_members: 1_500,
            group_max_members: 3_000,
            friends: 5_000,
            mentions: 50,
            message_change_s: 86_400,
            reaction_kinds: 20,
            hidden_messages: 1_000,
            upload_bytes: 200_000_000,
            page_items: 100,
            frame_bytes: 64 * 1024,
            body_bytes: 256 * 1024,
        }
    }
}
