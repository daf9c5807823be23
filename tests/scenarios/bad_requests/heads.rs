//! What is wrong with the rest of a request: who asks, with which key, and for what.

use std::time::Duration;

use cocotalk_domain::id::{SessionId, UserId};
use cocotalk_domain::time::Instant;
use cocotalk_edge::auth::Tokens;
use serde_json::json;

use super::{COMMANDS, DELETE, Header, SIGN_IN, World, nothing_of, signed_in};
use crate::harness::client::{Api, PATIENCE, eventually, list, new_key};
use crate::harness::socket::{Socket, hello_frame};
use crate::stage::Stage;

const KEYS: &[Header] = &[
    ("idempotency-key", "", 422, "invalid_idempotency_key"),
    ("idempotency-key", "once", 422, "invalid_idempotency_key"),
    (
        "idempotency-key",
        "0198c0de7a1c7000800000000000000a",
        422,
        "invalid_idempotency_key",
    ),
    (
        "idempotency-key",
        "{0198c0de-7a1c-7000-8000-00000000000a}",
        422,
        "invalid_idempotency_key",
    ),
    (
        "idempotency-key",
        "0198c0de-7a1c-7000-8000-00000000000g",
        422,
        "invalid_idempotency_key",
    ),
];
const TOKENS: &[Header] = &[
    ("authorization", "", 401, "unauthenticated"),
    ("authorization", "Bearer", 401, "unauthenticated"),
    ("authorization", "Basic YTpi", 401, "unauthenticated"),
    ("authorization", "Bearer junk", 401, "invalid_token"),
    ("authorization", "Bearer a.b.c", 401, "invalid_token"),
    // Nobody signed it: {"alg":"none"}.
    (
        "authorization",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIwIn0.",
        401,
        "invalid_token",
    ),
];

/// What no id in a path can be, as it stands there.
const NO_PATH_ID: &[&str] = &[
    "here",
    "0",
    "0198c0de-7a1c-7000-8000-00000000000",
    "%00",
    "%ff",
    "%ED%A0%80",
    "-1",
];
/// What no emoji can be.
const NO_EMOJI: &[&str] = &["a", "%F0%9F%91%8D%F0%9F%91%8D", "%00", "%20", "9007199254740992"];

/// Queries, and what is wrong with them.
const QUERIES: &[(&str, &str)] = &[
    ("/v1/rooms?limit=0", "invalid_query"),
    ("/v1/rooms?limit=101", "invalid_query"),
    ("/v1/rooms?limit=-1", "invalid_query"),
    ("/v1/rooms?limit=1.5", "invalid_query"),
    ("/v1/rooms?limit=18446744073709551616", "invalid_query"),
    ("/v1/rooms?limit=1&limit=1", "invalid_query"),
    ("/v1/rooms?limit=", "invalid_query"),
    ("/v1/rooms?cursor=", "invalid_cursor"),
    ("/v1/rooms?cursor=here", "invalid_cursor"),
    ("/v1/rooms?cursor=AAAA", "invalid_cursor"),
    ("/v1/rooms?cursor=%00", "invalid_cursor"),
    ("/v1/rooms?surprise=1", "unknown_query_parameter"),
    ("/v1/rooms/{room}?surprise=1", "unknown_query_parameter"),
    ("/v1/rooms/{room}/members?limit=1", "unknown_query_parameter"),
    ("/v1/rooms/{room}/messages?before=1&after=1", "invalid_query"),
    ("/v1/rooms/{room}/messages?around=first", "invalid_query"),
    ("/v1/rooms/{room}/messages?before=-1", "invalid_query"),
    ("/v1/rooms/{room}/messages?after=18446744073709551616", "invalid_query"),
    ("/v1/rooms/{room}/messages?limit=0", "invalid_query"),
    ("/v1/rooms/{room}/messages?cursor=1", "unknown_query_parameter"),
    ("/v1/rooms/{room}/changes", "invalid_query"),
    ("/v1/rooms/{room}/changes?after_version=-1", "invalid_query"),
    ("/v1/rooms/{room}/changes?after_version=", "invalid_query"),
];
/// Positions that no command answered.
const NO_POSITION: &[&str] = &[
    "",
    "here",
    "1",
    "1:",
    ":1",
    "64:1",
    "-1:1",
    "1:-1",
    "1:18446744073709551616",
    "1:1,",
    "1:1;2:2",
];

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let world = World::make(&Api::shared()).await;
    let commands = || COMMANDS.iter().copied().filter(|command| command.1 != SIGN_IN);
    let single = commands().flat_map(|command| {
        let world = &world;
        KEYS.iter().map(move |(name, value, status, code)| {
            let call = world.asking(command).header(name, *value);
            (format!("{value}: {} {}", command.0, command.1), call, *status, *code)
        })
    });
    let twice = commands().map(|command| {
        let call = world.asking(command).key(&new_key()).key(&new_key());
        (format!("two keys: {command:?}"), call, 422, "invalid_idempotency_key")
    });
    nothing_of(single.chain(twice), &world).await;
}

