//! One test per promise of each port, for every adapter to run against itself.
//!
//! An adapter writes, in its own tests:
//! ```text
//! async fn fresh(projections: Vec<Arc<dyn Projection>>) -> cocotalk_application::contract::Store { ... }
//! cocotalk_application::event_log_contract!(fresh);
//! ```
//! and gets one `#[tokio::test]` for each promise, every one with a store of its own.

#![expect(clippy::missing_panics_doc, reason = "a broken promise is a panic: these are tests")]

pub mod assignment;
pub mod event_feed;
pub mod event_log;
pub mod idempotency;
pub mod key_vault;
pub mod lock;
pub mod messages;
pub mod outbox;
pub mod parking;
pub mod people;
pub mod projections;
pub mod publisher;
pub mod read_model;
pub mod row_store;
pub mod script;
pub mod stage;
pub mod stress;
pub mod support;

use std::any::Any;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::port::assignment::Assignments;
use crate::port::event_log::EventLog;
use crate::port::live::EventFeed;
use crate::port::publisher::Publisher;
use crate::port::read_model::ReadModel;
use crate::port::row_store::{RowStore, Tables};

/// A fresh store under test: its ports, all of the same store.
pub struct Store {
    /// Its event log.
    pub log: Arc<dyn EventLog>,
    /// Its feed of commits.
    pub feed: Arc<dyn EventFeed>,
    /// Its read model.
    pub reads: Arc<dyn ReadModel>,
    /// What has to live as long as the store: a folder, a stop token.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Rows under test: their tables need not be fresh, every promise takes rooms and people of its own.
pub struct RowTables {
    /// What projections write to.
    pub rows: Arc<dyn RowStore>,
    /// What queries see of it.
    pub reads: Arc<dyn ReadModel>,
    /// The tables of `rooms`, `reads` and `people`.
    pub tables: [Tables; 3],
    /// What has to live as long as the store.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A fresh bus under test.
pub struct Bus {
    /// What a relay publishes to.
    pub publisher: Arc<dyn Publisher>,
    /// Lets another process share the slices.
    pub join: Box<dyn Fn() -> Process + Send + Sync>,
    /// What has to live as long as the bus.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A process that shares the slices of a bus.
pub struct Process {
    /// Its slices.
    pub assignments: Arc<dyn Assignments>,
    /// Stops it.
    pub stop: CancellationToken,
}

/// One test for each promise of a port; not for use by itself.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($fresh:expr; $($module:ident :: $promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::$module::$promise(async |projections| $fresh(projections).await).await;
            }
        )+
    };
}

/// The promises of `EventLog`. The factory is an async function from projections to a fresh [`Store`](crate::contract::Store).
#[macro_export]
macro_rules! event_log_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $fresh;
            event_log::what_was_appended_is_read_back,
            event_log::positions_and_sequences_are_dense,
            event_log::times_rise_in_a_slice,
            event_log::long_streams_are_read_in_pages,
            event_log::long_slices_are_read_in_pages,
            event_log::events_about_a_message_are_found,
            event_log::many_events_about_a_message_are_read_in_pages,
            event_log::a_run_on_an_old_version_is_a_conflict,
            event_log::a_run_beyond_the_head_is_a_conflict,
            event_log::a_unit_is_appended_whole_or_not_at_all,
            event_log::a_losing_unit_leaves_the_others,
            event_log::a_run_may_hold_many_events,
            event_log::first_positions_come_in_the_order_of_the_runs,
            event_log::heads_are_those_of_every_slice,
            event_log::a_probe_sees_versions_and_heads,
            event_log::the_newest_snapshot_of_a_shape_is_kept,
            event_log::nothing_is_appended_by_an_empty_call,
            idempotency::a_command_is_appended_once,
            idempotency::a_command_is_appended_once_within_one_call,
            idempotency::a_command_is_appended_once_even_on_an_old_version,
            idempotency::any_command_of_a_unit_makes_it_repeated,
            idempotency::a_command_that_lost_may_come_again,
            idempotency::the_same_key_of_another_actor_is_another_command,
            idempotency::a_probe_finds_a_command_and_its_answer,
            idempotency::of_many_at_the_same_time_one_is_appended,
            lock::what_is_decided_under_lock_is_appended,
            lock::what_is_read_under_lock_is_what_is_committed,
            lock::nobody_appends_while_a_lock_is_held,
            lock::a_dropped_lock_has_written_nothing,
            lock::a_wrong_version_under_lock_is_a_conflict,
            lock::a_repeated_command_under_lock_is_found,
            stress::many_writers_leave_a_log_without_holes,
            stress::a_dropped_append_is_done_or_not,
        }
    };
}

/// What stores promise that write rows in the order in which events arrive, and so never see an older head after a newer one
/// but where somebody repeats it. The factory is that of [`event_log_contract`].
#[macro_export]
macro_rules! arrival_order_contract {
    ($fresh:expr) => {
        $crate::contract_tests! { $fresh; read_model::a_head_never_goes_back }
    };
}

