//! Who may do what: every call about a room, tried by everybody there can be.
//!
//! A new call is a line in one of the tables. Whoever has no token that is worth anything is told 401, who is not in the room
//! that there is none, and only among members it is a matter of roles; what is refused changes nothing.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::{Api, Call, new_key, number, text};
use crate::harness::person::Person;
use crate::harness::socket::Socket;

/// Everybody there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    NoToken,
    Garbage,
    Stranger,
    /// Who was in the room and left it.
    Left,
    /// Who was in the room and was kicked.
    Kicked,
    Member,
    Admin,
    Owner,
}

impl By {
    const ALL: [Self; 8] = [
        Self::NoToken,
        Self::Garbage,
        Self::Stranger,
        Self::Left,
        Self::Kicked,
        Self::Member,
        Self::Admin,
        Self::Owner,
    ];

    /// Whether they are somebody, and in no group of the tables.
    const fn is_outside(self) -> bool {
        matches!(self, Self::Stranger | Self::Left | Self::Kicked)
    }

    /// What a call answers: `[member, admin, owner]` says what among members.
    const fn status(self, members: [u16; 3]) -> u16 {
        match self {
            Self::NoToken | Self::Garbage => 401,
            Self::Stranger | Self::Left | Self::Kicked => 404,
            Self::Member => members[0],
            Self::Admin => members[1],
            Self::Owner => members[2],
        }
    }
}

