//! Say something in a room.

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::{RoomCommand, RoomEvent};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;
use serde::{Deserialize, Serialize};

use super::{Answer, Decision, Refusal, States, UseCase};

/// Says a text in a room.
#[derive(Clone, Debug)]
pub struct SendMessage {
    /// The room.
    pub room_id: RoomId,
    /// A new id.
    pub message_id: MessageId,
    /// Who says it.
    pub by: UserId,
    /// The text, sealed whole.
    pub body: Sealed,
    /// Its first characters sealed apart, if it is longer than a preview.
    pub preview: Option<Sealed>,
    /// Who is mentioned.
    pub mentions: Vec<UserId>,
    /// What it answers.
    pub reply_to: Option<MessageId>,
    /// When.
    pub at: Instant,
}

/// What the author is told, over HTTP and over the socket alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAnswer {
    /// The room.
    pub room_id: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// Its place in the room.
    pub seq: u64,
    /// The room's version with it.
    pub version: u64,
    /// When it was said, as everybody sees it.
    pub sent_at: Instant,
}

impl SendMessage {
    fn seat(&self) -> StreamId {
        StreamId::Seat(self.room_id, self.by)
    }
}

impl UseCase for SendMessage {
    fn name(&self) -> &'static str {
        "send_message"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn reads(&self) -> Vec<StreamId> {
        // What one left behind in a direct room or has hidden cannot be answered; everything else the room itself knows.
        self.reply_to.map(|_| self.seat()).into_iter().collect()
    }

    fn message(&self) -> Option<MessageId> {
        self.reply_to
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = self.home();
        let room = on.room(stream);
        let answered = match self.reply_to {
            Some(_) => Some(on.visible_message(self.room_id, self.by)?),
            None => None,
        };
        let events = room.decide(RoomCommand::Send {
            by: self.by,
            message_id: self.message_id,
            body: self.body.clone(),
            preview: self.preview.clone(),
            mentions: self.mentions.clone(),
            reply_to: answered.cloned().map(Box::new),
            at: self.at,
        })?;
        let sent_at = events.iter().find_map(|event| match event {
            RoomEvent::MessageSent(sent) => Some(sent.sent_at),
            _ => None,
        });
        let answer = SentAnswer {
            room_id: self.room_id,
            message_id: self.message_id,
            seq: room.last_seq().next().0,
            version: on.version(stream) + events.len() as u64,
            sent_at: sent_at.unwrap_or(self.at),
        };
        Ok(Decision::of(stream, events, Answer::new(201, &answer)))
    }
}
