//! A log, nodes that share it, people and rooms.

use std::any::Any;
use std::sync::Arc;

use cocotalk_application::command_bus::{Accepted, BusSettings, Command, CommandBus, CommandError, LaneBus};
use cocotalk_application::contract::support::{at, id, key, sealed, stream_events};
use cocotalk_application::port::event_log::{CommandKey, EventLog, LogReader, Metadata};
use cocotalk_application::use_case::UseCase;
use cocotalk_application::use_case::give_role::GiveRole;
use cocotalk_application::use_case::invite::Invite;
use cocotalk_application::use_case::kick::Kick;
use cocotalk_application::use_case::leave::Leave;
use cocotalk_application::use_case::mark_read::MarkRead;
use cocotalk_application::use_case::open_group::OpenGroup;
use cocotalk_application::use_case::register::Register;
use cocotalk_application::use_case::send_message::{SendMessage, SentAnswer};
use cocotalk_application::use_case::set_preferences::SetPreferences;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::event::MessageSent;
use cocotalk_domain::room::{Role, RoomEvent};
use cocotalk_domain::seat::Patch;
use cocotalk_domain::stream::{ClaimId, StreamId};
use futures_util::future::{join, join_all};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::watched::Watched;

/// What a command came to.
pub(crate) type Outcome = Result<Accepted, CommandError>;

/// A fresh log, with what has to live as long as it.
pub(crate) struct Ground {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) _keep: Box<dyn Any + Send + Sync>,
}

impl Ground {
    /// A node on this log.
    pub(crate) fn node(&self) -> Node {
        self.node_with(BusSettings::default())
    }

    /// A node on this log, with other bounds.
    pub(crate) fn node_with(&self, settings: BusSettings) -> Node {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let log = Watched::new(&self.log);
        let bus = LaneBus::start(Arc::<Watched>::clone(&log), settings, &tasks, &stop);
        Node {
            bus: Arc::new(bus),
            log,
            tasks,
        }
    }
}

/// One process of the installation: a bus of its own over the common log.
pub(crate) struct Node {
    pub(crate) bus: Arc<LaneBus>,
    pub(crate) log: Arc<Watched>,
    tasks: TaskTracker,
}

impl Node {
    pub(crate) async fn run(&self, command: Command) -> Outcome {
        self.bus.execute(command).await
    }

    /// Runs a command that has to be accepted.
    pub(crate) async fn accepted(&self, command: Command) -> Accepted {
        self.run(command).await.expect("the command is accepted")
    }

    /// Runs a command that has to be refused; the word for it.
    pub(crate) async fn refused(&self, command: Command) -> &'static str {
        refusal(self.run(command).await)
    }

    /// Runs commands in tasks of their own; the outcomes in the order given.
    pub(crate) async fn at_once(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let running = commands.into_iter().map(|command| {
            let bus = Arc::clone(&self.bus);
            self.tasks.spawn(async move { bus.execute(command).await })
        });
        let outcomes = join_all(running.collect::<Vec<_>>()).await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.expect("no command panics"))
            .collect()
    }

    /// Runs commands about a room so that its lane finds all of them waiting, in this order. One append comes before them.
    pub(crate) async fn together(&self, room_id: RoomId, commands: Vec<Command>) -> Vec<Outcome> {
        self.log.hold();
        let before = self.log.appends();
        let door = async { self.accepted(door(room_id, self.owner(room_id).await)).await };
        let others = async {
            self.log.entered(before + 1).await;
            let running = join_all(commands.into_iter().map(|command| self.run(command)));
            // All of them wait once they were polled, which is before the second one is.
            join(running, async { self.log.release() }).await.0
        };
        join(door, others).await.1
    }

    async fn owner(&self, room_id: RoomId) -> UserId {
        let events = stream_events(&*self.log, StreamId::Room(room_id)).await;
        match &events[0].event {
            Ok(AnyEvent::Room(RoomEvent::Opened(opened))) => opened.by,
            other => panic!("a room begins with its opening, not with {other:?}"),
        }
    }

    /// New people.
    pub(crate) async fn people(&self, count: usize) -> Vec<UserId> {
        let people: Vec<UserId> = (0..count).map(|_| UserId(id())).collect();
        let registrations = people.iter().map(|user| command(register(*user, handle()))).collect();
        for outcome in self.at_once(registrations).await {
            outcome.expect("a free handle is taken");
        }
        people
    }

    /// A new group of these; the first owns it.
    pub(crate) async fn group(&self, people: &[UserId]) -> RoomId {
        let room_id = RoomId(id());
        self.accepted(command(OpenGroup {
            room_id,
            by: people[0],
            user_ids: people[1..].to_vec(),
            name: None,
            min_members: 1,
            max_members: 1_000,
            at: at(0),
        }))
        .await;
        room_id
    }

    /// Ends when everything that it does beside is done.
    pub(crate) async fn end(self) {
        drop(self.bus);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A refusal's word.
pub(crate) fn refusal(outcome: Outcome) -> &'static str {
    match outcome {
        Err(CommandError::Refused(refusal)) => refusal.code(),
        other => panic!("it is refused, not {other:?}"),
    }
}

/// A command with a key of its own.
pub(crate) fn command(use_case: impl UseCase) -> Command {
    keyed(key(), use_case)
}

/// A command with this key.
pub(crate) fn keyed(key: CommandKey, use_case: impl UseCase) -> Command {
    Command {
        key,
        request_mac: [1; 32],
        metadata: Arc::new(Metadata {
            command_id: key.command_id.to_string(),
            ..Metadata::default()
        }),
        use_case: Box::new(use_case),
    }
}

