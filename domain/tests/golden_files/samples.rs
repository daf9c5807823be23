//! One event of every kind and shape, with fixed ids, instants and sealed bytes.

use cocotalk_domain::account::{AccountEvent, Registered};
use cocotalk_domain::claim::{ClaimEvent, ClaimKind, Taken};
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::event::{
    Closed, MemberKicked, MemberLeft, MembersInvited, MessageDeleted, MessageEdited, MessageSent, NoticeChanged,
    Opened, ReactionChanged, ReactionTotals, Renamed, ReplyTo, RoleChanged, RoleGiven, SettingsChanged,
};
use cocotalk_domain::room::{Role, RoomEvent, RoomKind, Settings, Who};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, MessageHidden, PreferencesSet, ReadAdvanced};
use cocotalk_domain::stream::ClaimId;
use cocotalk_domain::text::{Emoji, Notice, RoomName};
use cocotalk_domain::time::Instant;

pub(crate) const ROOM: RoomId = RoomId::from_u128(0x0198_c0c0_0000_7000_8000_0000_0000_0100);
pub(crate) const MINA: UserId = UserId::from_u128(0x0198_c0c0_0000_7000_8000_0000_0000_0001);
pub(crate) const JUN: UserId = UserId::from_u128(0x0198_c0c0_0000_7000_8000_0000_0000_0002);
pub(crate) const SORA: UserId = UserId::from_u128(0x0198_c0c0_0000_7000_8000_0000_0000_0003);
pub(crate) const DAN: UserId = UserId::from_u128(0x0198_c0c0_0000_7000_8000_0000_0000_0004);
pub(crate) const FIRST_MESSAGE: MessageId = MessageId::from_u128(0x0198_c0c0_0002_7000_8000_0000_0000_0700);
pub(crate) const CLAIM: ClaimId = ClaimId(0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e1f0_u128.to_be_bytes());

/// 2026-01-01T00:00:00Z and this many milliseconds.
pub(crate) const fn at(millis: i64) -> Instant {
    Instant::from_millis(1_767_225_600_000 + millis)
}

/// As long as a nonce, a short text and a tag, with bytes that need the last two letters of base64.
pub(crate) fn sealed(subject: UserId, first: u8) -> Sealed {
    let bytes = (0..43_u8).map(|n| first.wrapping_add(n)).chain([0xfb, 0xef, 0xff]);
    Sealed {
        subject,
        bytes: bytes.collect(),
    }
}

pub(crate) fn name() -> RoomName {
    RoomName::parse("우리 \"모임\" 🥥", &Limits::default()).expect("a name that fits")
}

pub(crate) fn notice() -> Notice {
    Notice::parse("네 시에 차 한 잔\nTea at four \\o/", &Limits::default()).expect("a notice that fits")
}

pub(crate) fn opened(name: Option<RoomName>) -> RoomEvent {
    RoomEvent::Opened(Opened {
        room_id: ROOM,
        kind: RoomKind::Group,
        by: MINA,
        user_ids: vec![MINA, JUN, SORA],
        name,
        seq: Seq(1),
        at: at(1),
    })
}

pub(crate) fn opened_direct() -> RoomEvent {
    RoomEvent::Opened(Opened {
        room_id: RoomId::direct(MINA, JUN),
        kind: RoomKind::Direct,
        by: JUN,
        user_ids: vec![JUN, MINA],
        name: None,
        seq: Seq(0),
        at: at(1),
    })
}

pub(crate) fn members_invited() -> RoomEvent {
    RoomEvent::MembersInvited(MembersInvited {
        room_id: ROOM,
        by: JUN,
        user_ids: vec![DAN],
        seq: Seq(3),
        cnt: Cnt(1),
        at: at(3),
        member_count: 4,
        sample: vec![MINA, JUN, SORA, DAN],
    })
}

pub(crate) fn member_left(user_id: UserId, seq: u64, rest: Vec<UserId>) -> RoomEvent {
    RoomEvent::MemberLeft(MemberLeft {
        room_id: ROOM,
        user_id,
        seq: Seq(seq),
        cnt: Cnt(2),
        at: at(9),
        member_count: u32::try_from(rest.len()).expect("a few people"),
        sample: rest,
    })
}

