//! The rules of a room, one test each: given these events, when this command, then this refusal or those events.

mod inviting;
mod kicking;
mod leaving;
mod messages;
mod naming;
mod opening;
mod reading;
mod refusals;
mod roles;
mod sending;

use std::collections::BTreeMap;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::event::{
    Closed, MemberKicked, MemberLeft, MembersInvited, MessageSent, NoticeChanged, Opened, Renamed, ReplyTo,
    RoleChanged, RoleGiven, SettingsChanged,
};
use super::{Invitation, MessageFacts, Role, Room, RoomCommand, RoomError, RoomEvent, RoomKind, Settings, Who};
use crate::id::{MessageId, RoomId, UserId};
use crate::limits::Limits;
use crate::number::{Cnt, Seq};
use crate::sealed::Sealed;
use crate::text::{Notice, RoomName};
use crate::time::Instant;

const ROOM: RoomId = RoomId::from_u128(0x100);

/// Owner of the group that most tests are given.
const MINA: UserId = UserId::from_u128(1);
const JUN: UserId = UserId::from_u128(2);
const SORA: UserId = UserId::from_u128(3);
/// Not in the group yet.
const DAN: UserId = UserId::from_u128(4);
const EVE: UserId = UserId::from_u128(5);
/// Never in it.
const STRANGER: UserId = UserId::from_u128(99);

/// When the rooms of the tests were opened.
const DAWN: Instant = Instant::from_millis(1_000);
/// When the tests' commands come: after everything that was given.
const NOON: Instant = Instant::from_millis(5_000);

fn given(history: Vec<RoomEvent>) -> AggregateTestExecutor<Room> {
    TestFramework::<Room>::with(()).given(history)
}

/// The state after a history.
fn room(history: &[RoomEvent]) -> Room {
    let mut room = Room::default();
    for event in history {
        room.evolve(event);
    }
    room
}

/// A group of Mina, who owns it, Jun and Sora, and what happened in it since.
fn group(since: impl IntoIterator<Item = RoomEvent>) -> Vec<RoomEvent> {
    std::iter::once(group_opened(&[MINA, JUN, SORA], None))
        .chain(since)
        .collect()
}

/// The direct room of Mina and Jun, and what happened in it since.
fn direct(since: impl IntoIterator<Item = RoomEvent>) -> Vec<RoomEvent> {
    std::iter::once(direct_opened(&[MINA, JUN])).chain(since).collect()
}

/// A group that everybody left.
fn closed_group() -> Vec<RoomEvent> {
    group([
        left(SORA, 2, 2, &[MINA, JUN]),
        left(JUN, 3, 1, &[MINA]),
        left(MINA, 4, 0, &[]),
        closed(),
    ])
}

fn group_opened(user_ids: &[UserId], name: Option<&str>) -> RoomEvent {
    opened(RoomKind::Group, user_ids, name, Seq(1))
}

fn direct_opened(user_ids: &[UserId]) -> RoomEvent {
    opened(RoomKind::Direct, user_ids, None, Seq(0))
}

fn opened(kind: RoomKind, user_ids: &[UserId], name: Option<&str>, seq: Seq) -> RoomEvent {
    RoomEvent::Opened(Opened {
        room_id: ROOM,
        kind,
        by: user_ids[0],
        user_ids: user_ids.to_vec(),
        name: name.map(named),
        seq,
        at: DAWN,
    })
}

/// A line of the group: so many messages stand before it.
fn invited(by: UserId, user_ids: &[UserId], seq: u64, cnt: u64, sample: (u32, &[UserId])) -> RoomEvent {
    RoomEvent::MembersInvited(MembersInvited {
        room_id: ROOM,
        by,
        user_ids: user_ids.to_vec(),
        seq: Seq(seq),
        cnt: Cnt(cnt),
        at: NOON,
        member_count: sample.0,
        sample: sample.1.to_vec(),
    })
}

fn left(user_id: UserId, seq: u64, member_count: u32, sample: &[UserId]) -> RoomEvent {
    RoomEvent::MemberLeft(MemberLeft {
        room_id: ROOM,
        user_id,
        seq: Seq(seq),
        cnt: Cnt(0),
        at: NOON,
        member_count,
        sample: sample.to_vec(),
    })
}

fn kicked(by: UserId, user_id: UserId, seq: u64, sample: &[UserId]) -> RoomEvent {
    RoomEvent::MemberKicked(MemberKicked {
        room_id: ROOM,
        by,
        user_id,
        seq: Seq(seq),
        cnt: Cnt(0),
        at: NOON,
        member_count: sample.len() as u32,
        sample: sample.to_vec(),
    })
}

/// A role that somebody was given, by a line.
fn given_role(by: UserId, user_id: UserId, role: Role, seq: u64) -> RoomEvent {
    RoomEvent::RoleGiven(RoleGiven {
        room_id: ROOM,
        by,
        user_id,
        role,
        seq: Seq(seq),
        cnt: Cnt(0),
        at: NOON,
    })
}