/// A call, what it sends, and what it answers a member, an admin and the owner. In path and body stand `{room}`, `{message}`
/// (by `{target}`, a member), `{emoji}`, `{owner}`, `{admin}`, `{guest}` (who is in no room) and `{me}`.
type Row = (&'static str, &'static str, &'static str, [u16; 3]);

const GET: &str = "GET";
const POST: &str = "POST";
const PUT: &str = "PUT";
const PATCH: &str = "PATCH";
const DELETE: &str = "DELETE";

/// In a group whose settings let everybody rename and invite.
const IN_A_GROUP: &[Row] = &[
    (GET, "/v1/rooms/{room}", "", [200, 200, 200]),
    (GET, "/v1/rooms/{room}/members", "", [200, 200, 200]),
    (GET, "/v1/rooms/{room}/messages", "", [200, 200, 200]),
    (GET, "/v1/rooms/{room}/changes?after_version=0", "", [200, 200, 200]),
    (PATCH, "/v1/rooms/{room}", "{}", [200, 200, 200]),
    (PATCH, "/v1/rooms/{room}", r#"{"photo": null}"#, [200, 200, 200]),
    (PATCH, "/v1/rooms/{room}", r#"{"name": "새 이름"}"#, [200, 200, 200]),
    (PATCH, "/v1/rooms/{room}", r#"{"notice": "새 공지"}"#, [200, 200, 200]),
    (
        PATCH,
        "/v1/rooms/{room}",
        r#"{"settings": {"invite_by": "admins"}}"#,
        [403, 200, 200],
    ),
    (
        POST,
        "/v1/rooms/{room}/members",
        r#"{"user_ids": ["{guest}"]}"#,
        [200, 200, 200],
    ),
    (DELETE, "/v1/rooms/{room}/members/me", "", [204, 204, 204]),
    (DELETE, "/v1/rooms/{room}/members/{target}", "", [403, 204, 204]),
    (DELETE, "/v1/rooms/{room}/members/{admin}", "", [403, 403, 204]),
    (DELETE, "/v1/rooms/{room}/members/{owner}", "", [403, 403, 403]),
    (DELETE, "/v1/rooms/{room}/members/{guest}", "", [403, 404, 404]),
    (DELETE, "/v1/rooms/{room}/members/{me}", "", [403, 403, 403]),
    (
        PUT,
        "/v1/rooms/{room}/members/{target}/role",
        r#"{"role": "admin"}"#,
        [403, 403, 200],
    ),
    (
        PUT,
        "/v1/rooms/{room}/members/{admin}/role",
        r#"{"role": "member"}"#,
        [403, 403, 200],
    ),
    (
        PUT,
        "/v1/rooms/{room}/members/{target}/role",
        r#"{"role": "owner"}"#,
        [403, 403, 200],
    ),
    (
        PUT,
        "/v1/rooms/{room}/members/{owner}/role",
        r#"{"role": "admin"}"#,
        [403, 403, 409],
    ),
    (
        PUT,
        "/v1/rooms/{room}/members/{me}/role",
        r#"{"role": "owner"}"#,
        [403, 403, 200],
    ),
    (
        PUT,
        "/v1/rooms/{room}/preferences",
        r#"{"pinned": true}"#,
        [204, 204, 204],
    ),
    (PUT, "/v1/rooms/{room}/read-marker", r#"{"seq": 2}"#, [204, 204, 204]),
    (
        POST,
        "/v1/rooms/{room}/messages",
        r#"{"kind": "text", "text": "안녕"}"#,
        [201, 201, 201],
    ),
    (
        POST,
        "/v1/rooms/{room}/messages",
        r#"{"kind": "text", "text": "응", "reply_to": "{message}"}"#,
        [201, 201, 201],
    ),
    (
        PATCH,
        "/v1/rooms/{room}/messages/{message}",
        r#"{"text": "남의 글"}"#,
        [403, 403, 403],
    ),
    (DELETE, "/v1/rooms/{room}/messages/{message}", "", [403, 204, 204]),
    (
        DELETE,
        "/v1/rooms/{room}/messages/{message}?for=me",
        "",
        [204, 204, 204],
    ),
    (
        PUT,
        "/v1/rooms/{room}/messages/{message}/reactions/{emoji}",
        "",
        [204, 204, 204],
    ),
    (
        DELETE,
        "/v1/rooms/{room}/messages/{message}/reactions/{emoji}",
        "",
        [204, 204, 204],
    ),
];

/// In a group whose settings let only admins rename and invite: what differs there.
const WHERE_ONLY_ADMINS_MAY: &[Row] = &[
    (PATCH, "/v1/rooms/{room}", "{}", [200, 200, 200]),
    (PATCH, "/v1/rooms/{room}", r#"{"name": "새 이름"}"#, [403, 200, 200]),
    (PATCH, "/v1/rooms/{room}", r#"{"notice": "새 공지"}"#, [403, 200, 200]),
    (
        PATCH,
        "/v1/rooms/{room}",
        r#"{"settings": {"rename_by": "all"}}"#,
        [403, 200, 200],
    ),
    (
        POST,
        "/v1/rooms/{room}/members",
        r#"{"user_ids": ["{guest}"]}"#,
        [403, 200, 200],
    ),
    (
        POST,
        "/v1/rooms/{room}/messages",
        r#"{"kind": "text", "text": "안녕"}"#,
        [201, 201, 201],
    ),
];

/// In a direct room, for whoever stays in it and for who left it, which nobody else is told: both are members for ever.
const IN_A_DIRECT_ROOM: &[(&str, &str, &str, u16)] = &[
    (GET, "/v1/rooms/{room}", "", 200),
    (GET, "/v1/rooms/{room}/members", "", 200),
    (GET, "/v1/rooms/{room}/messages", "", 200),
    (GET, "/v1/rooms/{room}/changes?after_version=0", "", 200),
    (PATCH, "/v1/rooms/{room}", r#"{"name": "새 이름"}"#, 409),
    (PATCH, "/v1/rooms/{room}", r#"{"notice": "새 공지"}"#, 409),
    (PATCH, "/v1/rooms/{room}", r#"{"settings": {"invite_by": "all"}}"#, 409),
    (POST, "/v1/rooms/{room}/members", r#"{"user_ids": ["{guest}"]}"#, 201),
    (DELETE, "/v1/rooms/{room}/members/me", "", 204),
    (DELETE, "/v1/rooms/{room}/members/{me}", "", 409),
    (DELETE, "/v1/rooms/{room}/members/{guest}", "", 409),
    (PUT, "/v1/rooms/{room}/members/{me}/role", r#"{"role": "owner"}"#, 409),
    (PUT, "/v1/rooms/{room}/preferences", r#"{"pinned": true}"#, 204),
    (PUT, "/v1/rooms/{room}/read-marker", r#"{"seq": 1}"#, 204),
    (
        POST,
        "/v1/rooms/{room}/messages",
        r#"{"kind": "text", "text": "안녕"}"#,
        201,
    ),
];

/// The people that all rooms of a table are made of.
struct Cast {
    owner: Person,
    admin: Person,
    member: Person,
    target: Person,
    left: Person,
    kicked: Person,
    stranger: Person,
    guest: Person,
}

impl Cast {
    async fn gather() -> Self {
        let people = Api::shared().people(8).await;
        let [owner, admin, member, target, left, kicked, stranger, guest] =
            <[Person; 8]>::try_from(people).unwrap_or_else(|_| unreachable!("eight people were asked for"));
        Self {
            owner,
            admin,
            member,
            target,
            left,
            kicked,
            stranger,
            guest,
        }
    }

    /// A new group in which everybody is what they are called, and a message in it.
    async fn group(&self, settings: &Value) -> Place<'_> {
        let others = [&self.admin, &self.member, &self.target, &self.left, &self.kicked];
        let room = self.owner.group(&others).await;
        let message = text(&self.target.say(&room, "첫 글").await["message_id"]);
        self.owner.giving(&room, &self.admin, "admin").await.is(200);
        self.left.leaving(&room).await.is(204);
        self.owner.kicking(&room, &self.kicked).await.is(204);
        let path = format!("/v1/rooms/{room}");
        self.owner.patch(path, &json!({"settings": settings})).await.is(200);
        Place {
            cast: self,
            room,
            message,
        }
    }

    /// The direct room of a member and somebody who left it after its first message.
    async fn direct(&self) -> Place<'_> {
        let room = self.member.direct(&self.left).await;
        let message = text(&self.member.say(&room, "첫 글").await["message_id"]);
        self.left.leaving(&room).await.is(204);
        Place {
            cast: self,
            room,
            message,
        }
    }

    fn person(&self, by: By) -> Option<&Person> {
        match by {
            By::NoToken | By::Garbage => None,
            By::Stranger => Some(&self.stranger),
            By::Left => Some(&self.left),
            By::Kicked => Some(&self.kicked),
            By::Member => Some(&self.member),
            By::Admin => Some(&self.admin),
            By::Owner => Some(&self.owner),
        }
    }
}

/// A room of the cast.
struct Place<'a> {
    cast: &'a Cast,
    room: String,
    message: String,
}

impl Place<'_> {
    fn fill(&self, pattern: &str, me: &str) -> String {
        let Cast {
            owner,
            admin,
            target,
            guest,
            ..
        } = self.cast;
        pattern
            .replace("{room}", &self.room)
            .replace("{message}", &self.message)
            .replace("{emoji}", "%F0%9F%91%8D")
            .replace("{owner}", &owner.id)
            .replace("{admin}", &admin.id)
            .replace("{target}", &target.id)
            .replace("{guest}", &guest.id)
            .replace("{me}", me)
    }

    fn call(&self, by: By, (method, path, body, _): Row) -> Call {
        let person = self.cast.person(by);
        let me = person.map_or(&self.cast.member.id, |person| &person.id);
        let call = self.cast.owner.api.call(method, self.fill(path, me));
        let call = match by {
            By::NoToken => call,
            By::Garbage => call.token("garbage"),
            By::Stranger | By::Left | By::Kicked | By::Member | By::Admin | By::Owner => {
                call.token(&person.unwrap_or_else(|| unreachable!("they are somebody")).token)
            }
        };
        let call = if method == GET { call.fresh() } else { call };
        match body {
            "" => call,
            body => call.raw(self.fill(body, me)).header("content-type", "application/json"),
        }
    }

    async fn version(&self, member: By) -> u64 {
        let member = self.cast.person(member).unwrap_or(&self.cast.owner);
        number(&member.room(&self.room).await["version"])
    }

    /// Who is refused is told why, and nothing happens: `witness` is in the room and sees that.
    async fn refuses(&self, by: By, row: Row, expected: u16, witness: By) {
        let told = format!("{} {} {} by {by:?}", row.0, row.1, row.2);
        let before = self.version(witness).await;
        let reply = self.call(by, row).await;
        assert_eq!(reply.status, expected, "{told}: {reply}");
        let problem = reply.problem(expected);
        let code = text(&problem["code"]);
        match expected {
            401 if by == By::NoToken => assert_eq!(code, "unauthenticated", "{told}"),
            401 => assert_eq!(code, "invalid_token", "{told}"),
            404 if by.is_outside() => {
                let nowhere = Place {
                    room: new_key(),
                    message: self.message.clone(),
                    ..*self
                };
                let nowhere = nowhere.call(by, row).await.refused(404, "room_not_found");
                let same = |problem: &Value| [problem["code"].clone(), problem["detail"].clone()];
                assert_eq!(
                    same(&problem),
                    same(&nowhere),
                    "{told}: a room that is there looks like one that is not"
                );
            }
            _ => assert_ne!(code, "room_not_found", "{told}"),
        }
        assert_eq!(self.version(witness).await, before, "{told}: something happened");
    }
}

/// Tries a row by everybody who is refused in one room, and by everybody else in a room of their own.
async fn try_row(cast: &Cast, settings: &Value, row: Row) {
    let refusing = cast.group(settings).await;
    for by in By::ALL {
        let expected = by.status(row.3);
        if expected < 300 {
            let reply = cast.group(settings).await.call(by, row).await;
            assert_eq!(reply.status, expected, "{by:?}: {reply}");
        } else {
            refusing.refuses(by, row, expected, By::Owner).await;
        }
    }
}

async fn try_all(rows: &[Row], settings: Value) {
    let cast = Cast::gather().await;
    join_all(rows.iter().map(|row| try_row(&cast, &settings, *row))).await;
}

#[tokio::test]
async fn in_a_group_everybody_may_do_what_their_role_allows() {
    try_all(IN_A_GROUP, json!({"rename_by": "all", "invite_by": "all"})).await;
}

#[tokio::test]
async fn in_a_group_where_only_admins_rename_and_invite_members_do_not() {
    try_all(
        WHERE_ONLY_ADMINS_MAY,
        json!({"rename_by": "admins", "invite_by": "admins"}),
    )
    .await;
}

#[tokio::test]
async fn in_a_direct_room_both_may_do_the_same_also_who_left_it() {
    let cast = Cast::gather().await;
    let place = cast.direct().await;
    for (method, path, body, status) in IN_A_DIRECT_ROOM {
        let row = (*method, *path, *body, [*status; 3]);
        for by in [By::NoToken, By::Garbage, By::Stranger, By::Kicked] {
            place.refuses(by, row, by.status(row.3), By::Member).await;
        }
        for by in [By::Member, By::Left] {
            if *status < 300 {
                let reply = place.call(by, row).await;
                assert_eq!(reply.status, *status, "{by:?}: {reply}");
            } else {
                place.refuses(by, row, *status, By::Member).await;
            }
        }
    }
}

/// Over the socket, where there is no answer to a mark: it only must come to nothing.
#[tokio::test]
async fn over_the_socket_there_is_no_room_for_who_is_not_in_it_either() {
    let cast = Cast::gather().await;
    let place = cast.group(&json!({})).await;
    let (room, before) = (&place.room, place.version(By::Owner).await);
    for by in [By::Stranger, By::Left, By::Kicked] {
        let person = cast.person(by).unwrap();
        let mut socket = Socket::open(person).await;
        for frame in [
            json!({"op": "typing", "room_id": room}),
            json!({"op": "focus", "room_id": room}),
        ] {
            socket.send(&frame).await;
            let problem = socket.wait_for("a problem", |frame| frame["op"] == "problem").await;
            assert_eq!(problem["problem"]["code"], "room_not_found", "{by:?} {frame}");
        }
        socket.send(&json!({"op": "read", "room_id": room, "seq": 1})).await;
        let said = json!({"kind": "text", "text": "여기 있어도 돼?"});
        let answer = socket.post(room, &new_key(), &said).await;
        assert_eq!(answer["problem"]["code"], "room_not_found", "{by:?} {answer}");
    }
    assert_eq!(place.version(By::Owner).await, before);
    let members = cast.owner.roles(room).await;
    assert_eq!(members.len(), 4, "{members:?}");
}

/// Every call that the description names about a room stands in the table: a new one that is forgotten is found here.
#[tokio::test]
async fn the_table_is_complete() {
    let document = Api::shared().get("/v1/openapi.json").await.is(200);
    let shape = |path: &str| -> Vec<String> {
        let path = path.split('?').next().unwrap_or_default();
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "{}" } else { part });
        parts.map(str::to_owned).collect()
    };
    let tried = |method: &str, path: &str| {
        IN_A_GROUP
            .iter()
            .any(|row| row.0.eq_ignore_ascii_case(method) && shape(row.1) == shape(path))
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/rooms/{") {
            continue;
        }
        for method in ["get", "post", "put", "patch", "delete"] {
            assert!(
                item[method].is_null() || tried(method, path),
                "{method} {path} is not tried"
            );
        }
    }
}