/// A command with this key whose request was another.
pub(crate) fn otherwise(key: CommandKey, use_case: impl UseCase) -> Command {
    Command {
        request_mac: [2; 32],
        ..keyed(key, use_case)
    }
}

pub(crate) fn handle() -> ClaimId {
    ClaimId(*id().as_bytes())
}

pub(crate) fn register(user_id: UserId, handle: ClaimId) -> Register {
    Register {
        user_id,
        handle,
        profile: sealed(user_id, "a profile"),
        at: at(0),
    }
}

/// Says something, as the edge would: every time with another id.
pub(crate) fn send(room_id: RoomId, by: UserId) -> SendMessage {
    SendMessage {
        room_id,
        message_id: MessageId(id()),
        by,
        body: sealed(by, "a text"),
        preview: None,
        mentions: Vec::new(),
        reply_to: None,
        at: at(1),
    }
}

pub(crate) fn invite(room_id: RoomId, by: UserId, who: UserId) -> Invite {
    Invite {
        room_id,
        new_room_id: RoomId(id()),
        by,
        user_ids: vec![who],
        min_members: 1,
        max_created: 1_500,
        max_members: 1_000,
        at: at(2),
    }
}

pub(crate) const fn leave(room_id: RoomId, by: UserId) -> Leave {
    Leave { room_id, by, at: at(3) }
}

pub(crate) const fn kick(room_id: RoomId, by: UserId, user_id: UserId) -> Kick {
    let at = at(3);
    Kick {
        room_id,
        by,
        user_id,
        at,
    }
}

pub(crate) const fn give(room_id: RoomId, by: UserId, user_id: UserId, role: Role) -> GiveRole {
    let at = at(3);
    GiveRole {
        room_id,
        by,
        user_id,
        role,
        at,
    }
}

pub(crate) const fn read(room_id: RoomId, by: UserId, seq: u64) -> MarkRead {
    MarkRead {
        room_id,
        by,
        seq: Seq(seq),
        at: at(4),
    }
}

/// Something of their own that changes every time.
fn door(room_id: RoomId, by: UserId) -> Command {
    command(SetPreferences {
        room_id,
        by,
        muted_until: Patch::Keep,
        pinned: None,
        alias: Patch::Set(sealed(by, &id().to_string())),
        at: at(5),
    })
}

/// What the sender was told.
pub(crate) fn sent(accepted: &Accepted) -> SentAnswer {
    serde_json::from_str(accepted.answer.body.get()).expect("a sent message is answered")
}

/// A message in the log.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) version: u64,
    pub(crate) message: MessageSent,
}

/// The messages of a room, after checking that all its numbers are dense.
pub(crate) async fn said(log: &dyn LogReader, room_id: RoomId) -> Vec<Said> {
    let (mut seq, mut cnt) = (0, 0);
    let mut messages = Vec::new();
    let events = stream_events(log, StreamId::Room(room_id)).await;
    for (index, recorded) in events.into_iter().enumerate() {
        let version = recorded.sequence;
        assert_eq!(version, index as u64 + 1, "a version is left out");
        let Ok(AnyEvent::Room(event)) = recorded.event else {
            panic!("no event of a room: {:?}", recorded.event);
        };
        if let Some(number) = line(&event) {
            assert!(number == seq + 1 || number == 0, "item {number} follows item {seq}");
            seq = number;
        }
        if let RoomEvent::MessageSent(message) = event {
            assert_eq!(message.cnt.0, cnt + 1, "a message is not counted");
            cnt = message.cnt.0;
            messages.push(Said { version, message });
        }
    }
    messages
}

/// The place that an event takes in the timeline.
const fn line(event: &RoomEvent) -> Option<u64> {
    match event {
        RoomEvent::Opened(e) => Some(e.seq.0),
        RoomEvent::MembersInvited(e) => Some(e.seq.0),
        RoomEvent::MemberLeft(e) => Some(e.seq.0),
        RoomEvent::MemberKicked(e) => Some(e.seq.0),
        RoomEvent::RoleGiven(e) => Some(e.seq.0),
        RoomEvent::Renamed(e) => Some(e.seq.0),
        RoomEvent::NoticeChanged(e) => Some(e.seq.0),
        RoomEvent::MessageSent(e) => Some(e.seq.0),
        RoomEvent::RoleChanged(_)
        | RoomEvent::SettingsChanged(_)
        | RoomEvent::MessageEdited(_)
        | RoomEvent::MessageDeleted(_)
        | RoomEvent::ReactionChanged(_)
        | RoomEvent::Closed(_) => None,
    }
}

/// Asserts that each of these answers is what the log says of its message, and that nothing else was said.
pub(crate) async fn assert_told_as_logged(log: &dyn LogReader, room_id: RoomId, told: &[SentAnswer]) {
    let logged = said(log, room_id).await;
    assert_eq!(logged.len(), told.len(), "something was said twice, or lost");
    let mut told: Vec<_> = told
        .iter()
        .map(|answer| (answer.seq, answer.version, answer.message_id))
        .collect();
    told.sort_unstable();
    let logged: Vec<_> = logged
        .iter()
        .map(|said| (said.message.seq.0, said.version, said.message.message_id))
        .collect();
    assert_eq!(told, logged);
}

/// How many events the whole log has.
pub(crate) async fn events(log: &dyn EventLog) -> u64 {
    log.heads().await.expect("the log can be read").iter().sum()
}
