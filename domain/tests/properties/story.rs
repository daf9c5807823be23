//! Random sequences of commands.

use cocotalk_domain::room::Role;
use cocotalk_domain::seat::Patch;
use proptest::prelude::*;
use proptest::sample::Index;

/// So many people are about; the group of a story holds fewer, so that it can be full.
pub(crate) const PEOPLE: usize = 7;

/// What people react with: one kind more than a message of a story holds.
pub(crate) const EMOJIS: [&str; 3] = ["👍", "❤", "🥥"];

/// Which room a story is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The direct room of the first two people.
    Direct,
    /// The first person's direct room with themself.
    Oneself,
    /// A group.
    Group,
}

/// A room's life, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) kind: Kind,
    pub(crate) steps: Vec<Step>,
}

/// Somebody asks for something. Clocks differ, so the instants of a story rise and fall.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) by: By,
    pub(crate) at: i64,
    pub(crate) act: Act,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// One of the members at that moment; the first person if there are none.
    Member(Index),
    /// The owner at that moment; the first person if there is none.
    Owner,
    /// Anybody, also a stranger.
    Anybody(usize),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Open(Vec<usize>),
    Invite {
        people: Vec<usize>,
        refused: Vec<usize>,
    },
    Leave,
    Rename(Option<u8>),
    SetNotice(Option<u8>),
    ChangeSettings {
        rename_by_admins: Option<bool>,
        invite_by_admins: Option<bool>,
    },
    Send {
        mentions: Vec<By>,
        /// Which of the messages so far it answers.
        reply_to: Option<Index>,
    },
    Kick(By),
    GiveRole(By, Role),
    /// In other words; which of the messages so far.
    Edit(Index),
    /// For everyone.
    Delete(Index),
    React {
        message: Index,
        /// Which emoji; none takes it back.
        emoji: Option<usize>,
    },
    /// From oneself alone.
    Hide(Index),
    MarkRead(u64),
    LeaveDirect,
    SetPreferences {
        muted_for: Patch<i64>,
        pinned: Option<bool>,
        alias: Patch<u8>,
    },
}

/// Any story. Most begin with the opening of the room.
pub(crate) fn story() -> impl Strategy<Value = Story> {
    let kind = prop_oneof![2 => Just(Kind::Direct), 1 => Just(Kind::Oneself), 7 => Just(Kind::Group)];
    let opening = prop::option::weighted(0.9, step(open()));
    let steps = |leaving| prop::collection::vec(step(act(leaving)), 0..90);
    let steps = prop_oneof![2 => steps(1), 1 => steps(9)];
    (kind, opening, steps).prop_map(|(kind, opening, rest)| Story {
        kind,
        steps: opening.into_iter().chain(rest).collect(),
    })
}

fn step(act: impl Strategy<Value = Act>) -> impl Strategy<Value = Step> {
    (by(), 0..1_000_i64, act).prop_map(|(by, at, act)| Step { by, at, act })
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![
        9 => any::<Index>().prop_map(By::Member),
        5 => Just(By::Owner),
        1 => (0..PEOPLE).prop_map(By::Anybody),
    ]
}

/// Any act; people leave as often as `leaving` says.
fn act(leaving: u32) -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => open(),
        3 => (prop::collection::vec(0..PEOPLE, 1..4), prop::collection::vec(0..PEOPLE, 0..2))
            .prop_map(|(people, refused)| Act::Invite { people, refused }),
        leaving => Just(Act::Leave),
        1 => prop::option::of(0..3_u8).prop_map(Act::Rename),
        1 => prop::option::of(0..3_u8).prop_map(Act::SetNotice),
        1 => (any::<Option<bool>>(), any::<Option<bool>>()).prop_map(|(rename_by_admins, invite_by_admins)| {
            Act::ChangeSettings { rename_by_admins, invite_by_admins }
        }),
        6 => (prop::collection::vec(by(), 0..2), any::<Option<Index>>())
            .prop_map(|(mentions, reply_to)| Act::Send { mentions, reply_to }),
        1 => by().prop_map(Act::Kick),
        4 => (by(), role()).prop_map(|(whom, role)| Act::GiveRole(whom, role)),
        3 => any::<Index>().prop_map(Act::Edit),
        1 => any::<Index>().prop_map(Act::Delete),
        4 => (any::<Index>(), prop::option::weighted(0.7, 0..EMOJIS.len()))
            .prop_map(|(message, emoji)| Act::React { message, emoji }),
        2 => any::<Index>().prop_map(Act::Hide),
        3 => (0..40_u64).prop_map(Act::MarkRead),
        2 => Just(Act::LeaveDirect),
        2 => (patch(-500..500_i64), any::<Option<bool>>(), patch(any::<u8>()))
            .prop_map(|(muted_for, pinned, alias)| Act::SetPreferences { muted_for, pinned, alias }),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![2 => Just(Role::Member), 4 => Just(Role::Admin), 2 => Just(Role::Owner)]
}

fn open() -> impl Strategy<Value = Act> {
    prop::collection::vec(0..PEOPLE, 1..6).prop_map(Act::Open)
}

fn patch<S>(value: S) -> impl Strategy<Value = Patch<S::Value>>
where
    S: Strategy,
    S::Value: Clone,
{
    prop_oneof![Just(Patch::Keep), Just(Patch::Clear), value.prop_map(Patch::Set)]
}
