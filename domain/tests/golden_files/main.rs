//! Golden files: every event as it lies in the log, byte for byte, and a snapshot of every aggregate.
//!
//! An event that was ever written is read for ever, so its file under `tests/golden/` is never edited: a changed event gets the
//! next version, a step in the aggregate's `upcast`, and a file of its own beside the old one, which then proves the step.
//! A snapshot under `tests/golden/state/` changes only together with the aggregate's `STATE_VERSION`: one of another version is
//! ignored by whoever finds it, one of the same version with other bytes would be misread.
//!
//! A file that is missing fails the tests. `UPDATE_GOLDEN=1 cargo test -p cocotalk-domain --test golden_files` writes those that
//! are missing and touches none that is there; read what it wrote before you commit it.

mod cases;
mod names;
mod samples;
mod store;

use std::collections::BTreeSet;

use cases::{events, states};
use names::{all_names, names_beside};
use store::{bytes_of_hex, lines_of_hex, names_in};

#[test]
fn every_event_has_a_golden_file_of_its_current_version() {
    let golden: BTreeSet<&str> = events()
        .iter()
        .filter(|golden| golden.version() == golden.event.version())
        .map(|golden| golden.event.name())
        .collect();
    assert_eq!(golden, all_names());
}

#[test]
fn every_golden_file_is_read_as_it_was_meant() {
    for golden in events() {
        assert_eq!(golden.decode(&golden.text()), golden.event, "{}", golden.file);
    }
}

#[test]
fn every_event_is_written_as_its_golden_file() {
    for golden in events() {
        if golden.version() == golden.event.version() {
            assert_eq!(golden.event.payload(), golden.text(), "{}", golden.file);
        }
    }
}

#[test]
fn a_field_that_a_later_build_added_is_passed_over() {
    for golden in events() {
        let mut payload: serde_json::Value = serde_json::from_str(&golden.text()).expect("a golden file is JSON");
        payload[golden.event.name()]["added_later"] = serde_json::json!({ "by": ["a", "newer", "build"] });
        assert_eq!(golden.decode(&payload.to_string()), golden.event, "{}", golden.file);
    }
}

#[test]
fn the_events_of_an_aggregate_begin_with_its_type() {
    for golden in events() {
        let prefix = format!("{}.", golden.aggregate_type());
        let names = names_beside(&golden.event);
        assert!(names.iter().all(|name| name.starts_with(&prefix)), "{names:?}");
    }
}

#[test]
fn snapshots_are_written_as_their_golden_files() {
    for golden in states() {
        assert_eq!(
            lines_of_hex(&golden.bytes),
            golden.text(),
            "{}: other bytes need another STATE_VERSION",
            golden.file
        );
    }
}

#[test]
fn snapshots_are_read_as_they_were_meant() {
    for golden in states() {
        assert!((golden.reads_back)(&bytes_of_hex(&golden.text())), "{}", golden.file);
    }
}

#[test]
fn no_golden_file_is_left_over() {
    let events = events().into_iter().map(|golden| golden.path());
    let known: BTreeSet<String> = events.chain(states().into_iter().map(|golden| golden.file)).collect();
    let found: BTreeSet<String> = names_in("")
        .into_iter()
        .chain(names_in("state").into_iter().map(|name| format!("state/{name}")))
        .collect();
    let left_over: Vec<&String> = found.difference(&known).collect();
    assert!(left_over.is_empty(), "{left_over:?}");
}