#[tokio::test]
async fn a_token_that_is_none_is_refused() {
    let world = World::make(&Api::shared()).await;
    let (mina, member) = (&world.mina.token, &world.member.token);
    let part = |token: &str, number| token.split('.').nth(number).unwrap().to_owned();
    // What somebody says of themselves, signed for somebody else.
    let foreign = format!("Bearer {}.{}.{}", part(mina, 0), part(member, 1), part(mina, 2));
    let cut = format!("Bearer {}", &mina[..mina.len() - 1]);
    let long = format!("Bearer {mina}{}", "a".repeat(10_000));
    let elsewhere = format!("Bearer {}", of_another_installation(&world.mina.id));
    let made_up = [&foreign, &cut, &long, &elsewhere].map(|value| ("authorization", &**value, 401, "invalid_token"));
    let headers: Vec<_> = TOKENS.iter().copied().chain(made_up).collect();
    let calls = signed_in().flat_map(|command| {
        let world = &world;
        headers.iter().map(move |(name, value, status, code)| {
            let told = format!("{value:.60}: {} {}", command.0, command.1);
            (told, world.nobody(command).header(name, *value), *status, *code)
        })
    });
    let twice = signed_in().map(|command| {
        let call = world.nobody(command).token(mina).token(mina);
        (format!("two tokens: {command:?}"), call, 401, "unauthenticated")
    });
    nothing_of(calls.chain(twice), &world).await;
}

/// A token such as ours, for this person and not expired, signed with the key of somebody else's installation.
fn of_another_installation(user_id: &str) -> String {
    let session_id: SessionId = serde_json::from_value(json!(new_key())).unwrap();
    let user_id: UserId = serde_json::from_value(json!(user_id)).unwrap();
    // The year 2099.
    let at = Instant::from_millis(4_070_908_800_000);
    Tokens::new([7; 32], Duration::from_hours(1)).issue(user_id, session_id, at)
}

#[tokio::test]
async fn a_token_of_another_installation_opens_no_socket() {
    let mina = Api::shared().person("mina").await;
    let mut socket = Socket::silent(mina.api.query_address()).await;
    socket
        .send(&hello_frame(&of_another_installation(&mina.id), None))
        .await;
    assert_eq!(socket.close_code(PATIENCE).await, Some(4003));
}

