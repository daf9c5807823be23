//! From events to frames, for `GET changes` and the live socket alike: both show the same frame for the same event.
//!
//! A frame is made once an event, not once a viewer. What differs between viewers is which of at most three renderings they
//! get ([`Sight`]): nearly everybody the whole; who came after the answered message or has hidden it the same with only its
//! place; who came after the item itself or has hidden it nothing but the room's new version, so that versions have no holes.

use std::collections::HashSet;

pub(crate) mod describe;

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::position::Position;
use cocotalk_application::sealing::Keys;
use cocotalk_application::trace::TraceParent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::{Seq, Version};
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::room::RoomKind;
use cocotalk_domain::room::event::{self, Opened};
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::ReadAdvanced;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;
use serde::Serialize;
use utoipa::ToSchema;

use crate::item::{self, Item, Reaction, ReplyTo};
use crate::viewer::Viewer;
use crate::words::{Kind, Role, Settings};

/// Something that happened, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Frame {
    /// Always `event`.
    pub op: Op,
    /// What happened.
    pub r#type: Type,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false, example = "0198c0de-7a1c-7000-8000-000000000001")]
    pub room_id: Option<RoomId>,
    /// The number of the event in its room; absent for what is no event of the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false)]
    pub version: Option<Version>,
    /// Its place in the log, in the form of `X-Position`.
    #[schema(example = "17:204")]
    pub position: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Instant,
    /// The W3C trace context that the request brought along that caused it; absent if it brought none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub traceparent: Option<TraceParent>,
    /// The rest, as `type` says.
    pub data: Data,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FrameOp)]
pub enum Op {
    /// Something happened.
    Event,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(as = FrameType)]
pub enum Type {
    /// Somebody said something.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// Somebody put a message in other words.
    #[serde(rename = "message.edited")]
    MessageEdited,
    /// A message was deleted for everyone.
    #[serde(rename = "message.deleted")]
    MessageDeleted,
    /// Somebody reacts to a message, otherwise than before, or not any more.
    #[serde(rename = "reaction.changed")]
    ReactionChanged,
    /// A room began; told to its first members.
    #[serde(rename = "room.created")]
    RoomCreated,
    /// Name, notice or settings changed, or something that is not for me.
    #[serde(rename = "room.changed")]
    RoomChanged,
    /// Nobody is left.
    #[serde(rename = "room.closed")]
    RoomClosed,
    /// People were let in.
    #[serde(rename = "member.joined")]
    MemberJoined,
    /// Somebody left.
    #[serde(rename = "member.left")]
    MemberLeft,
    /// Somebody was taken out.
    #[serde(rename = "member.kicked")]
    MemberKicked,
    /// Somebody has another role.
    #[serde(rename = "member.role_changed")]
    MemberRoleChanged,
    /// Members have read further.
    #[serde(rename = "read.advanced")]
    ReadAdvanced,
    /// I have read further on another device.
    #[serde(rename = "unread.changed")]
    UnreadChanged,
    /// My own side of a room changed on another device.
    #[serde(rename = "seat.changed")]
    SeatChanged,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = FrameData)]
pub enum Data {
    /// `message.sent`, `message.edited`, `message.deleted`: the item after it.
    Item(Box<Item>),
    /// `reaction.changed`.
    Reaction(Box<ReactionChange>),
    /// `room.created`.
    Created(Box<Created>),
    /// `member.joined`, `member.left`, `member.kicked`, `member.role_changed`.
    Members(Box<Members>),
    /// `room.changed`: the name.
    Name(Box<NameChange>),
    /// `room.changed`: the notice.
    Notice(Box<NoticeChange>),
    /// `room.changed`: the settings.
    Settings(SettingsChange),
    /// `read.advanced`.
    Reads(Reads),
    /// `unread.changed`.
    Unread(Unread),
    /// `seat.changed`.
    Seat(SeatChange),
    /// `room.closed`; and any event of a room that is not for me.
    Nothing(Nothing),
}

