//! Events as records, and back.

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::StreamId;
use proptest::prelude::*;
use rdkafka::Timestamp;
use rdkafka::message::OwnedMessage;

use super::*;

fn sample() -> LogRecord {
    let stream = StreamId::Seat(RoomId::from_u128(1), UserId::from_u128(2));
    let payload = r#"{"seat.read_advanced": {"room_id":"00000000-0000-0000-0000-000000000001",
        "user_id":"00000000-0000-0000-0000-000000000002", "read_seq":7,"read_cnt":6,"at":"2026-01-01T00:00:00.000Z"}}"#;
    LogRecord {
        aggregate_type: stream.aggregate_type().to_owned(),
        aggregate_id: stream.aggregate_id(),
        sequence: 3,
        slice: stream.slice(),
        slice_pos: 41,
        ts_us: 1_767_225_600_000_001,
        event_type: "seat.read_advanced".to_owned(),
        event_version: "1".to_owned(),
        payload: payload.to_owned(),
        metadata: r#"{"actor" : "a","traceparent":"00-0af7-b7ad-01"}"#.to_owned(),
    }
}

/// The record as a consumer gets it.
fn message(record: &LogRecord) -> OwnedMessage {
    let Encoded {
        partition,
        key,
        value,
        headers,
    } = encode(record).expect("it is JSON");
    let (topic, time) = ("events".to_owned(), Timestamp::NotAvailable);
    OwnedMessage::new(
        Some(value),
        Some(key.into_bytes()),
        topic,
        time,
        partition,
        5,
        Some(headers),
    )
}

/// The record with another value in one header, or without it.
fn with_header(record: &LogRecord, name: &str, value: Option<&[u8]>) -> OwnedMessage {
    let message = message(record);
    let mut headers = OwnedHeaders::new();
    for header in message.headers().expect("it has headers").iter() {
        let value = if header.key == name { value } else { header.value };
        if let Some(value) = value {
            headers = headers.insert(Header {
                key: header.key,
                value: Some(value),
            });
        }
    }
    message.replace_headers(Some(headers))
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let record = sample();
    assert_eq!(log_record(&message(&record)).unwrap(), record);
    assert_eq!(position(&message(&record)).unwrap(), 41);
}

#[test]
fn a_record_says_in_headers_what_it_is() {
    let message = message(&sample());
    let headers = message.headers().expect("it has headers");
    let text = |header: Header<'_, &[u8]>| {
        let value = header.value.expect("it has a value");
        (
            header.key.to_owned(),
            String::from_utf8(value.to_vec()).expect("it is text"),
        )
    };
    let said: Vec<_> = headers.iter().map(text).collect();
    let id = "00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002";
    let slice = sample().slice.to_string();
    let event_id = format!("seat/{id}/3");
    let expected = [
        ("aggregate_type", "seat"),
        ("aggregate_id", id),
        ("event_type", "seat.read_advanced"),
        ("event_version", "1"),
        ("slice", slice.as_str()),
        ("slice_pos", "41"),
        ("ts_us", "1767225600000001"),
        ("sequence", "3"),
        ("event_id", event_id.as_str()),
        ("traceparent", "00-0af7-b7ad-01"),
    ];
    let expected: Vec<_> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(said, expected);
    assert_eq!(message.key(), Some(id.as_bytes()));
    assert_eq!(message.partition(), sample().slice.index() as i32);
    let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
    assert_eq!(
        value,
        format!(r#"{{"payload":{},"metadata":{}}}"#, sample().payload, sample().metadata)
    );
}

#[test]
fn an_event_without_a_trace_has_no_header_for_it() {
    for metadata in [r#"{"actor":"a"}"#, "{}", "[]"] {
        let record = LogRecord {
            metadata: metadata.to_owned(),
            ..sample()
        };
        let message = message(&record);
        let headers = message.headers().unwrap();
        assert!(headers.iter().all(|header| header.key != TRACEPARENT));
        assert_eq!(headers.count(), 9);
    }
}

#[test]
fn the_event_is_understood() {
    let event = event(&message(&sample())).unwrap();
    assert_eq!((event.sequence, event.slice_pos, event.slice), (3, 41, sample().slice));
    assert_eq!(event.metadata.traceparent.as_deref(), Some("00-0af7-b7ad-01"));
    assert!(matches!(event.event, Ok(AnyEvent::Seat(_))), "{:?}", event.event);
}

#[test]
fn an_event_that_a_newer_release_wrote_is_still_an_event() {
    let record = LogRecord {
        event_type: "seat.levitated".to_owned(),
        ..sample()
    };
    let event = event(&message(&record)).unwrap();
    assert_eq!(event.slice_pos, 41);
    assert!(event.event.is_err());
}

