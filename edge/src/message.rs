//! A message as people send it. It comes through two doors, HTTP and the live socket, and is the same command behind both:
//! same parsing, same fingerprint, same answer.

use axum::http::Method;
use cocotalk_application::command_bus::Accepted;
use cocotalk_application::sealing::DataKey;
use cocotalk_application::use_case::send_message::SendMessage;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::limits::{ALBUM_ITEMS, Limits};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::text::MessageText;
use cocotalk_domain::time::Instant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::body::canonical;
use crate::command::{Commands, FieldErrors, Order};
use crate::describe::bounds;
use crate::idempotency::fingerprint;
use crate::problem::{Code, FieldError, Problem};

/// A message to a room.
///
/// It is read through `Fields`, so that what is wrong is said with its place: a type that is told apart by a tag loses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Fields")]
pub enum PostMessage {
    /// Words.
    Text(PostText),
    /// One photo.
    Photo(PostMedia),
    /// One video.
    Video(PostMedia),
    /// One file.
    File(PostMedia),
    /// Several photos and videos.
    Album(PostMedia),
}

/// What people say in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PostText {
    /// What is said.
    #[schema(value_type = bounds::MessageText)]
    pub text: String,
    /// The message it answers; one the author may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, required = false)]
    pub reply_to: Option<MessageId>,
    /// Members who are mentioned; repetitions count once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<bounds::Mentions>, required = false)]
    pub mentions: Vec<UserId>,
}

/// A message that is said, over HTTP and over the socket alike.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct MessageSent {
    /// The room.
    #[schema(value_type = Uuid)]
    pub room_id: RoomId,
    /// The message.
    #[schema(value_type = Uuid)]
    pub message_id: MessageId,
    /// Its place in the room.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// The room's version with it.
    #[schema(minimum = 1)]
    pub version: u64,
    /// When it was said, as everybody sees it.
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Instant,
}

/// What was uploaded before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PostMedia {
    /// The uploads, in order.
    #[schema(value_type = bounds::MediaIds)]
    pub media_ids: Vec<Uuid>,
    /// Words with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bounds::MessageText>, required = false)]
    pub text: Option<String>,
}

/// Everything that some kind of message has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kind: Kind,
    text: Option<String>,
    reply_to: Option<MessageId>,
    mentions: Option<Vec<UserId>>,
    media_ids: Option<Vec<Uuid>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    Photo,
    Video,
    File,
    Album,
}

/// A field that this kind of message must have or cannot have; spelt as the parser spells it.
#[derive(Debug, thiserror::Error)]
enum FieldsError {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("unknown field `{0}` for this kind of message")]
    Unknown(&'static str),
}

impl TryFrom<Fields> for PostMessage {
    type Error = FieldsError;

    fn try_from(fields: Fields) -> Result<Self, FieldsError> {
        match fields.kind {
            Kind::Text => fields.into_text().map(Self::Text),
            Kind::Photo => fields.into_media().map(Self::Photo),
            Kind::Video => fields.into_media().map(Self::Video),
            Kind::File => fields.into_media().map(Self::File),
            Kind::Album => fields.into_media().map(Self::Album),
        }
    }
}

impl Fields {
    fn into_text(self) -> Result<PostText, FieldsError> {
        if self.media_ids.is_some() {
            return Err(FieldsError::Unknown("media_ids"));
        }
        Ok(PostText {
            text: self.text.ok_or(FieldsError::Missing("text"))?,
            reply_to: self.reply_to,
            mentions: self.mentions.unwrap_or_default(),
        })
    }

    fn into_media(self) -> Result<PostMedia, FieldsError> {
        if self.reply_to.is_some() {
            return Err(FieldsError::Unknown("reply_to"));
        }
        if self.mentions.is_some() {
            return Err(FieldsError::Unknown("mentions"));
        }
        Ok(PostMedia {
            media_ids: self.media_ids.ok_or(FieldsError::Missing("media_ids"))?,
            text: self.text,
        })
    }
}

/// A text that may be sent.
struct Parsed {
    text: MessageText,
    mentions: Vec<UserId>,
    reply_to: Option<MessageId>,
}

impl PostText {
    fn parse(&self, limits: &Limits) -> Result<Parsed, Problem> {
        let mut errors = FieldErrors::default();
        let text = errors.text("/text", MessageText::parse(&self.text, limits));
        let mentions = distinct(&self.mentions, limits.mentions);
        if mentions.is_none() {
            let detail = format!("at most {} people can be mentioned", limits.mentions);
            errors.push(FieldError::new("/mentions", "too_many", detail));
        }
        let (Some(text), Some(mentions)) = (text, mentions) else {
            return Err(errors.into_problem());
        };
        Ok(Parsed {
            text,
            mentions,
            reply_to: self.reply_to,
        })
    }
}

impl PostMedia {
    /// Why it is refused: there are no media yet, but what is wrong with the fields is said first.
    fn refusal(&self, limits: &Limits) -> Problem {
        let mut errors = FieldErrors::default();
        if self.media_ids.is_empty() {
            errors.push(FieldError::new("/media_ids", "too_few", "name at least one upload"));
        }
        if self.media_ids.len() > ALBUM_ITEMS {
            let detail = format!("a message has at most {ALBUM_ITEMS} uploads");
            errors.push(FieldError::new("/media_ids", "too_many", detail));
        }
        if let Some(text) = &self.text {
            errors.text("/text", MessageText::parse(text, limits));
        }
        if errors.is_empty() {
            Problem::new(Code::MediaNotAvailable)
        } else {
            errors.into_problem()
        }
    }
}