/// Somebody reacts to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ReactionChanged)]
pub struct ReactionChange {
    /// The message's place.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The message.
    #[schema(value_type = uuid::Uuid)]
    pub message_id: MessageId,
    /// Who.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// With what; null if they took it back.
    #[schema(required)]
    pub emoji: Option<String>,
    /// How people react to it afterwards.
    pub reactions: Vec<Reaction>,
}

/// A room began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RoomCreated)]
pub struct Created {
    /// What kind of room.
    pub kind: Kind,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// The owner of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    pub owner_id: Option<UserId>,
    /// Its first members.
    #[schema(value_type = Vec<uuid::Uuid>)]
    pub user_ids: Vec<UserId>,
    /// The first line of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub item: Option<Item>,
}

/// Something about members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MembersChanged)]
pub struct Members {
    /// Whom it is about.
    #[schema(value_type = Vec<uuid::Uuid>)]
    pub user_ids: Vec<UserId>,
    /// Their role afterwards, where that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub role: Option<Role>,
    /// The line it added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub item: Option<Item>,
}

/// The room has another name, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NameChanged)]
pub struct NameChange {
    /// The name afterwards; null if it has none.
    #[schema(required)]
    pub name: Option<String>,
    /// The line it added.
    pub item: Item,
}

/// The room has another notice, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NoticeChanged)]
pub struct NoticeChange {
    /// The notice afterwards; null if it has none.
    #[schema(required)]
    pub notice: Option<String>,
    /// The line it added.
    pub item: Item,
}

/// The room's settings changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SettingsChanged)]
pub struct SettingsChange {
    /// The settings afterwards.
    pub settings: Settings,
}

/// Members have read further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ReadsAdvanced)]
pub struct Reads {
    /// Who and up to which item. A position never falls: of two the higher counts.
    pub reads: Vec<MemberRead>,
}

/// How far a member has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MemberRead {
    /// Who.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// Up to which item.
    #[schema(value_type = u64)]
    pub read_seq: Seq,
}

/// How far I have read, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UnreadChanged)]
pub struct Unread {
    /// Up to which item.
    #[schema(value_type = u64)]
    pub read_seq: Seq,
    /// Messages of others after it.
    pub unread_count: u64,
}

/// My own side of a room changed. Without any of these the room was left and is to be fetched anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SeatChanged)]
pub struct SeatChange {
    /// Messages that I have hidden from myself, where that is what changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<u64>, required = false)]
    pub hidden_seqs: Vec<Seq>,
    /// My settings for the room, where they changed; all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub preferences: Option<Preferences>,
}

/// One's own settings for a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PreferencesSet)]
pub struct Preferences {
    /// No pushes until then; null if it is not muted.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub muted_until: Option<Instant>,
    /// Whether it is on top of the list.
    pub pinned: bool,
    /// My own name for it; null if I gave it none.
    #[schema(required)]
    pub alias: Option<String>,
}

/// No fields at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EmptyData)]
pub struct Nothing {}

/// What a viewer sees of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All of it.
    Whole,
    /// All but the message it answers.
    WithoutAnswered,
    /// Only that something happened.
    Version,
}

/// An event in its renderings, each made when it is first needed.
#[derive(Clone, Debug)]
pub struct Told {
    whole: Frame,
    item_seq: Option<Seq>,
    answered_seq: Option<Seq>,
}

impl Told {
    /// Everything about the event.
    pub const fn whole(&self) -> &Frame {
        &self.whole
    }

    /// The item it is about; none for what has no place in the timeline. The beginning of a direct room stands at 1.
    pub const fn item_seq(&self) -> Option<Seq> {
        self.item_seq
    }

