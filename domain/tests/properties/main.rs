//! What holds for every sequence of commands that several people give to one room and to their seats in it.
//!
//! A `Story` is a random sequence, a `World` the live states that obey it through `cqrs_es`, a `Record` an independent
//! recount of the events, as naive as can be. A failing story is made small, printed, and kept in `regressions.txt`.

mod damage;
mod names;
mod record;
mod story;
mod world;

use std::collections::BTreeMap;

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::UserId;
use cocotalk_domain::room::{Role, Room, RoomEvent};
use cocotalk_domain::seat::{Seat, SeatEvent};
use cocotalk_domain::stream::StreamId;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;

use record::Record;
use story::{Story, story};
use world::{Outcome, World, sent, touched};

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/properties/regressions.txt",
        ))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_sequence_of_commands_breaks_an_invariant(story in story()) {
        let mut world = World::new(story.kind);
        let mut record = Record::default();
        for step in &story.steps {
            if let Outcome::Happened(events) = world.take(step) {
                for (stream, event) in &events {
                    record.add(*stream, event)?;
                }
            }
            record.check(&world)?;
        }
    }

    #[test]
    fn a_refused_command_changes_nothing(story in story()) {
        let mut world = World::new(story.kind);
        for step in &story.steps {
            let before = world.states();
            match world.take(step) {
                Outcome::Refused | Outcome::NothingToDo => prop_assert_eq!(world.states(), before),
                // What is about one message leaves no trace in the states.
                Outcome::Happened(events) if events.iter().all(|(_, event)| is_about_a_message(event)) => {
                    prop_assert_eq!(world.states(), before);
                }
                Outcome::Happened(_) => prop_assert_ne!(world.states(), before),
            }
        }
    }

    #[test]
    fn replayed_events_give_the_live_state(story in story()) {
        let world = told(&story);
        prop_assert_eq!(replayed(Room::default(), BTreeMap::new(), &world.log), world.states());
    }

    #[test]
    fn stored_and_decoded_events_give_the_live_state(story in story()) {
        let world = told(&story);
        let stored = world.log.iter().map(|(stream, event)| {
            let read = AnyEvent::decode(stream.aggregate_type(), event.name(), event.version(), &event.payload());
            read.map(|read| (*stream, read))
        });
        let stored: Vec<_> = stored.collect::<Result<_, _>>().map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&stored, &world.log);
        prop_assert_eq!(replayed(Room::default(), BTreeMap::new(), &stored), world.states());
    }

    #[test]
    fn a_snapshot_and_the_events_after_it_give_the_live_state(story in story(), cut in any::<prop::sample::Index>()) {
        let world = told(&story);
        let (before, after) = world.log.split_at(cut.index(world.log.len() + 1));
        let (room, seats) = replayed(Room::default(), BTreeMap::new(), before);
        let (room, seats) = (thawed(&room), seats.iter().map(|(user, seat)| (*user, thawed(seat))).collect());
        prop_assert_eq!(replayed(room, seats, after), world.states());
    }
}

/// The stories are no use if they never come to what is hard: this one counts how often they do.
#[test]
fn the_stories_come_to_what_is_hard() {
    let mut runner = TestRunner::deterministic();
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..400 {
        let story = story().new_tree(&mut runner).expect("a story").current();
        let mut world = World::new(story.kind);
        for step in &story.steps {
            match world.take(step) {
                Outcome::Refused => *times.entry("refused").or_default() += 1,
                Outcome::NothingToDo => *times.entry("nothing to do").or_default() += 1,
                Outcome::Happened(events) => {
                    for (_, event) in events {
                        *times.entry(highlight(&world, &event)).or_default() += 1;
                    }
                }
            }
        }
    }
    let hard = [
        "refused",
        "nothing to do",
        "closed",
        "an heir",
        "an heir who was admin",
        "came back",
        "handed over",
        "a reply",
        "room.member_kicked",
        "room.message_deleted",
        "room.message_edited",
        "room.reaction_changed",
        "seat.message_hidden",
        "room.notice_changed",
        "room.renamed",
        "room.role_given",
        "room.settings_changed",
        "seat.floor_raised",
        "seat.preferences_set",
        "seat.read_advanced",
    ];
    for moment in hard {
        assert!(
            times.get(moment).is_some_and(|times| *times >= 20),
            "{moment}: {times:?}"
        );
    }
}

/// What is remarkable about an event that has just happened.
fn highlight(world: &World, event: &AnyEvent) -> &'static str {
    match event {
        AnyEvent::Room(RoomEvent::Closed(_)) => "closed",
        AnyEvent::Room(RoomEvent::RoleChanged(e)) if e.role == Role::Owner => {
            if world.was_admin(e.user_id) {
                "an heir who was admin"
            } else {
                "an heir"
            }
        }
        AnyEvent::Room(RoomEvent::RoleGiven(e)) if e.role == Role::Owner => "handed over",
        AnyEvent::Room(RoomEvent::MembersInvited(e)) if e.user_ids.iter().any(|user| world.ever_left(*user)) => {
            "came back"
        }
        AnyEvent::Room(RoomEvent::MessageSent(e)) if e.reply_to.is_some() => "a reply",
        AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => event.name(),
    }
}

/// The world at the end of a story.
fn told(story: &Story) -> World {
    let mut world = World::new(story.kind);
    for step in &story.steps {
        world.take(step);
    }
    world
}

fn replayed(
    mut room: Room,
    mut seats: BTreeMap<UserId, Seat>,
    log: &[(StreamId, AnyEvent)],
) -> (Room, BTreeMap<UserId, Seat>) {
    for (stream, event) in log {
        if let Some(event) = room_event(event) {
            room.evolve(event);
        }
        if let (StreamId::Seat(_, user), Some(event)) = (stream, seat_event(event)) {
            seats.entry(*user).or_default().evolve(event);
        }
    }
    (room, touched(&seats))
}

fn room_event(event: &AnyEvent) -> Option<&RoomEvent> {
    match event {
        AnyEvent::Room(event) => Some(event),
        AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => None,
    }
}

/// Whether it happened to a message that was there already.
fn is_about_a_message(event: &AnyEvent) -> bool {
    sent(event).is_none() && room_event(event).is_some_and(|event| event.message_id().is_some())
}

fn seat_event(event: &AnyEvent) -> Option<&SeatEvent> {
    match event {
        AnyEvent::Seat(event) => Some(event),
        AnyEvent::Room(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => None,
    }
}

/// A state through the bytes of its snapshot.
fn thawed<S: Serialize + DeserializeOwned>(state: &S) -> S {
    let bytes = postcard::to_stdvec(state).expect("a state is plain data");
    postcard::from_bytes(&bytes).expect("a snapshot is read")
}
