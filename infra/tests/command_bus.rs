//! The command bus over real logs: every promise of `CommandBus`, and of one log shared by two buses.
//!
//! Each scenario runs once in memory, once in a file, and, with the feature `postgres`, once on a server.
#![cfg(feature = "embedded")]

#[path = "command_bus/keys.rs"]
mod keys;
#[path = "command_bus/messages.rs"]
mod messages;
#[cfg(feature = "postgres")]
#[path = "postgres/named.rs"]
mod named;
#[path = "command_bus/neighbours.rs"]
mod neighbours;
#[path = "command_bus/nodes.rs"]
mod nodes;
#[path = "command_bus/order.rs"]
mod order;
#[path = "command_bus/people.rs"]
mod people;
#[path = "command_bus/races.rs"]
mod races;
#[path = "command_bus/reading.rs"]
mod reading;
#[path = "command_bus/snapshots.rs"]
mod snapshots;
#[path = "command_bus/stage.rs"]
mod stage;
#[path = "command_bus/trouble.rs"]
mod trouble;
#[path = "command_bus/watched.rs"]
mod watched;

use std::sync::Arc;

use cocotalk_application::contract::support::PATIENCE;
use cocotalk_infra::embedded::{EmbeddedStore, Settings};
use cocotalk_infra::memory::MemoryStore;
use stage::Ground;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

async fn in_memory() -> Ground {
    Ground {
        log: Arc::new(MemoryStore::new(Vec::new())),
        _keep: Box::new(()),
    }
}

async fn in_a_file() -> Ground {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        folder: folder.path().to_owned(),
        log_prepared_bytes: 1 << 20,
        ..Settings::default()
    };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let store = EmbeddedStore::open(&settings, Vec::new(), &tasks, stop.clone())
        .await
        .expect("the store opens");
    Ground {
        log: Arc::new(store),
        _keep: Box::new((stop.drop_guard(), folder)),
    }
}

#[cfg(feature = "postgres")]
async fn on_a_server() -> Ground {
    use cocotalk_infra::postgres::{Database, PostgresEventLog};

    let named = named::Named::migrated().await;
    let database = Database::open(&named.settings()).await.expect("the database opens");
    let stop = CancellationToken::new();
    let log = PostgresEventLog::new(database, &TaskTracker::new(), stop.clone());
    Ground {
        log: Arc::new(log),
        _keep: Box::new((stop.drop_guard(), named)),
    }
}

/// A scenario ends before everybody's patience does.
async fn in_time(scenario: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, scenario)
        .await
        .expect("the scenario ends in time");
}

macro_rules! over_every_log {
    ($($(#[$attribute:meta])* $module:ident :: $scenario:ident),+ $(,)?) => {
        over_every_log!(@ memory, in_memory; $($(#[$attribute])* $module::$scenario),+);
        over_every_log!(@ embedded, in_a_file; $($(#[$attribute])* $module::$scenario),+);
        #[cfg(feature = "postgres")]
        over_every_log!(@ postgres, on_a_server; $($(#[$attribute])* $module::$scenario),+);
    };
    (@ $name:ident, $fresh:ident; $($(#[$attribute:meta])* $module:ident :: $scenario:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                $(#[$attribute])*
                async fn $scenario() {
                    super::in_time(Box::pin(super::$module::$scenario(super::$fresh))).await;
                }
            )+
        }
    };
}

over_every_log! {
    order::many_senders_of_one_room_are_all_accepted_in_the_order_of_the_log,
    order::what_waits_together_is_appended_together,
    order::an_accepted_command_names_the_place_of_its_last_event,
    order::places_in_a_batch_are_those_of_each_command,
    keys::a_repeated_request_gets_the_stored_answer,
    keys::a_key_of_another_request_is_reused,
    keys::two_at_once_with_one_key_are_one,
    keys::a_refusal_stores_nothing_and_frees_the_key,
    keys::a_leave_repeated_is_answered_alike,
    keys::a_kick_repeated_is_answered_alike,
    keys::an_invitation_repeated_lets_nobody_in_again,
    keys::a_direct_room_opened_again_is_answered_alike,
    keys::a_registration_repeated_is_answered_alike,
    messages::what_is_known_of_a_message_is_not_asked_for_again,
    messages::reactions_that_wait_together_are_all_counted,
    messages::what_happened_to_a_message_elsewhere_is_known,
    messages::what_never_happened_to_a_message_is_not_known,
    messages::a_change_of_a_message_repeated_is_answered_alike,
    messages::nothing_is_done_to_a_message_that_one_may_not_see,
    nodes::two_nodes_in_one_hot_room_refuse_nobody,
    nodes::whoever_was_invited_elsewhere_is_not_refused,
    nodes::whoever_left_elsewhere_is_refused,
    nodes::whoever_was_kicked_or_lost_a_role_elsewhere_is_refused,
    nodes::a_key_used_elsewhere_is_known,
    people::of_many_registrations_of_one_handle_one_wins,
    people::of_registrations_at_two_nodes_one_wins,
    reading::beyond_the_newest_item_it_stops_there,
    reading::what_is_read_after_a_send_of_its_batch_is_committed,
    reading::what_was_not_written_is_not_read,
    reading::what_changes_nothing_answers_with_the_heads,
    snapshots::a_state_from_a_snapshot_decides_as_a_whole_one,
    races::what_is_read_beside_is_the_newest,
    races::whoever_left_elsewhere_does_nothing_to_their_seat,
    races::leaving_a_direct_room_hides_what_was_said_elsewhere,
    races::a_refusal_on_a_state_that_never_was_is_none,
    races::nothing_to_do_on_a_state_that_never_was_is_none,
    races::nothing_to_do_under_lock_answers_with_what_made_it_needless,
    neighbours::a_use_case_that_panics_stops_nobody_else,
    neighbours::one_key_many_times_costs_one_lock,
    neighbours::what_waits_in_a_lane_is_bounded,
    neighbours::a_refusal_within_a_batch_takes_no_lock,
    trouble::what_could_not_be_written_is_not_remembered,
    trouble::a_batch_that_could_not_be_written_is_not_remembered,
    trouble::what_was_written_unheard_is_found_again,
    trouble::a_log_that_cannot_be_locked_is_unavailable,
    trouble::a_full_lane_is_busy,
}