pub(crate) fn member_kicked() -> RoomEvent {
    RoomEvent::MemberKicked(MemberKicked {
        room_id: ROOM,
        by: MINA,
        user_id: SORA,
        seq: Seq(7),
        cnt: Cnt(2),
        at: at(10),
        member_count: 3,
        sample: vec![MINA, JUN, DAN],
    })
}

pub(crate) fn role_given(role: Role) -> RoomEvent {
    RoomEvent::RoleGiven(RoleGiven {
        room_id: ROOM,
        by: MINA,
        user_id: JUN,
        role,
        seq: Seq(7),
        cnt: Cnt(2),
        at: at(11),
    })
}

pub(crate) fn role_changed(role: Role) -> RoomEvent {
    RoomEvent::RoleChanged(RoleChanged {
        room_id: ROOM,
        user_id: JUN,
        role,
        at: at(4),
    })
}

pub(crate) fn renamed(name: Option<RoomName>) -> RoomEvent {
    RoomEvent::Renamed(Renamed {
        room_id: ROOM,
        by: JUN,
        name,
        seq: Seq(4),
        cnt: Cnt(1),
        at: at(5),
    })
}

pub(crate) fn notice_changed(notice: Option<Notice>) -> RoomEvent {
    RoomEvent::NoticeChanged(NoticeChanged {
        room_id: ROOM,
        by: MINA,
        notice,
        seq: Seq(5),
        cnt: Cnt(1),
        at: at(6),
    })
}

pub(crate) fn settings_changed() -> RoomEvent {
    RoomEvent::SettingsChanged(SettingsChanged {
        room_id: ROOM,
        by: MINA,
        settings: Settings {
            rename_by: Who::Admins,
            invite_by: Who::All,
        },
        at: at(7),
    })
}

pub(crate) fn message_sent() -> RoomEvent {
    RoomEvent::MessageSent(MessageSent {
        room_id: ROOM,
        message_id: MessageId::from_u128(0x0198_c0c0_0008_7000_8000_0000_0000_0700),
        author_id: MINA,
        seq: Seq(6),
        cnt: Cnt(2),
        sent_at: at(8),
        body: sealed(MINA, 1),
        preview: Some(sealed(MINA, 100)),
        mentions: vec![JUN, DAN],
        reply_to: Some(ReplyTo {
            seq: Seq(2),
            message_id: FIRST_MESSAGE,
            author_id: JUN,
            preview: sealed(JUN, 2),
            deleted: false,
        }),
        member_count: 4,
    })
}

pub(crate) fn message_sent_minimal(author_id: UserId, seq: u64) -> RoomEvent {
    RoomEvent::MessageSent(MessageSent {
        room_id: ROOM,
        message_id: FIRST_MESSAGE,
        author_id,
        seq: Seq(seq),
        cnt: Cnt(1),
        sent_at: at(2),
        body: sealed(author_id, 2),
        preview: None,
        mentions: vec![],
        reply_to: None,
        member_count: 3,
    })
}

/// A reply to a message that was deleted before.
pub(crate) fn message_sent_to_deleted() -> RoomEvent {
    RoomEvent::MessageSent(MessageSent {
        room_id: ROOM,
        message_id: MessageId::from_u128(0x0198_c0c0_0008_7000_8000_0000_0000_0701),
        author_id: MINA,
        seq: Seq(7),
        cnt: Cnt(3),
        sent_at: at(10),
        body: sealed(MINA, 3),
        preview: None,
        mentions: vec![],
        reply_to: Some(ReplyTo {
            seq: Seq(2),
            message_id: FIRST_MESSAGE,
            author_id: JUN,
            preview: Sealed {
                subject: JUN,
                bytes: vec![],
            },
            deleted: true,
        }),
        member_count: 4,
    })
}

fn totals(counts: &[(&str, u32)]) -> ReactionTotals {
    counts.iter().map(|(text, count)| (emoji(text), *count)).collect()
}

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).expect("an emoji")
}

pub(crate) fn message_edited() -> RoomEvent {
    RoomEvent::MessageEdited(MessageEdited {
        room_id: ROOM,
        message_id: MessageId::from_u128(0x0198_c0c0_0008_7000_8000_0000_0000_0700),
        author_id: MINA,
        seq: Seq(6),
        sent_at: at(8),
        edited_at: at(11),
        body: sealed(MINA, 5),
        preview: Some(sealed(MINA, 101)),
        mentions: vec![JUN, DAN],
        reply_to: Some(ReplyTo {
            seq: Seq(2),
            message_id: FIRST_MESSAGE,
            author_id: JUN,
            preview: sealed(JUN, 2),
            deleted: false,
        }),
        reactions: totals(&[("❤", 2), ("🥥", 1)]),
        is_newest: true,
        others: 3,
    })
}

