//! Every bad request: each command, spoilt in every way there is.
//!
//! A new command is a line in [`COMMANDS`], a new way to be wrong a line in the table of its kind: in `bodies`, or in `heads`.
//! Each is refused with a problem of its own, never with a 5xx, and nothing is written.

mod bodies;
mod heads;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::{Api, Call, new_handle, text};
use crate::harness::person::Person;

const POST: &str = "POST";
const PUT: &str = "PUT";
const PATCH: &str = "PATCH";
const DELETE: &str = "DELETE";

/// A command: method, path, and a body that it takes if it takes any. In both stand `{room}`, a group, `{message}`, in it and by
/// the one who asks, `{member}`, `{guest}` and `{emoji}`, and `{handle}`, which is free.
type Command = (&'static str, &'static str, &'static str);

const COMMANDS: &[Command] = &[
    (
        POST,
        "/v1/dev/accounts",
        r#"{"handle": "{handle}", "display_name": "새 사람"}"#,
    ),
    (POST, SIGN_IN, r#"{"handle": "{handle}"}"#),
    (
        POST,
        "/v1/rooms",
        r#"{"kind": "group", "user_ids": ["{member}", "{guest}"], "name": "등산"}"#,
    ),
    (POST, "/v1/rooms", r#"{"kind": "direct", "user_id": "{guest}"}"#),
    (
        PATCH,
        "/v1/rooms/{room}",
        r#"{"name": "새 이름", "notice": "새 공지", "settings": {"invite_by": "admins"}}"#,
    ),
    (POST, "/v1/rooms/{room}/members", r#"{"user_ids": ["{guest}"]}"#),
    (DELETE, "/v1/rooms/{room}/members/me", ""),
    (DELETE, "/v1/rooms/{room}/members/{member}", ""),
    (PUT, "/v1/rooms/{room}/members/{member}/role", r#"{"role": "admin"}"#),
    (
        PUT,
        "/v1/rooms/{room}/preferences",
        r#"{"pinned": true, "alias": "우리", "muted_until": "2099-12-31T15:00:00.000Z"}"#,
    ),
    (PUT, "/v1/rooms/{room}/read-marker", r#"{"seq": 1}"#),
    (
        POST,
        "/v1/rooms/{room}/messages",
        r#"{"kind": "text", "text": "안녕", "reply_to": "{message}", "mentions": ["{member}"]}"#,
    ),
    (PATCH, "/v1/rooms/{room}/messages/{message}", r#"{"text": "다시 안녕"}"#),
    (DELETE, "/v1/rooms/{room}/messages/{message}", ""),
    (PUT, "/v1/rooms/{room}/messages/{message}/reactions/{emoji}", ""),
    (DELETE, "/v1/rooms/{room}/messages/{message}/reactions/{emoji}", ""),
];

/// Where no token is asked for.
const OPEN_TO_ALL: &str = "/v1/dev/";
/// What is no command: it has no key.
const SIGN_IN: &str = "/v1/dev/sessions";

/// What is wrong with a header of a command, and what it is refused with.
type Header = (&'static str, &'static str, u16, &'static str);

/// Somebody with a room, and everything that a bad request might change.
struct World {
    mina: Person,
    member: Person,
    guest: Person,
    room: String,
    message: String,
    /// Nobody's.
    handle: String,
}

impl World {
    async fn make(api: &Api) -> Self {
        let [mina, member, guest] = api.three().await;
        let another = api.person("another").await;
        let room = mina.group(&[&member, &another]).await;
        let message = text(&mina.say(&room, "첫 글").await["message_id"]);
        Self {
            mina,
            member,
            guest,
            room,
            message,
            handle: new_handle("nobody"),
        }
    }

    fn fill(&self, pattern: &str) -> String {
        pattern
            .replace("{room}", &self.room)
            .replace("{message}", &self.message)
            .replace("{member}", &self.member.id)
            .replace("{guest}", &self.guest.id)
            .replace("{emoji}", "%F0%9F%91%8D")
            .replace("{handle}", &self.handle)
    }

    /// The command with any other body.
    fn saying(&self, (method, path, _): Command, body: impl Into<Vec<u8>>) -> Call {
        self.asking((method, path, ""))
            .raw(body.into())
            .header("content-type", "application/json")
    }

    /// The command, good but for what is done to it next. Nobody asks who it is yet.
    fn nobody(&self, (method, path, body): Command) -> Call {
        let call = self.mina.api.call(method, self.fill(path));
        match body {
            "" => call,
            body => call.raw(self.fill(body)).header("content-type", "application/json"),
        }
    }

    fn asking(&self, command: Command) -> Call {
        self.nobody(command).token(&self.mina.token)
    }

    /// Everything there is to see: the room, its people and its timeline, and the rooms of everybody.
    async fn seen(&self) -> Value {
        let path = format!("/v1/rooms/{}", self.room);
        json!({
            "room": self.mina.room(&self.room).await,
            "members": self.mina.see(format!("{path}/members")).await,
            "items": self.mina.history(&self.room).await,
            "rooms": [self.mina.rooms().await, self.member.rooms().await, self.guest.rooms().await],
        })
    }
}

/// Refuses every call, and nothing has happened after all of them.
async fn nothing_of(calls: impl IntoIterator<Item = (String, Call, u16, &str)>, world: &World) {
    let before = world.seen().await;
    for (told, call, status, code) in calls {
        let reply = call.await;
        assert_eq!(reply.status, status, "{told}: {reply}");
        let problem = reply.problem(status);
        assert_eq!(problem["code"], code, "{told}: {reply}");
    }
    assert_eq!(world.seen().await, before);
    let sign_in = world.nobody((POST, SIGN_IN, r#"{"handle": "{handle}"}"#)).await;
    sign_in.refused(404, "user_not_found");
}

fn with_bodies() -> impl Iterator<Item = Command> {
    COMMANDS.iter().copied().filter(|command| !command.2.is_empty())
}

fn signed_in() -> impl Iterator<Item = Command> {
    COMMANDS
        .iter()
        .copied()
        .filter(|command| !command.1.starts_with(OPEN_TO_ALL))
}

/// Every command of the description stands in the table: a new one that is forgotten is found here.
#[tokio::test]
async fn the_table_of_commands_is_complete() {
    let document = Api::shared().get("/v1/openapi.json").await.is(200);
    let shape = |method: &str, path: &str| {
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "{}" } else { part });
        format!("{} {}", method.to_uppercase(), parts.collect::<Vec<_>>().join("/"))
    };
    let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|method| *method != "get");
        methods.map(move |method| shape(method, path))
    });
    let tried = COMMANDS.iter().map(|(method, path, _)| shape(method, path));
    assert_eq!(described.collect::<BTreeSet<_>>(), tried.collect());
}

/// What is spoilt below was good: nothing is refused for another reason than the one that is meant.
#[tokio::test]
async fn what_is_spoilt_was_good() {
    let api = Api::shared();
    join_all(COMMANDS.iter().map(async |command| {
        let world = World::make(&api).await;
        let reply = world.asking(*command).await;
        // There is nobody to sign in yet.
        let is_good = (200..300).contains(&reply.status) || command.1 == SIGN_IN && reply.status == 404;
        assert!(is_good, "{reply}");
    }))
    .await;
}