/// The promises of `ReadModel`. The factory is that of [`event_log_contract`].
#[macro_export]
macro_rules! read_model_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $fresh;
            read_model::a_room_is_shown_as_it_was_written,
            read_model::what_is_not_there_is_absent,
            read_model::parts_of_a_room_change_alone,
            read_model::pages_go_both_ways_and_stop_at_the_floor,
            read_model::a_page_crosses_buckets,
            read_model::single_items_are_found,
            read_model::an_item_is_shown_as_it_was_written,
            messages::a_message_is_shown_as_it_became,
            messages::a_head_shows_what_its_item_became,
            messages::everybody_reacts_for_themselves,
            messages::what_a_person_hides_is_found,
            people::a_person_sees_the_rooms_they_are_in,
            people::what_a_seat_says_and_what_a_room_says_do_not_mix,
            people::members_who_left_are_not_shown,
            people::who_is_behind_a_page_is_a_member_who_has_not_read_it,
            people::read_positions_only_rise,
            people::leaving_ends_a_read_position_but_not_a_later_one,
            people::profiles_are_found_by_id,
            read_model::checkpoints_follow_the_log,
            projections::an_event_that_is_not_taken_parks_its_aggregate_and_nothing_else,
            projections::a_seat_waits_with_its_room,
            projections::one_projection_does_not_park_for_another,
            projections::a_foreign_seal_is_not_taken,
        }
    };
}

/// The promises of `RowStore`. The factory is an async function to [`RowTables`](crate::contract::RowTables).
#[macro_export]
macro_rules! row_store_contract {
    ($fresh:expr) => {
        $crate::row_store_contract! {
            $fresh;
            order_and_repetition_change_nothing,
            a_head_does_not_go_back,
            read_positions_are_registers,
            rows_without_their_owner_are_not_shown,
            a_version_is_not_seen_before_its_rows,
            checkpoints_only_rise,
            a_large_call_is_written_whole,
            large_items_are_written,
            nothing_is_written_by_an_empty_call,
        }
    };
    ($fresh:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::row_store::$promise($fresh().await).await;
            }
        )+
    };
}

/// The promises of `EventFeed`. The factory is that of [`event_log_contract`].
#[macro_export]
macro_rules! event_feed_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $fresh;
            event_feed::what_is_told_is_in_the_log,
            event_feed::what_is_told_is_in_the_read_model,
            event_feed::a_slice_is_told_in_order,
            event_feed::what_lost_is_not_told,
            event_feed::who_falls_behind_is_told_so,
        }
    };
}

/// The promises of `Outbox`. The factory is an async function to a fresh [`Relayed`](crate::contract::outbox::Relayed).
#[macro_export]
macro_rules! outbox_contract {
    ($fresh:expr) => {
        $crate::outbox_contract! {
            $fresh;
            what_was_appended_is_read,
            only_what_was_asked_for_is_read,
            a_long_slice_is_read_in_parts,
            a_large_event_is_read,
            whoever_follows_sees_no_hole,
            heads_are_those_of_the_log,
            progress_never_goes_back,
            a_group_has_one_leader,
            a_slice_has_one_leader,
            a_leader_that_goes_makes_room,
        }
    };
    ($fresh:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::outbox::$promise(async || $fresh().await).await;
            }
        )+
    };
}

/// The promises of `Parking`. The factory is an async function to a fresh parking, with what has to live as long as it.
#[macro_export]
macro_rules! parking_contract {
    ($fresh:expr) => {
        $crate::parking_contract! {
            $fresh;
            what_is_parked_is_found,
            parking_again_changes_nothing,
            whoever_waits_waits_for_somebody,
            each_projection_waits_for_itself,
            the_aggregates_of_a_slice_are_found,
            what_is_removed_is_gone,
            tries_in_vain_are_counted,
            a_long_list_comes_in_pages,
            parking_and_removing_take_turns,
        }
    };
    ($fresh:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (parking, _keep) = $fresh().await;
                $crate::contract::parking::$promise(parking).await;
            }
        )+
    };
}

/// The promises of `KeyVault`. The factory is an async function to a fresh vault, with what has to live as long as it.
#[macro_export]
macro_rules! key_vault_contract {
    ($fresh:expr) => {
        $crate::key_vault_contract! {
            $fresh;
            a_key_is_made_once,
            keys_come_in_the_order_asked,
            a_destroyed_key_does_not_come_back,
            secrets_are_made_once,
            of_many_makers_at_the_same_time_all_get_one_key,
        }
    };
    ($fresh:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (vault, _keep) = $fresh().await;
                $crate::contract::key_vault::$promise(vault).await;
            }
        )+
    };
}

/// The promises of `Publisher` and `Assignments`. The factory is an async function to a fresh [`Bus`](crate::contract::Bus).
#[macro_export]
macro_rules! bus_contract {
    ($fresh:expr) => {
        $crate::bus_contract! {
            $fresh;
            publisher::what_is_published_is_delivered,
            publisher::a_slice_is_delivered_in_the_order_of_its_calls,
            publisher::an_empty_slice_has_no_tail,
            publisher::a_tail_is_where_publishing_has_ended,
            publisher::what_is_repeated_moves_no_tail,
            publisher::a_hole_holds_the_tail_back,
            publisher::nothing_is_published_by_an_empty_call,
            assignment::every_slice_is_assigned,
            assignment::processes_share_the_slices,
            assignment::nothing_is_missed_when_a_process_leaves,
            assignment::a_slice_is_given_away_after_it_was_dropped,
            assignment::a_slow_slice_holds_up_nothing_else,
            assignment::nothing_comes_after_the_stop,
            assignment::what_is_not_acknowledged_is_behind,
        }
    };
    ($fresh:expr; $($module:ident :: $promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::contract::$module::$promise($fresh().await).await;
            }
        )+
    };
}