    /// The item that it added to the timeline; none for what is about an earlier one.
    pub const fn line_seq(&self) -> Option<Seq> {
        match self.whole.r#type {
            Type::MessageEdited | Type::MessageDeleted | Type::ReactionChanged => None,
            _ => self.item_seq,
        }
    }

    /// What somebody sees of it.
    pub(crate) fn sight(&self, viewer: Viewer<'_>) -> Sight {
        if self.item_seq.is_some_and(|seq| !viewer.sees(seq)) {
            Sight::Version
        } else if self.answered_seq.is_some_and(|seq| !viewer.sees(seq)) {
            Sight::WithoutAnswered
        } else {
            Sight::Whole
        }
    }

    /// The frame of one rendering.
    pub fn render(&self, sight: Sight) -> Frame {
        match sight {
            Sight::Whole => self.whole.clone(),
            Sight::WithoutAnswered => self.without_answered(),
            Sight::Version => self.version_only(),
        }
    }

    fn without_answered(&self) -> Frame {
        let mut frame = self.whole.clone();
        if let (Data::Item(item), Some(seq)) = (&mut frame.data, self.answered_seq) {
            item.reply_to = Some(ReplyTo::unseen(seq));
        }
        frame
    }

    fn version_only(&self) -> Frame {
        Frame {
            r#type: Type::RoomChanged,
            position: self.whole.position.clone(),
            traceparent: None,
            data: Data::Nothing(Nothing {}),
            ..self.whole
        }
    }
}

/// The messages that some events delete. Where these events end at the head of their room, nothing of what was in such a
/// message is told any more, wherever among them it was said.
#[derive(Clone, Debug, Default)]
pub struct Gone(HashSet<MessageId>);

impl Gone {
    /// Those of these events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Self {
        let deleted = events.into_iter().filter_map(|recorded| match &recorded.event {
            Ok(AnyEvent::Room(RoomEvent::MessageDeleted(e))) => Some(e.message_id),
            Ok(_) | Err(_) => None,
        });
        Self(deleted.collect())
    }

    fn has(&self, message: MessageId) -> bool {
        self.0.contains(&message)
    }

    /// What is shown of an answered message.
    fn answered(&self, answered: Option<&event::ReplyTo>, keys: &Keys) -> Option<ReplyTo> {
        let shown = ReplyTo::then(answered?, keys);
        let gone = shown.message_id.is_some_and(|message| self.has(message));
        Some(if gone { shown.without_words() } else { shown })
    }
}

/// The people whose keys [`frame_of`] needs for an event: fetch those of many events in one go.
pub fn subjects_of(event: &RecordedEvent) -> impl Iterator<Item = UserId> + use<> {
    let sealed = match &event.event {
        Ok(AnyEvent::Room(RoomEvent::MessageSent(e))) => {
            [Some(&e.body), e.reply_to.as_ref().map(|answered| &answered.preview)]
        }
        Ok(AnyEvent::Room(RoomEvent::MessageEdited(e))) => {
            [Some(&e.body), e.reply_to.as_ref().map(|answered| &answered.preview)]
        }
        Ok(AnyEvent::Seat(SeatEvent::PreferencesSet(e))) => [e.alias.as_ref(), None],
        Ok(_) | Err(_) => [None, None],
    };
    sealed
        .map(|sealed| sealed.map(|sealed| sealed.subject))
        .into_iter()
        .flatten()
}

/// The frame of an event of a room or a seat; none where nobody is told by a frame of this kind. An event of a room that
/// cannot be read still is one frame: the room's version rises by one with every frame. `gone` is what is known to be deleted.
pub fn frame_of(event: &RecordedEvent, gone: &Gone, keys: &Keys) -> Option<Told> {
    match (&event.stream, &event.event) {
        (StreamId::Room(room), Ok(AnyEvent::Room(e))) => Some(room_frame(event, *room, e, gone, keys)),
        (StreamId::Room(room), Ok(_) | Err(_)) => {
            Some(Tell::room(event, *room, written_at(event)).as_is(Type::RoomChanged, Data::Nothing(Nothing {})))
        }
        (StreamId::Seat(room, _), Ok(AnyEvent::Seat(e))) => Some(seat_frame(event, *room, e, keys)),
        (StreamId::Seat(..), Ok(_) | Err(_)) | (StreamId::Account(_) | StreamId::Claim(_), _) => None,
    }
}

