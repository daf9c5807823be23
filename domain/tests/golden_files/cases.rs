//! Which events and snapshots have a golden file, and how it is called.

use cocotalk_domain::account::Account;
use cocotalk_domain::claim::Claim;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::room::{Role, Room};
use cocotalk_domain::seat::Seat;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::samples::*;
use crate::store::{lines_of_hex, stored};

/// Every event that was ever written, in every shape: a new one is added, none is ever changed.
pub(crate) fn events() -> Vec<Golden> {
    vec![
        Golden::new("room.opened.v1", opened(Some(name()))),
        Golden::new("room.opened.v1.minimal", opened(None)),
        Golden::new("room.opened.v1.direct", opened_direct()),
        Golden::new("room.members_invited.v1", members_invited()),
        Golden::new("room.member_left.v1", member_left(SORA, 7, vec![MINA, JUN, DAN])),
        Golden::new("room.member_left.v1.last", member_left(MINA, 10, vec![])),
        Golden::new("room.member_kicked.v1", member_kicked()),
        Golden::new("room.role_given.v1.member", role_given(Role::Member)),
        Golden::new("room.role_given.v1.admin", role_given(Role::Admin)),
        Golden::new("room.role_given.v1.owner", role_given(Role::Owner)),
        Golden::new("room.role_changed.v1.member", role_changed(Role::Member)),
        Golden::new("room.role_changed.v1.admin", role_changed(Role::Admin)),
        Golden::new("room.role_changed.v1.owner", role_changed(Role::Owner)),
        Golden::new("room.renamed.v1", renamed(Some(name()))),
        Golden::new("room.renamed.v1.cleared", renamed(None)),
        Golden::new("room.notice_changed.v1", notice_changed(Some(notice()))),
        Golden::new("room.notice_changed.v1.cleared", notice_changed(None)),
        Golden::new("room.settings_changed.v1", settings_changed()),
        Golden::new("room.message_sent.v1", message_sent()),
        Golden::new("room.message_sent.v1.minimal", message_sent_minimal(JUN, 2)),
        Golden::new("room.message_sent.v1.reply_to_deleted", message_sent_to_deleted()),
        Golden::new("room.message_edited.v1", message_edited()),
        Golden::new("room.message_edited.v1.minimal", message_edited_minimal()),
        Golden::new("room.message_deleted.v1", message_deleted()),
        Golden::new("room.reaction_changed.v1", reaction_changed()),
        Golden::new("room.reaction_changed.v1.taken_back", reaction_taken_back()),
        Golden::new("room.closed.v1", closed()),
        Golden::new("seat.read_advanced.v1", read_advanced()),
        Golden::new("seat.read_advanced.v1.hidden", read_advanced_past_hidden()),
        Golden::new("seat.floor_raised.v1", floor_raised()),
        Golden::new("seat.message_hidden.v1", message_hidden()),
        Golden::new("seat.preferences_set.v1", preferences_set()),
        Golden::new("seat.preferences_set.v1.minimal", preferences_cleared()),
        Golden::new("account.registered.v1", registered(vec![CLAIM])),
        Golden::new("account.registered.v1.unclaimed", registered(vec![])),
        Golden::new("claim.taken.v1", taken()),
    ]
}

/// A snapshot of every aggregate, with something in every field, and of the shapes that leave fields empty.
pub(crate) fn states() -> Vec<GoldenState> {
    let lived = vec![
        opened(Some(name())),
        message_sent_minimal(JUN, 2),
        members_invited(),
        role_changed(Role::Admin),
        renamed(Some(name())),
        notice_changed(Some(notice())),
        settings_changed(),
        message_sent(),
        member_left(SORA, 7, vec![MINA, JUN, DAN]),
    ];
    let closed = vec![
        opened(None),
        member_left(SORA, 2, vec![MINA, JUN]),
        member_left(JUN, 3, vec![MINA]),
        member_left(MINA, 4, vec![]),
        closed(),
    ];
    let direct = vec![opened_direct(), message_sent_minimal(JUN, 1)];
    let seat = vec![read_advanced(), floor_raised(), preferences_set(), message_hidden()];
    let account = vec![registered(vec![CLAIM])];
    vec![
        GoldenState::new::<Room>("room", Room::STATE_VERSION, lived),
        GoldenState::new::<Room>("room.closed", Room::STATE_VERSION, closed),
        GoldenState::new::<Room>("room.direct", Room::STATE_VERSION, direct),
        GoldenState::new::<Seat>("seat", Seat::STATE_VERSION, seat),
        GoldenState::new::<Seat>("seat.untouched", Seat::STATE_VERSION, vec![]),
        GoldenState::new::<Account>("account", Account::STATE_VERSION, account),
        GoldenState::new::<Claim>("claim", Claim::STATE_VERSION, vec![taken()]),
    ]
}

/// An event and the file that it is kept in: `<wire name>.v<version>[.<variant>]`.
pub(crate) struct Golden {
    pub(crate) file: &'static str,
    pub(crate) event: AnyEvent,
}

impl Golden {
    fn new(file: &'static str, event: impl Into<AnyEvent>) -> Self {
        let event = event.into();
        Self { file, event }
    }

    /// The version that the file's name says.
    pub(crate) fn version(&self) -> &str {
        let rest = self.file.strip_prefix(self.event.name());
        let rest = rest.and_then(|rest| rest.strip_prefix(".v"));
        let rest = rest.expect("a golden file is called <wire name>.v<version>");
        rest.split_once('.').map_or(rest, |(version, _variant)| version)
    }

    /// The aggregate's type, as the log names it.
    pub(crate) fn aggregate_type(&self) -> &str {
        self.file.split_once('.').expect("a wire name has a dot").0
    }

    pub(crate) fn path(&self) -> String {
        format!("{}.json", self.file)
    }

    pub(crate) fn text(&self) -> String {
        stored(&self.path(), || self.event.payload())
    }

    pub(crate) fn decode(&self, payload: &str) -> AnyEvent {
        AnyEvent::decode(self.aggregate_type(), self.event.name(), self.version(), payload)
            .expect("a golden event is read")
    }
}

type Reads = dyn Fn(&[u8]) -> bool;

/// A snapshot and the file that it is kept in: `state/<aggregate>.v<STATE_VERSION>[.<variant>].hex`.
pub(crate) struct GoldenState {
    pub(crate) file: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether these bytes are read as the same state.
    pub(crate) reads_back: Box<Reads>,
}

impl GoldenState {
    /// The snapshot after a history.
    fn new<A>(name: &str, state_version: u32, history: Vec<A::Event>) -> Self
    where
        A: cqrs_es::Aggregate + Serialize + DeserializeOwned + PartialEq + 'static,
    {
        let mut state = A::default();
        for event in history {
            state.apply(event);
        }
        let (aggregate, variant) = name.split_at(name.find('.').unwrap_or(name.len()));
        Self {
            file: format!("state/{aggregate}.v{state_version}{variant}.hex"),
            bytes: postcard::to_stdvec(&state).expect("a state is plain data"),
            reads_back: Box::new(move |bytes| postcard::from_bytes::<A>(bytes).is_ok_and(|read| read == state)),
        }
    }

    pub(crate) fn text(&self) -> String {
        stored(&self.file, || lines_of_hex(&self.bytes))
    }
}
