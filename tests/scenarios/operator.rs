//! What operators are told: metrics that are explained, spans that belong together, and logs that give nobody away.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::harness::NO_RATES;
use crate::harness::client::{Api, PATIENCE, new_handle, new_key};
use crate::harness::person::Person;
use crate::harness::socket::Socket;
use crate::stage::Stage;

/// Where each metric is explained.
const MANUAL: &str = include_str!("../../docs/OPERATIONS.md");

/// A metric as the manual has it: its kind, and its labels with their values, where those are listed.
struct Explained<'a> {
    kind: &'a str,
    labels: HashMap<&'a str, HashSet<&'a str>>,
}

/// The rows of the manual's tables.
fn explained() -> HashMap<&'static str, Explained<'static>> {
    let rows = MANUAL.lines().filter(|line| line.starts_with("| `cocotalk_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else {
            panic!("not a row: {row}")
        };
        (
            name.trim_matches('`'),
            Explained {
                kind,
                labels: labels_of(labels),
            },
        )
    })
    .collect()
}

/// "`a`, `b`: `x`, `y`" is a label `a` of any value and a label `b` of two.
fn labels_of(cell: &str) -> HashMap<&str, HashSet<&str>> {
    let (names, values) = cell.split_once(": ").unwrap_or((cell, ""));
    let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('`')).collect();
    let values: HashSet<&str> = values
        .split(", ")
        .map(|value| value.trim_matches('`'))
        .filter(|value| !value.is_empty())
        .collect();
    let last = names.len() - 1;
    names
        .into_iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
        .map(|(index, name)| (name, if index == last { values.clone() } else { HashSet::new() }))
        .collect()
}

#[tokio::test]
async fn every_metric_is_explained_as_it_is() {
    let api = Api::shared();
    let [anna, boram, chulsoo] = api.three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let mut socket = Socket::open(&boram).await;
    anna.say(&room, "세어 보자").await;
    socket.event("message.sent", &room).await;
    anna.get("/v1/rooms?limit=0").await.problem(422);
    let explained = explained();
    let mut seen = HashSet::new();
    for admin in Stage::shared().admins() {
        let reply = Api::at(admin).get("/metrics").await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        for line in text.lines().filter(|line| line.starts_with("# TYPE cocotalk_")) {
            let words: Vec<&str> = line.split(' ').collect();
            let metric = explained
                .get(words[2])
                .unwrap_or_else(|| panic!("not explained: {line}"));
            assert_eq!(metric.kind, words[3], "{line}");
            seen.insert(words[2].to_owned());
        }
        for line in text.lines().filter(|line| line.starts_with("cocotalk_")) {
            check_labels(line, &explained);
        }
    }
    for part in [
        "process_ready",
        "command_duration",
        "live_sockets",
        "problems",
        "projection_parked_aggregates",
    ] {
        assert!(
            seen.iter().any(|name| name.contains(part)),
            "nothing about {part}: {seen:?}"
        );
    }
}

/// Whether the labels of a line are those that its metric is explained with.
fn check_labels(line: &str, explained: &HashMap<&str, Explained<'_>>) {
    let Some((name, rest)) = line.split_once('{') else {
        return;
    };
    let (labels, _) = rest.rsplit_once('}').unwrap();
    let stems =
        ["", "_bucket", "_count", "_sum"].map(|suffix| name.strip_suffix(suffix).and_then(|stem| explained.get(stem)));
    let metric = stems
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_else(|| panic!("not explained: {line}"));
    for label in labels.split("\",").filter(|label| !label.starts_with("le=")) {
        let (key, value) = label.split_once("=\"").unwrap();
        let values = metric
            .labels
            .get(key)
            .unwrap_or_else(|| panic!("no label of it is {key}: {line}"));
        let value = value.trim_end_matches('"');
        assert!(
            values.is_empty() || values.contains(value),
            "{value} is none of {values:?}: {line}"
        );
    }
}

/// A command is one trace, in all processes: that of its request.
#[cfg(feature = "otlp")]
#[tokio::test]
async fn a_collector_is_told_every_step_of_a_command_in_the_trace_of_its_request() {
    use crate::harness::client::eventually;
    use crate::harness::collector::Collector;
    use crate::stage::STEPS;

    let collector = Collector::start();
    let stage = Stage::whole_with(&format!("{NO_RATES}{}", collector.config()));
    let [anna, boram, _] = stage.api().three().await;
    let room = anna.direct(&boram).await;
    let mut socket = Socket::open(&boram).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let key = new_key();
    let sending = anna.sending(&room, "따라와").key(&key);
    sending
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .await
        .is(201);
    socket.event("message.sent", &room).await;
    let all_told = || async {
        let told = collector.told_of(trace);
        let has =
            |(service, name): &(&str, &str)| told.iter().any(|step| step.service == *service && step.name == *name);
        STEPS.iter().all(has).then_some(told)
    };
    let told = eventually("every step is told", all_told).await;
    let command = told.iter().find(|step| step.name == "command").unwrap();
    assert_eq!(command.parent, "b7ad6b7169203331", "the caller's own step comes before");
    assert_eq!(
        command.span,
        key.replace('-', "")[16..],
        "known to everybody by the command's id"
    );
    for step in told.iter().filter(|step| step.name != "command") {
        assert_eq!(step.parent, command.span, "{step:?}");
    }

    let dropped = "11111111111111111111111111111111";
    let sending = anna.sending(&room, "따라오지 마").key(&new_key());
    sending
        .header("traceparent", format!("00-{dropped}-b7ad6b7169203331-00"))
        .await
        .is(201);
    let own = new_key();
    anna.sending(&room, "혼자").key(&own).await.is(201);
    let told = || async { (!collector.told_of(&own.replace('-', "")).is_empty()).then_some(()) };
    eventually("a command that brought no trace is one of its own", told).await;
    assert_eq!(collector.told_of(dropped), [], "its sender keeps nothing of it");
}