/// The frame that tells a room how far several members have read; `newest` is the newest of their marks, made at `at`.
pub fn read_advanced(newest: &RecordedEvent, room: RoomId, at: Instant, reads: Vec<MemberRead>) -> Frame {
    Tell::seat(newest, room, at).frame(Type::ReadAdvanced, Data::Reads(Reads { reads }))
}

/// The frame that tells a person's other sessions how far they have read, and what is left.
pub fn unread_changed(event: &RecordedEvent, mark: &ReadAdvanced, unread_count: u64) -> Frame {
    let read_seq = mark.read_seq;
    let data = Data::Unread(Unread { read_seq, unread_count });
    Tell::seat(event, mark.room_id, mark.at).frame(Type::UnreadChanged, data)
}

fn room_frame(event: &RecordedEvent, room: RoomId, what: &RoomEvent, gone: &Gone, keys: &Keys) -> Told {
    let tell = |at| Tell::room(event, room, at);
    match what {
        RoomEvent::MessageSent(e) => {
            let item = Item::sent(e, gone.answered(e.reply_to.as_ref(), keys), keys);
            message(&tell(e.sent_at), Type::MessageSent, item, gone)
        }
        RoomEvent::MessageEdited(e) => {
            let item = Item::edited(e, gone.answered(e.reply_to.as_ref(), keys), keys);
            message(&tell(e.edited_at), Type::MessageEdited, item, gone)
        }
        RoomEvent::MessageDeleted(e) => message(&tell(e.at), Type::MessageDeleted, Item::deleted(e), gone),
        RoomEvent::ReactionChanged(e) => {
            let change = ReactionChange {
                seq: e.seq,
                message_id: e.message_id,
                user_id: e.user_id,
                emoji: e.emoji.as_ref().map(ToString::to_string),
                reactions: item::reactions(&e.reactions, |_| None),
            };
            tell(e.at).about(e.seq, Type::ReactionChanged, Data::Reaction(Box::new(change)))
        }
        RoomEvent::Opened(e) => {
            let data = Data::Created(Box::new(created(e)));
            tell(e.at).about(e.seq.max(Seq(1)), Type::RoomCreated, data)
        }
        RoomEvent::MembersInvited(e) => {
            let data = members(e.user_ids.clone(), None, Some(Item::invited(e)));
            tell(e.at).about(e.seq, Type::MemberJoined, data)
        }
        RoomEvent::MemberLeft(e) => {
            let data = members(vec![e.user_id], None, Some(Item::left(e)));
            tell(e.at).about(e.seq, Type::MemberLeft, data)
        }
        RoomEvent::MemberKicked(e) => {
            let data = members(vec![e.user_id], None, Some(Item::kicked(e)));
            tell(e.at).about(e.seq, Type::MemberKicked, data)
        }
        RoomEvent::RoleGiven(e) => {
            let data = members(vec![e.user_id], Some(e.role.into()), Some(Item::role_given(e)));
            tell(e.at).about(e.seq, Type::MemberRoleChanged, data)
        }
        RoomEvent::RoleChanged(e) => {
            let data = members(vec![e.user_id], Some(e.role.into()), None);
            tell(e.at).as_is(Type::MemberRoleChanged, data)
        }
        RoomEvent::Renamed(e) => {
            let item = Item::renamed(e);
            let name = item.name.clone();
            tell(e.at).about(
                e.seq,
                Type::RoomChanged,
                Data::Name(Box::new(NameChange { name, item })),
            )
        }
        RoomEvent::NoticeChanged(e) => {
            let item = Item::notice(e);
            let notice = item.name.clone();
            let data = Data::Notice(Box::new(NoticeChange { notice, item }));
            tell(e.at).about(e.seq, Type::RoomChanged, data)
        }
        RoomEvent::SettingsChanged(e) => {
            let settings = e.settings.into();
            tell(e.at).as_is(Type::RoomChanged, Data::Settings(SettingsChange { settings }))
        }
        RoomEvent::Closed(e) => tell(e.at).as_is(Type::RoomClosed, Data::Nothing(Nothing {})),
    }
}

