//! People: somebody with an account, and what they do every day.

use serde_json::{Value, json};

use crate::harness::client::{Api, Call, list, number, text};

/// Somebody with an account.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) api: Api,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) name: String,
    creation: Call,
}

impl Person {
    /// Whoever this call creates.
    pub(crate) async fn made_by(creation: Call, name: &str) -> Self {
        let account = creation.clone().await.is(201);
        let (id, token) = (text(&account["user_id"]), text(&account["access_token"]));
        let (api, name) = (creation.api().clone(), name.to_owned());
        Self {
            api,
            id,
            token,
            name,
            creation,
        }
    }

    /// The same person in another session: a repeated creation gives the same account and a new token.
    pub(crate) async fn on_another_device(&self) -> Self {
        let other = Self::made_by(self.creation.clone(), &self.name).await;
        assert_eq!(other.id, self.id);
        other
    }

    /// The same person at another server on the same store.
    pub(crate) fn at(&self, api: &Api) -> Self {
        Self {
            api: api.clone(),
            ..self.clone()
        }
    }

    pub(crate) fn call(&self, method: &str, path: impl Into<String>) -> Call {
        self.api.call(method, path).token(&self.token)
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: impl Into<String>, body: &Value) -> Call {
        self.call("POST", path).json(body)
    }

    pub(crate) fn put(&self, path: impl Into<String>, body: &Value) -> Call {
        self.call("PUT", path).json(body)
    }

    pub(crate) fn patch(&self, path: impl Into<String>, body: &Value) -> Call {
        self.call("PATCH", path).json(body)
    }

    pub(crate) fn delete(&self, path: impl Into<String>) -> Call {
        self.call("DELETE", path)
    }

    /// A fresh read that must succeed.
    pub(crate) async fn see(&self, path: impl Into<String>) -> Value {
        self.get(path).fresh().await.is(200)
    }

    /// My list of rooms.
    pub(crate) async fn rooms(&self) -> Value {
        self.see("/v1/rooms?limit=100").await
    }

    /// The room as my list shows it.
    pub(crate) async fn listed(&self, room: &str) -> Option<Value> {
        let rooms = self.rooms().await;
        list(&rooms["items"])
            .iter()
            .find(|item| item["room_id"] == room)
            .cloned()
    }

    /// One room.
    pub(crate) async fn room(&self, room: &str) -> Value {
        self.see(format!("/v1/rooms/{room}")).await
    }

    /// The newest items of a room, at most 100.
    pub(crate) async fn history(&self, room: &str) -> Vec<Value> {
        let page = self.see(format!("/v1/rooms/{room}/messages?limit=100")).await;
        list(&page["items"]).clone()
    }

    /// Everything I may see of a room, page by page.
    pub(crate) async fn whole_history(&self, room: &str) -> Vec<Value> {
        let (mut items, mut after) = (Vec::new(), 0);
        loop {
            let page = self
                .see(format!("/v1/rooms/{room}/messages?after={after}&limit=100"))
                .await;
            items.extend(list(&page["items"]).iter().cloned());
            if page["has_after"] == false {
                return items;
            }
            after = number(&items.last().unwrap()["seq"]);
        }
    }

    /// Opens the direct room with somebody.
    pub(crate) async fn direct(&self, other: &Self) -> String {
        let body = json!({"kind": "direct", "user_id": other.id});
        text(&self.post("/v1/rooms", &body).await.accepted()["room_id"])
    }

    /// Opens a group with the others.
    pub(crate) async fn group(&self, others: &[&Self]) -> String {
        let ids: Vec<_> = others.iter().map(|other| &other.id).collect();
        let body = json!({"kind": "group", "user_ids": ids, "name": "이층 모임"});
        text(&self.post("/v1/rooms", &body).await.is(201)["room_id"])
    }

    /// The call that sends a text.
    pub(crate) fn sending(&self, room: &str, text: &str) -> Call {
        self.post(
            format!("/v1/rooms/{room}/messages"),
            &json!({"kind": "text", "text": text}),
        )
    }

    /// Sends a text.
    pub(crate) async fn say(&self, room: &str, text: &str) -> Value {
        self.sending(room, text).await.is(201)
    }

    /// Sends a text and gives its seq.
    pub(crate) async fn say_seq(&self, room: &str, text: &str) -> u64 {
        number(&self.say(room, text).await["seq"])
    }

    /// Marks a room read up to here.
    pub(crate) async fn read(&self, room: &str, seq: u64) {
        self.put(format!("/v1/rooms/{room}/read-marker"), &json!({"seq": seq}))
            .await
            .is(204);
    }

    /// Invites people.
    pub(crate) fn inviting(&self, room: &str, others: &[&Self]) -> Call {
        let ids: Vec<_> = others.iter().map(|other| &other.id).collect();
        self.post(format!("/v1/rooms/{room}/members"), &json!({"user_ids": ids}))
    }

    /// Takes somebody out of a room.
    pub(crate) fn kicking(&self, room: &str, other: &Self) -> Call {
        self.delete(format!("/v1/rooms/{room}/members/{}", other.id))
    }

    /// Gives somebody a role in a room.
    pub(crate) fn giving(&self, room: &str, other: &Self, role: &str) -> Call {
        let path = format!("/v1/rooms/{room}/members/{}/role", other.id);
        self.put(path, &json!({"role": role}))
    }

    /// Everybody's role in a room, whoever came first first.
    pub(crate) async fn roles(&self, room: &str) -> Vec<(String, String)> {
        let members = self.see(format!("/v1/rooms/{room}/members")).await;
        let role = |member: &Value| (text(&member["user_id"]), text(&member["role"]));
        list(&members["items"]).iter().map(role).collect()
    }

    /// Leaves a room.
    pub(crate) fn leaving(&self, room: &str) -> Call {
        self.delete(format!("/v1/rooms/{room}/members/me"))
    }
}