/// What people write and are, put wherever a client can put a text; none of it may be in the logs.
const PLANTED: [&str; 9] = [
    "Waldmeister",  // the name of a person
    "waldm",        // how their handle begins
    "Rhabarber",    // the name of a room
    "Schnittlauch", // what is written, over HTTP and over the socket
    "비밀번호",
    "+49 170 5550199",
    "203.0.113.77",    // where they are
    "Zitronenmelisse", // what makes no sense where it stands
    "Petersilie",      // an alias, a notice
];

#[tokio::test]
async fn nothing_of_what_people_write_or_are_is_in_the_logs_at_any_level() {
    let mut stage = Stage::whole_with(&format!("{NO_RATES}[log]\nfilter = \"trace\"\n"));
    let api = stage.api();
    let (handle, name) = (new_handle("waldm"), "Waldmeister");
    let person = json!({"handle": handle, "display_name": name});
    let creation = api.call("POST", "/v1/dev/accounts").json(&person).key(&new_key());
    let anna = Person::made_by(creation, name).await;
    let [boram, chulsoo, _] = api.three().await;
    let room = plant_in_a_room(&anna, &[&boram, &chulsoo]).await;
    plant_nonsense(&anna, &room).await;
    plant_in_a_socket(&anna, &room).await;
    assert_eq!(anna.history(&room).await.len(), 7, "all of it was really there");
    stage.terminate();
    stage.ended();
    let logs = stage.logs();
    assert!(
        logs.contains("DEBUG") && logs.contains(&room),
        "the logs tell what happens"
    );
    let tokens = [&anna, &boram, &chulsoo].map(|person| person.token.rsplit_once('.').unwrap().1);
    for word in PLANTED.iter().chain(&tokens) {
        let found = logs.lines().find(|line| line.contains(word));
        assert_eq!(found, None, "{word}");
    }
}

async fn plant_in_a_room(anna: &Person, others: &[&Person]) -> String {
    let ids: Vec<_> = others.iter().map(|other| &other.id).collect();
    let body = json!({"kind": "group", "user_ids": ids, "name": "Rhabarber"});
    let room = anna.post("/v1/rooms", &body).await.is(201)["room_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/rooms/{room}");
    for text in ["Schnittlauch", "비밀번호 1234", "ruf an: +49 170 5550199"] {
        anna.say(&room, text).await;
    }
    anna.patch(&path, &json!({"name": "Rhabarber neu", "notice": "Petersilie"}))
        .await
        .accepted();
    anna.put(format!("{path}/preferences"), &json!({"alias": "Petersilie"}))
        .await
        .accepted();
    room
}

/// Requests that are refused, each with a word in it where it does not belong.
async fn plant_nonsense(anna: &Person, room: &str) {
    let messages = format!("/v1/rooms/{room}/messages");
    let word = "Zitronenmelisse";
    let refused = [
        anna.post(&messages, &json!({"kind": "text", "text": word, word: 1})),
        anna.post(&messages, &json!({"kind": word, "text": "Schnittlauch"})),
        anna.post(&messages, &json!({"kind": "text", "text": {"Schnittlauch": word}})),
        anna.post(&messages, &Value::Null)
            .raw(format!("{{\"text\": \"{word}\"")),
        anna.get(format!("{messages}?{word}={word}")),
        anna.get(format!("/v1/{word}/{word}")),
        anna.get(format!("/v1/rooms/{word}")),
        anna.get(format!("/v1/rooms?cursor={word}")),
        anna.sending(room, "Schnittlauch").key(word),
        anna.get("/v1/rooms").header("x-min-position", word),
        anna.api.get("/v1/rooms").token(word),
        anna.api
            .get("/v1/rooms")
            .header("authorization", format!("Basic {word}")),
        anna.api
            .call("POST", "/v1/dev/accounts")
            .json(&json!({"handle": word, "display_name": word.repeat(9)})),
    ];
    for call in refused {
        let status = call
            .header("user-agent", word)
            .header("x-forwarded-for", "203.0.113.77")
            .header("x-request-id", word)
            .await
            .status;
        assert!((400..500).contains(&status), "{status}");
    }
}

async fn plant_in_a_socket(anna: &Person, room: &str) {
    let mut socket = Socket::open(anna).await;
    let message = json!({"kind": "text", "text": "Schnittlauch mit 비밀번호"});
    socket.post(room, &new_key(), &message).await;
    socket.event("message.sent", room).await;
    for nonsense in [
        "Zitronenmelisse",
        "{\"op\":\"Zitronenmelisse\"}",
        "{\"op\":\"send\",\"Schnittlauch\":\"비밀번호\"}",
    ] {
        socket.say(nonsense.to_owned()).await;
        socket.wait_for("a problem", |frame| frame["op"] == "problem").await;
    }
    let mut stranger = Socket::silent(anna.api.query_address()).await;
    stranger
        .say("{\"op\":\"hello\",\"token\":\"Zitronenmelisse\"}".to_owned())
        .await;
    stranger.close_code(PATIENCE).await;
}