/// A role that somebody came by as a consequence.
fn role(user_id: UserId, role: Role) -> RoomEvent {
    RoomEvent::RoleChanged(RoleChanged {
        room_id: ROOM,
        user_id,
        role,
        at: NOON,
    })
}

fn renamed(by: UserId, name: Option<&str>, seq: u64) -> RoomEvent {
    RoomEvent::Renamed(Renamed {
        room_id: ROOM,
        by,
        name: name.map(named),
        seq: Seq(seq),
        cnt: Cnt(0),
        at: NOON,
    })
}

fn noticed(by: UserId, notice: Option<&str>, seq: u64) -> RoomEvent {
    RoomEvent::NoticeChanged(NoticeChanged {
        room_id: ROOM,
        by,
        notice: notice.map(noted),
        seq: Seq(seq),
        cnt: Cnt(0),
        at: NOON,
    })
}

fn settled(rename_by: Who, invite_by: Who) -> RoomEvent {
    RoomEvent::SettingsChanged(SettingsChanged {
        room_id: ROOM,
        by: MINA,
        settings: Settings { rename_by, invite_by },
        at: NOON,
    })
}

fn closed() -> RoomEvent {
    RoomEvent::Closed(Closed {
        room_id: ROOM,
        at: NOON,
    })
}

/// The message at `seq`, the `cnt`th of its room, which has three members.
fn said(by: UserId, seq: u64, cnt: u64) -> RoomEvent {
    RoomEvent::MessageSent(sent(by, seq, cnt))
}

fn sent(by: UserId, seq: u64, cnt: u64) -> MessageSent {
    MessageSent {
        room_id: ROOM,
        message_id: MessageId::from_u128(0x700),
        author_id: by,
        seq: Seq(seq),
        cnt: Cnt(cnt),
        sent_at: NOON,
        body: sealed(by, b"body"),
        preview: None,
        mentions: Vec::new(),
        reply_to: None,
        member_count: 3,
    }
}

fn invite(by: UserId, user_ids: &[UserId]) -> RoomCommand {
    RoomCommand::Invite {
        by,
        invitation: invitation(user_ids),
        at: NOON,
    }
}

fn leave(by: UserId) -> RoomCommand {
    RoomCommand::Leave { by, at: NOON }
}

fn kick(by: UserId, user_id: UserId) -> RoomCommand {
    RoomCommand::Kick { by, user_id, at: NOON }
}

fn give(by: UserId, user_id: UserId, role: Role) -> RoomCommand {
    RoomCommand::GiveRole {
        by,
        user_id,
        role,
        at: NOON,
    }
}

fn rename(by: UserId, name: Option<&str>) -> RoomCommand {
    RoomCommand::Rename {
        by,
        name: name.map(named),
        at: NOON,
    }
}

fn set_notice(by: UserId, notice: Option<&str>) -> RoomCommand {
    RoomCommand::SetNotice {
        by,
        notice: notice.map(noted),
        at: NOON,
    }
}

fn settle(by: UserId, rename_by: Option<Who>, invite_by: Option<Who>) -> RoomCommand {
    RoomCommand::ChangeSettings {
        by,
        rename_by,
        invite_by,
        at: NOON,
    }
}

fn say(by: UserId) -> RoomCommand {
    send(by, &[], None)
}

fn send(by: UserId, mentions: &[UserId], reply_to: Option<MessageFacts>) -> RoomCommand {
    RoomCommand::Send {
        by,
        message_id: MessageId::from_u128(0x700),
        body: sealed(by, b"body"),
        preview: None,
        mentions: mentions.to_vec(),
        reply_to: reply_to.map(Box::new),
        at: NOON,
    }
}

/// What the bus knows of Mina's message at `seq`.
fn facts(seq: u64) -> MessageFacts {
    MessageFacts {
        room_id: ROOM,
        message_id: MessageId::from_u128(0x600),
        seq: Seq(seq),
        author_id: MINA,
        sent_at: DAWN,
        preview: sealed(MINA, b"what it answers"),
        mentions: Vec::new(),
        reply_to: None,
        deleted: false,
        reactions: BTreeMap::new(),
    }
}

/// An invitation that the directory has nothing against, with the usual bounds.
fn invitation(user_ids: &[UserId]) -> Invitation {
    let limits = Limits::default();
    Invitation {
        user_ids: user_ids.to_vec(),
        refused: Vec::new(),
        min_members: limits.group_min_members,
        max_members: limits.group_max_members,
    }
}

fn sealed(subject: UserId, bytes: &[u8]) -> Sealed {
    Sealed {
        subject,
        bytes: bytes.to_vec(),
    }
}

fn named(name: &str) -> RoomName {
    RoomName::parse(name, &Limits::default()).expect("a name that fits")
}

fn noted(notice: &str) -> Notice {
    Notice::parse(notice, &Limits::default()).expect("a notice that fits")
}