/// Each of them once, in order; `None` if that is more than `max`.
fn distinct(users: &[UserId], max: usize) -> Option<Vec<UserId>> {
    let mut distinct = Vec::with_capacity(users.len().min(max));
    for user in users {
        if distinct.contains(user) {
            continue;
        }
        if distinct.len() == max {
            return None;
        }
        distinct.push(*user);
    }
    Some(distinct)
}

impl Parsed {
    /// The command, with the words sealed. A projector cannot cut sealed bytes, so a preview is sealed apart.
    fn seal(self, key: &DataKey, room_id: RoomId, message_id: MessageId, by: UserId, at: Instant) -> SendMessage {
        let (body, preview) = seal_text(key, &self.text);
        SendMessage {
            room_id,
            message_id,
            by,
            body,
            preview,
            mentions: self.mentions,
            reply_to: self.reply_to,
            at,
        }
    }
}

/// A text, sealed whole; and its first characters apart, if it has more than a preview.
pub fn seal_text(key: &DataKey, text: &MessageText) -> (Sealed, Option<Sealed>) {
    (key.seal(text.as_str()), text.preview().map(|preview| key.seal(preview)))
}

/// Says a message in a room: over HTTP and over the socket alike, so that one key is one message through either door.
///
/// # Errors
/// What is wrong with the message, with pointers into it, or why the room refuses it.
pub async fn send(
    commands: &Commands,
    order: Order,
    room_id: RoomId,
    message: &PostMessage,
) -> Result<Accepted, Problem> {
    let words = match message {
        PostMessage::Text(words) => words,
        PostMessage::Photo(media)
        | PostMessage::Video(media)
        | PostMessage::File(media)
        | PostMessage::Album(media) => {
            return Err(media.refusal(&commands.limits));
        }
    };
    let parsed = words.parse(&commands.limits)?;
    let by = order.identity.user_id;
    let key = commands.data_key(by).await?;
    let target = format!("/v1/rooms/{room_id}/messages");
    let request_mac = key.request_mac(&fingerprint(&Method::POST, &target, &canonical(message)));
    let message_id = MessageId(commands.clock.new_id());
    let use_case = parsed.seal(&key, room_id, message_id, by, commands.clock.now());
    let accepted = commands.execute(order, request_mac, use_case).await;
    accepted.map_err(|problem| problem.locate(&words.mentions))
}

#[cfg(test)]
mod tests {
    use cocotalk_application::port::key_vault::KeyBytes;
    use serde_json::json;

    use super::*;

    const AUTHOR: UserId = UserId::from_u128(1);

    fn sealed(words: &PostText) -> (DataKey, SendMessage) {
        let key = DataKey::new(AUTHOR, KeyBytes::new([1; 32]));
        let parsed = words.parse(&Limits::default()).unwrap();
        let (room_id, message_id) = (RoomId::from_u128(2), MessageId::from_u128(3));
        let message = parsed.seal(&key, room_id, message_id, AUTHOR, Instant::from_millis(4));
        (key, message)
    }

    fn text(text: &str) -> PostText {
        PostText {
            text: text.to_owned(),
            reply_to: None,
            mentions: Vec::new(),
        }
    }

    #[test]
    fn a_short_text_is_sealed_whole_and_is_its_own_preview() {
        let (key, message) = sealed(&text("안녕"));
        assert_eq!(key.open(&message.body).as_deref(), Some("안녕"));
        assert_eq!(message.preview, None);
    }

    #[test]
    fn the_beginning_of_a_long_text_is_sealed_apart() {
        let long = "코".repeat(200);
        let (key, message) = sealed(&text(&long));
        assert_eq!(key.open(&message.body).as_deref(), Some(long.as_str()));
        let preview = key.open(&message.preview.unwrap()).unwrap();
        assert_eq!(preview, "코".repeat(100));
    }

    #[test]
    fn who_is_mentioned_twice_is_mentioned_once() {
        let [one, two] = [5, 6].map(UserId::from_u128);
        let (_, message) = sealed(&PostText {
            mentions: vec![two, one, two],
            ..text("@")
        });
        assert_eq!(message.mentions, [two, one]);
    }

    #[test]
    fn fifty_can_be_mentioned_and_not_one_more() {
        let users: Vec<_> = (0..51).map(UserId::from_u128).collect();
        assert_eq!(distinct(&users[..50], 50).as_deref(), Some(&users[..50]));
        assert_eq!(distinct(&users, 50), None);
    }

    #[test]
    fn a_message_is_written_as_it_is_read() {
        for message in [
            json!({"kind": "text", "text": "a"}),
            json!({"kind": "text", "text": "a", "reply_to": AUTHOR, "mentions": [AUTHOR]}),
            json!({"kind": "album", "media_ids": [AUTHOR], "text": "a"}),
        ] {
            let parsed: PostMessage = serde_json::from_value(message.clone()).unwrap();
            assert_eq!(serde_json::to_value(&parsed).unwrap(), message);
        }
    }
}
