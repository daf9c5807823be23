//! CocoTalk's rules, pure: what may happen in a room, to a person's seat in it, to an account and to a claimed name.
//!
//! Every aggregate has the same shape: a sync `decide` from state and command to events or a refusal, a total `apply`,
//! and a `cqrs_es::Aggregate` impl that only forwards to the two. Nothing here reads a clock, makes an id, does I/O or
//! spawns a task: ids and instants are stamped once, at the edge, and ride in the command.
//!
//! # How to add a command
//! 1. Add the variant to the aggregate's `command.rs`, with everything the decision needs to know.
//! 2. Write the refusals and the rule as given-when-then tests in the aggregate's `tests.rs`, refusals first.
//! 3. Decide it in `decide`; if no event says what happened, add one to `event.rs` with a wire name, version `1` and a
//!    golden file under `tests/golden/` (the test `golden_files` says how). An event that was ever written is never
//!    edited: see `upcast`.

pub mod account;
pub mod claim;
pub mod event;
pub mod id;
pub mod limits;
pub mod number;
pub mod room;
pub mod sealed;
pub mod seat;
pub mod seq_set;
pub mod stream;
pub mod text;
pub mod time;

/// Implements `cqrs_es::Aggregate` for a type with `decide` and `evolve`: `handle` decides and writes what was decided.
macro_rules! aggregate {
    ($aggregate:ty, $command:ty, $event:ty, $error:ty, $name:literal) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = $name;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                _services: &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(&event);
            }
        }
    };
}
pub(crate) use aggregate;
