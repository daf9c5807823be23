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
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use cocotalk_application::sealing::Sealing;
    use cocotalk_domain::stream::StreamId;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Api, NOW, World};

    /// Every event of a stream as it is told.
    async fn told(world: &Arc<World>, stream: StreamId) -> Vec<Option<Told>> {
        let events = world.events(stream);
        let keys = Sealing::new(Arc::<World>::clone(world));
        let keys = keys.keys(events.iter().flat_map(subjects_of)).await.unwrap();
        events
            .iter()
            .map(|event| frame_of(event, &Gone::default(), &keys))
            .collect()
    }

    async fn last(world: &Arc<World>, stream: StreamId) -> Told {
        told(world, stream).await.pop().unwrap().unwrap()
    }

    fn json_of(frame: &Frame) -> Value {
        serde_json::to_value(frame).unwrap()
    }

    #[tokio::test]
    async fn a_message_is_told_as_the_item_that_history_shows() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, &"점심 ".repeat(50));
        api.world.say_about(room, jun, "냉면", Some(Seq(2)));
        let frames = told(&api.world, StreamId::Room(room)).await;
        let history = api.get(hana, &format!("/v1/rooms/{room}/messages")).await.ok();
        let shown = json_of(frames[2].as_ref().unwrap().whole());
        assert_eq!(shown["data"], history["items"][2]);
    }

    #[tokio::test]
    async fn the_author_is_not_counted_and_nobody_beyond_99() {
        let world = Arc::new(World::default());
        let people: Vec<UserId> = (1..=102).map(|n| world.person(n, "친구")).collect();
        let (large, alone) = (world.group(100, &people), world.direct(people[0], people[0]));
        for (room, number) in [(large, 99), (alone, 0)] {
            world.say(room, people[0], "안녕");
            let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
            assert_eq!(frame["data"]["unread_member_count"], number);
        }
    }

    #[tokio::test]
    async fn what_is_seen_follows_from_the_first_item_one_may_see() {
        let world = Arc::new(World::default());
        let [mina, jun, hana] = world.three();
        let room = world.group(100, &[mina, jun, hana]);
        for word in ["하나", "둘", "셋"] {
            world.say(room, mina, word);
        }
        world.say_about(room, jun, "응", Some(Seq(3)));
        let told = last(&world, StreamId::Room(room)).await;
        let sights = [3, 4, 5, 6].map(|first_seq| told.sight(Seq(first_seq).into()));
        assert_eq!(
            sights,
            [
                Sight::Whole,
                Sight::WithoutAnswered,
                Sight::WithoutAnswered,
                Sight::Version
            ]
        );
        assert_eq!(told.render(Sight::Whole), *told.whole());

        let mut whole = json_of(told.whole());
        let partly = json_of(&told.render(Sight::WithoutAnswered));
        whole["data"]["reply_to"] = json!({"seq": 3});
        assert_eq!(partly, whole);
        let version = json_of(&told.render(Sight::Version));
        whole["data"] = json!({});
        whole["type"] = json!("room.changed");
        assert_eq!(version, whole);
    }

    #[tokio::test]
    async fn a_message_without_an_answer_has_two_renderings() {
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        world.say(room, mina, "하나");
        let told = last(&world, StreamId::Room(room)).await;
        assert_eq!(
            (told.sight(Seq(1).into()), told.sight(Seq(2).into())),
            (Sight::Whole, Sight::Version)
        );
    }

    #[tokio::test]
    async fn the_beginning_of_a_direct_room_has_no_line() {
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        let told = last(&world, StreamId::Room(room)).await;
        let frame = json_of(told.whole());
        assert_eq!(frame["data"], json!({"kind": "direct", "user_ids": [mina, jun]}));
        assert_eq!(
            (told.sight(Seq(1).into()), told.sight(Seq(2).into())),
            (Sight::Whole, Sight::Version)
        );
    }

    #[tokio::test]
    async fn the_last_leave_closes_the_room() {
        let world = Arc::new(World::default());
        let people = world.three();
        let room = world.group(100, &people);
        for person in people {
            world.leave(room, person);
        }
        let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
        assert_eq!((&frame["type"], &frame["data"]), (&json!("room.closed"), &json!({})));
    }

    #[tokio::test]
    async fn what_happens_to_a_seat_has_no_version() {
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        world.say(room, mina, "안녕");
        world.read(room, jun, 1);
        world.prefer(room, jun, NOW, "우리끼리");
        world.hide(room, jun);
        let frames = told(&world, StreamId::Seat(room, jun)).await;
        let frames: Vec<Value> = frames
            .iter()
            .map(|told| json_of(told.as_ref().unwrap().whole()))
            .collect();
        assert!(
            frames
                .iter()
                .all(|frame| frame.get("version").is_none() && frame["room_id"] == json!(room))
        );
        let told: Vec<(&Value, &Value)> = frames.iter().map(|frame| (&frame["type"], &frame["data"])).collect();
        let preferences = json!({"muted_until": NOW, "pinned": true, "alias": "우리끼리"});
        assert_eq!(
            told,
            [
                (
                    &json!("read.advanced"),
                    &json!({"reads": [{"user_id": jun, "read_seq": 1}]})
                ),
                (&json!("seat.changed"), &json!({"preferences": preferences})),
                (&json!("seat.changed"), &json!({})),
            ]
        );
    }

    #[tokio::test]
    async fn several_marks_are_one_frame() {
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        world.say(room, mina, "안녕");
        world.read(room, jun, 1);
        let one = last(&world, StreamId::Seat(room, jun)).await;
        let reads = vec![MemberRead {
            user_id: jun,
            read_seq: Seq(1),
        }];
        let whole = one.whole();
        let newest = world.events(StreamId::Seat(room, jun)).pop().unwrap();
        assert_eq!(read_advanced(&newest, room, whole.at, reads), *whole);
    }

    #[tokio::test]
    async fn the_trace_that_a_request_brought_along_is_shown_to_whom_the_frame_is_for() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        world.say(room, mina, "하나");
        let untraced = last(&world, StreamId::Room(room)).await;
        assert_eq!(json_of(untraced.whole()).get("traceparent"), None);
        world.trace(trace);
        world.say(room, mina, "둘");
        let told = last(&world, StreamId::Room(room)).await;
        assert_eq!(json_of(told.whole())["traceparent"], trace);
        assert_eq!(json_of(&told.render(Sight::Version)).get("traceparent"), None);
        world.read(room, jun, 2);
        let read = last(&world, StreamId::Seat(room, jun)).await;
        assert_eq!(json_of(read.whole())["traceparent"], trace);
        world.trace("00-nonsense");
        world.say(room, mina, "셋");
        let told = last(&world, StreamId::Room(room)).await;
        assert_eq!(json_of(told.whole()).get("traceparent"), None);
    }

    #[tokio::test]
    async fn only_the_keys_that_a_frame_needs_are_asked_for() {
        let world = Arc::new(World::default());
        let [mina, jun, hana] = world.three();
        let room = world.group(100, &[mina, jun, hana]);
        world.say(room, mina, "하나");
        world.say_about(room, jun, "둘", Some(Seq(2)));
        world.rename(room, hana, "이름");
        world.prefer(room, hana, NOW, "우리끼리");
        let mut events = world.events(StreamId::Room(room));
        events.extend(world.events(StreamId::Seat(room, hana)));
        let subjects: Vec<Vec<UserId>> = events.iter().map(|event| subjects_of(event).collect()).collect();
        assert_eq!(subjects, [vec![], vec![mina], vec![jun, mina], vec![], vec![hana]]);
    }

    #[tokio::test]
    async fn a_message_of_somebody_erased_has_no_words() {
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        world.say(room, mina, "내 비밀");
        world.forget(mina);
        let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
        assert_eq!((frame["data"].get("text"), &frame["data"]["seq"]), (None, &json!(1)));
    }

    #[tokio::test]
    async fn an_edit_and_a_deletion_are_told_as_the_item_after_them() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "점심 뭐 먹지?");
        api.world.say_about(room, jun, "냉면", Some(Seq(2)));
        api.world.react(room, hana, Seq(3), Some("👍"));
        api.world.edit(room, Seq(3), "비빔냉면");
        let edited = json_of(last(&api.world, StreamId::Room(room)).await.whole());
        let shown = async || {
            let mut items = api.get(mina, &format!("/v1/rooms/{room}/messages")).await.ok();
            let mut item = items["items"][2].take();
            for reaction in item["reactions"].as_array_mut().unwrap() {
                reaction.as_object_mut().unwrap().remove("mine");
            }
            item
        };
        assert_eq!(
            (&edited["type"], &edited["data"]),
            (&json!("message.edited"), &shown().await)
        );
        api.world.delete(room, Seq(3));
        let deleted = json_of(last(&api.world, StreamId::Room(room)).await.whole());
        assert_eq!(
            (&deleted["type"], &deleted["data"]),
            (&json!("message.deleted"), &shown().await)
        );
    }

    #[tokio::test]
    async fn a_reaction_is_told_with_what_it_comes_to() {
        let world = Arc::new(World::default());
        let [mina, jun, _] = world.three();
        let room = world.direct(mina, jun);
        world.say(room, mina, "어때?");
        world.react(room, jun, Seq(1), Some("👍"));
        let told = last(&world, StreamId::Room(room)).await;
        let frame = json_of(told.whole());
        assert_eq!(frame["type"], "reaction.changed");
        assert_eq!(
            (
                &frame["data"]["emoji"],
                &frame["data"]["user_id"],
                &frame["data"]["reactions"]
            ),
            (&json!("👍"), &json!(jun), &json!([{"emoji": "👍", "count": 1}]))
        );
        world.react(room, jun, Seq(1), None);
        let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
        assert_eq!(
            (&frame["data"]["emoji"], &frame["data"]["reactions"]),
            (&Value::Null, &json!([]))
        );
    }

    #[tokio::test]
    async fn what_somebody_has_hidden_is_not_told_to_them() {
        let world = Arc::new(World::default());
        let [mina, jun, hana] = world.three();
        let room = world.group(100, &[mina, jun, hana]);
        world.say(room, mina, "하나");
        world.say_about(room, jun, "둘", Some(Seq(2)));
        world.edit(room, Seq(2), "셋");
        world.react(room, jun, Seq(2), Some("👍"));
        let hidden = BTreeSet::from([Seq(2)]);
        let told = told(&world, StreamId::Room(room)).await;
        let viewer = Viewer::new(Seq(1), Some(&hidden));
        let sights: Vec<Sight> = told.iter().flatten().map(|told| told.sight(viewer)).collect();
        assert_eq!(
            sights,
            [
                Sight::Whole,
                Sight::Version,
                Sight::WithoutAnswered,
                Sight::Version,
                Sight::Version
            ]
        );
        let lines: Vec<Option<Seq>> = told.iter().flatten().map(Told::line_seq).collect();
        assert_eq!(lines, [Some(Seq(1)), Some(Seq(2)), Some(Seq(3)), None, None]);
    }

    #[tokio::test]
    async fn what_is_gone_has_no_words_wherever_it_was_said() {
        let world = Arc::new(World::default());
        let [mina, jun, hana] = world.three();
        let room = world.group(100, &[mina, jun, hana]);
        world.say(room, mina, "비밀");
        world.edit(room, Seq(2), "더한 비밀");
        world.say_about(room, jun, "뭐?", Some(Seq(2)));
        world.delete(room, Seq(2));
        let events = world.events(StreamId::Room(room));
        let keys = Sealing::new(Arc::<World>::clone(&world));
        let keys = keys.keys(events.iter().flat_map(subjects_of)).await.unwrap();
        let gone = Gone::of(&events);
        let told = events.iter().filter_map(|event| frame_of(event, &gone, &keys));
        let frames: Vec<Value> = told.map(|told| json_of(told.whole())).collect();
        assert!(!json!(frames).to_string().contains("비밀"));
        assert!(frames[1..3].iter().all(|frame| frame["data"]["deleted"] == true));
        assert_eq!(frames[3]["data"]["text"], "뭐?");
        assert_eq!(frames[3]["data"]["reply_to"]["deleted"], true);
    }
}