/// A frame that carries a message; no words of one that is gone.
fn message(tell: &Tell<'_>, r#type: Type, item: Item, gone: &Gone) -> Told {
    let item = if item.message_id.is_some_and(|message| gone.has(message)) {
        item.without_words()
    } else {
        item
    };
    let answered_seq = item.reply_to.as_ref().map(|answered| answered.seq);
    let told = tell.about(item.seq, r#type, Data::Item(Box::new(item)));
    Told { answered_seq, ..told }
}

fn created(event: &Opened) -> Created {
    Created {
        kind: event.kind.into(),
        name: event.name.as_ref().map(|name| name.as_str().to_owned()),
        owner_id: (event.kind == RoomKind::Group).then_some(event.by),
        user_ids: event.user_ids.clone(),
        item: Item::opened(event),
    }
}

fn members(user_ids: Vec<UserId>, role: Option<Role>, item: Option<Item>) -> Data {
    Data::Members(Box::new(Members { user_ids, role, item }))
}

fn seat_frame(event: &RecordedEvent, room: RoomId, what: &SeatEvent, keys: &Keys) -> Told {
    let tell = |at| Tell::seat(event, room, at);
    match what {
        SeatEvent::ReadAdvanced(e) => {
            let reads = vec![MemberRead {
                user_id: e.user_id,
                read_seq: e.read_seq,
            }];
            tell(e.at).as_is(Type::ReadAdvanced, Data::Reads(Reads { reads }))
        }
        SeatEvent::FloorRaised(e) => tell(e.at).as_is(Type::SeatChanged, Data::Seat(SeatChange::default())),
        SeatEvent::MessageHidden(e) => {
            let change = SeatChange {
                hidden_seqs: vec![e.seq],
                ..SeatChange::default()
            };
            tell(e.at).as_is(Type::SeatChanged, Data::Seat(change))
        }
        SeatEvent::PreferencesSet(e) => {
            let preferences = Some(Preferences {
                muted_until: e.muted_until,
                pinned: e.pinned_at.is_some(),
                alias: e.alias.as_ref().and_then(|alias| keys.open(alias)),
            });
            let change = SeatChange {
                preferences,
                ..SeatChange::default()
            };
            tell(e.at).as_is(Type::SeatChanged, Data::Seat(change))
        }
    }
}

/// When the log took an event that says nothing else.
const fn written_at(event: &RecordedEvent) -> Instant {
    Instant::from_millis(event.ts_us.div_euclid(1_000))
}

/// What all frames of an event have.
struct Tell<'a> {
    event: &'a RecordedEvent,
    room: RoomId,
    version: Option<Version>,
    at: Instant,
}

impl<'a> Tell<'a> {
    const fn room(event: &'a RecordedEvent, room: RoomId, at: Instant) -> Self {
        let version = Some(Version(event.sequence));
        Self {
            event,
            room,
            version,
            at,
        }
    }

    const fn seat(event: &'a RecordedEvent, room: RoomId, at: Instant) -> Self {
        let version = None;
        Self {
            event,
            room,
            version,
            at,
        }
    }

    /// A frame about an item.
    fn about(&self, seq: Seq, r#type: Type, data: Data) -> Told {
        Told {
            item_seq: Some(seq),
            ..self.as_is(r#type, data)
        }
    }

    /// A frame about nothing in the timeline.
    fn as_is(&self, r#type: Type, data: Data) -> Told {
        Told {
            whole: self.frame(r#type, data),
            item_seq: None,
            answered_seq: None,
        }
    }

    fn frame(&self, r#type: Type, data: Data) -> Frame {
        Frame {
            op: Op::Event,
            r#type,
            room_id: Some(self.room),
            version: self.version,
            position: Position::at(self.event.slice, self.event.slice_pos).to_string(),
            at: self.at,
            traceparent: self.event.metadata.trace_parent(),
            data,
        }
    }
}

#[cfg(test)]
mod tests;