pub(crate) fn message_edited_minimal() -> RoomEvent {
    RoomEvent::MessageEdited(MessageEdited {
        room_id: ROOM,
        message_id: FIRST_MESSAGE,
        author_id: JUN,
        seq: Seq(2),
        sent_at: at(2),
        edited_at: at(11),
        body: sealed(JUN, 6),
        preview: None,
        mentions: vec![],
        reply_to: None,
        reactions: ReactionTotals::new(),
        is_newest: false,
        others: 3,
    })
}

pub(crate) fn message_deleted() -> RoomEvent {
    RoomEvent::MessageDeleted(MessageDeleted {
        room_id: ROOM,
        message_id: FIRST_MESSAGE,
        by: MINA,
        author_id: JUN,
        seq: Seq(2),
        sent_at: at(2),
        at: at(12),
        is_newest: false,
        others: 3,
    })
}

pub(crate) fn reaction_changed() -> RoomEvent {
    RoomEvent::ReactionChanged(ReactionChanged {
        room_id: ROOM,
        message_id: FIRST_MESSAGE,
        seq: Seq(2),
        user_id: SORA,
        emoji: Some(emoji("👨\u{200d}👩\u{200d}👧")),
        reactions: totals(&[("👨\u{200d}👩\u{200d}👧", 1), ("👍🏽", 2)]),
        at: at(13),
    })
}

pub(crate) fn reaction_taken_back() -> RoomEvent {
    RoomEvent::ReactionChanged(ReactionChanged {
        room_id: ROOM,
        message_id: FIRST_MESSAGE,
        seq: Seq(2),
        user_id: SORA,
        emoji: None,
        reactions: ReactionTotals::new(),
        at: at(14),
    })
}

pub(crate) fn closed() -> RoomEvent {
    RoomEvent::Closed(Closed {
        room_id: ROOM,
        at: at(12),
    })
}

pub(crate) fn read_advanced() -> SeatEvent {
    SeatEvent::ReadAdvanced(ReadAdvanced {
        room_id: ROOM,
        user_id: JUN,
        read_seq: Seq(6),
        read_cnt: Cnt(2),
        hidden: 0,
        at: at(20),
    })
}

pub(crate) fn read_advanced_past_hidden() -> SeatEvent {
    SeatEvent::ReadAdvanced(ReadAdvanced {
        room_id: ROOM,
        user_id: JUN,
        read_seq: Seq(6),
        read_cnt: Cnt(2),
        hidden: 3,
        at: at(20),
    })
}

pub(crate) fn message_hidden() -> SeatEvent {
    SeatEvent::MessageHidden(MessageHidden {
        room_id: ROOM,
        user_id: JUN,
        seq: Seq(6),
        last_hidden: Seq(9),
        at: at(25),
    })
}

pub(crate) fn floor_raised() -> SeatEvent {
    SeatEvent::FloorRaised(FloorRaised {
        room_id: RoomId::direct(MINA, JUN),
        user_id: JUN,
        floor_seq: Seq(9),
        floor_cnt: Cnt(7),
        at: at(21),
    })
}

pub(crate) fn preferences_set() -> SeatEvent {
    SeatEvent::PreferencesSet(PreferencesSet {
        room_id: ROOM,
        user_id: JUN,
        muted_until: Some(at(86_400_000)),
        pinned_at: Some(at(22)),
        alias: Some(sealed(JUN, 3)),
        at: at(23),
    })
}

pub(crate) fn preferences_cleared() -> SeatEvent {
    SeatEvent::PreferencesSet(PreferencesSet {
        room_id: ROOM,
        user_id: JUN,
        muted_until: None,
        pinned_at: None,
        alias: None,
        at: at(24),
    })
}

pub(crate) fn registered(claims: Vec<ClaimId>) -> AccountEvent {
    AccountEvent::Registered(Registered {
        user_id: MINA,
        profile: sealed(MINA, 4),
        claims,
        at: at(0),
    })
}

pub(crate) fn taken() -> ClaimEvent {
    ClaimEvent::Taken(Taken {
        kind: ClaimKind::Handle,
        owner: MINA,
        at: at(0),
    })
}