#[test]
fn what_is_not_known_is_passed_over() {
    let mut headers = message(&sample()).detach_headers().unwrap();
    headers = headers.insert(Header {
        key: "colour",
        value: Some(&[255_u8, 0][..]),
    });
    headers = headers.insert(Header::<&[u8]> {
        key: "nothing",
        value: None,
    });
    let value = format!(
        r#"{{"later":1,"payload":{},"metadata":{}}}"#,
        sample().payload,
        sample().metadata
    );
    let message = message(&sample())
        .replace_headers(Some(headers))
        .set_payload(Some(value.into_bytes()));
    assert_eq!(log_record(&message).unwrap(), sample());
}

#[test]
fn what_is_none_of_ours_is_unreadable() {
    let record = sample();
    let bare = message(&record).replace_headers(None);
    assert!(matches!(event(&bare), Err(Unreadable::Header(SLICE))));
    for name in READ {
        let missing = with_header(&record, name, None);
        assert!(
            matches!(event(&missing), Err(Unreadable::Header(n)) if n == name),
            "{name}"
        );
        let binary = with_header(&record, name, Some(&[0xff, 0xfe]));
        assert!(
            matches!(event(&binary), Err(Unreadable::Header(n)) if n == name),
            "{name}"
        );
    }
    for (name, text) in [
        (SLICE_POS, "0"),
        (SLICE_POS, "-3"),
        (SEQUENCE, "one"),
        (TS_US, ""),
        (SLICE_POS, "9999999999999999999999"),
    ] {
        let wrong = with_header(&record, name, Some(text.as_bytes()));
        assert!(
            matches!(event(&wrong), Err(Unreadable::Number(n)) if n == name),
            "{name}: {text}"
        );
    }
    let elsewhere = message(&record).set_partition((record.slice.index() as i32 + 1) % 64);
    assert!(matches!(event(&elsewhere), Err(Unreadable::Slice)));
    assert!(matches!(position(&elsewhere), Err(Unreadable::Slice)));
    let beyond = with_header(&record, SLICE, Some(b"64")).set_partition(64);
    assert!(matches!(event(&beyond), Err(Unreadable::Slice)));
    for value in [&b""[..], b"{}", b"garbage", br#"{"payload":{}}"#, &[0xff]] {
        let garbage = message(&record).set_payload(Some(value.to_vec()));
        assert!(matches!(event(&garbage), Err(Unreadable::Value)), "{value:?}");
    }
    let tombstone = message(&record).set_payload(None);
    assert!(matches!(event(&tombstone), Err(Unreadable::Value)));
    let foreign = with_header(&record, AGGREGATE_TYPE, Some(b"starship"));
    assert!(matches!(event(&foreign), Err(Unreadable::Foreign(_))));
}

#[test]
fn what_is_no_json_is_not_published() {
    let record = LogRecord {
        payload: "{".to_owned(),
        ..sample()
    };
    assert!(matches!(encode(&record), Err(StoreError::Corrupt { .. })));
}

/// Headers at which the driver panics.
struct Hostile;

impl Headers for Hostile {
    fn count(&self) -> usize {
        1
    }

    fn try_get(&self, _: usize) -> Option<Header<'_, &[u8]>> {
        panic!("a name that is no UTF-8");
    }
}

#[test]
fn a_header_at_which_the_driver_panics_is_none_of_ours() {
    let texts = Texts::read(&Hostile);
    assert!(matches!(texts.text(SLICE), Err(Unreadable::Header(SLICE))));
}

proptest! {
    #[test]
    fn any_record_survives(
        (aggregate_type, aggregate_id, event_type, event_version) in (".{0,20}", ".{0,60}", ".{0,20}", ".{0,5}"),
        (sequence, slice, slice_pos, ts_us) in (1..i64::MAX as u64, 0..64_usize, 1..i64::MAX as u64, any::<i64>()),
        (payload, metadata) in (json(), json()),
    ) {
        let slice = Slice::new(slice).expect("it is below 64");
        let record = LogRecord {
            aggregate_type, aggregate_id, sequence, slice, slice_pos, ts_us, event_type, event_version, payload, metadata,
        };
        prop_assert_eq!(log_record(&message(&record)).unwrap(), record);
    }

    #[test]
    fn no_value_makes_a_reader_panic(value in any::<Vec<u8>>(), header in any::<Vec<u8>>(), i in 0..READ.len()) {
        let message = with_header(&sample(), READ[i], Some(&header)).set_payload(Some(value));
        // Whatever it says, it says something.
        drop(event(&message));
    }
}

/// JSON with some freedom in how it is written.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| serde_json::to_string(&text).expect("text is JSON")),
        Just("1.50e+02".to_owned()),
        Just(r#""\u0041\/""#.to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            prop::collection::vec((".{0,8}", inner), 0..4).prop_map(|fields| {
                let field = |(name, value): &(String, String)| {
                    format!("{} :{value}", serde_json::to_string(name).expect("text is JSON"))
                };
                let fields: Vec<_> = fields.iter().map(field).collect();
                format!("{{{}}}", fields.join(",  "))
            }),
        ]
    })
}