#[tokio::test]
async fn a_token_that_has_expired_is_refused() {
    let stage = Stage::with_config(
        "[limits.rate]\ncommands_per_minute = 0\nqueries_per_minute = 0\nframes_per_minute = 0\n\
         [auth]\ndev_token_ttl_s = 1\n",
    );
    let mina = stage.api().person("mina").await;
    eventually("the token expires", async || {
        let reply = mina.get("/v1/rooms").await;
        (reply.status == 401).then(|| reply.refused(401, "expired_token"))
    })
    .await;
    let mut socket = Socket::silent(mina.api.query_address()).await;
    socket.send(&hello_frame(&mina.token, None)).await;
    assert_eq!(socket.close_code(PATIENCE).await, Some(4003));
    let id = new_key();
    for (method, path, body) in signed_in() {
        let fill = |pattern: &str| {
            let names = ["{room}", "{message}", "{member}", "{guest}"];
            let filled = names
                .iter()
                .fold(pattern.to_owned(), |filled, name| filled.replace(name, &id));
            filled.replace("{emoji}", "%F0%9F%91%8D")
        };
        let call = mina.call(method, fill(path)).raw(fill(body));
        call.header("content-type", "application/json")
            .await
            .refused(401, "expired_token");
    }
}

#[tokio::test]
async fn an_id_in_a_path_that_is_none_is_refused() {
    let world = World::make(&Api::shared()).await;
    let places = ["{room}", "{message}", "{member}"].map(|place| (place, NO_PATH_ID, 400, "malformed_request"));
    let places: Vec<_> = places
        .into_iter()
        .chain([("{emoji}", NO_EMOJI, 422, "invalid_emoji")])
        .collect();
    let calls = COMMANDS.iter().copied().flat_map(|command| {
        let (world, (method, path, body)) = (&world, command);
        let here = places.iter().filter(move |(place, ..)| path.contains(place));
        here.flat_map(move |(place, wrong, status, code)| {
            wrong.iter().map(move |id| {
                let path = world.fill(&path.replace(place, id));
                let call = world.mina.call(method, path.clone()).raw(world.fill(body));
                let call = call.header("content-type", "application/json");
                (format!("{method} {path}"), call, *status, *code)
            })
        })
    });
    nothing_of(calls, &world).await;
}

#[tokio::test]
async fn a_parameter_that_a_command_does_not_know_is_refused() {
    let world = World::make(&Api::shared()).await;
    let calls = COMMANDS.iter().copied().flat_map(|command| {
        let (world, (method, path, body)) = (&world, command);
        ["?surprise=1", "?for=you", "?for=me&for=me", "?%00=1", "?limit=1", "?=1"]
            .iter()
            .filter(move |query| !(query.starts_with("?for") && takes_for(method, path)))
            .map(move |query| {
                let call = world.mina.call(method, world.fill(path) + query).raw(world.fill(body));
                let call = call.header("content-type", "application/json");
                (format!("{method} {path}{query}"), call, 422, "unknown_query_parameter")
            })
    });
    let whose = ["?for=you", "?for=", "?for=me&for=me"].map(|query| {
        let path = world.fill("/v1/rooms/{room}/messages/{message}") + query;
        (query.to_owned(), world.mina.delete(path), 422, "invalid_query")
    });
    nothing_of(calls.chain(whose), &world).await;
}

/// The one command that has a parameter.
fn takes_for(method: &str, path: &str) -> bool {
    method == DELETE && path.ends_with("/{message}")
}

#[tokio::test]
async fn a_query_that_is_not_valid_is_refused() {
    let world = World::make(&Api::shared()).await;
    let calls = QUERIES.iter().map(|(path, code)| {
        let call = world.mina.get(world.fill(path));
        ((*path).to_owned(), call, 422, *code)
    });
    let queries = ["/v1/rooms", "/v1/rooms/{room}", "/v1/rooms/{room}/members"];
    let positions = queries.iter().flat_map(|path| {
        let world = &world;
        NO_POSITION.iter().map(move |position| {
            let call = world.mina.get(world.fill(path)).header("x-min-position", *position);
            (format!("{path} at {position:?}"), call, 422, "invalid_position")
        })
    });
    let no_utf8 = ["/v1/rooms?cursor=%ff", "/v1/rooms/here", "/v1/rooms/%ff/members"]
        .map(|path| (path.to_owned(), world.mina.get(path), 400, "malformed_request"));
    nothing_of(calls.chain(positions).chain(no_utf8), &world).await;
    let last = list(&world.seen().await["items"]).len();
    assert_eq!(last, 2, "the line of the beginning, and a text");
}
