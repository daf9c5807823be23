//! Accounts of the development door: one handle is one account, and only a caller on this machine may knock.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::client::{Api, Call, Reply, list, new_handle, new_key, text};

fn creating(api: &Api, body: &Value) -> Call {
    api.call("POST", "/v1/dev/accounts").json(body)
}

#[tokio::test]
async fn an_account_is_created_with_an_id_and_a_token_that_works_at_once() {
    let api = Api::shared();
    let body = json!({"handle": new_handle("new"), "display_name": "새 사람"});
    let account = creating(&api, &body).await.is(201);
    let id: Uuid = text(&account["user_id"]).parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let rooms = api
        .get("/v1/rooms")
        .token(&text(&account["access_token"]))
        .await
        .is(200);
    assert_eq!(rooms, json!({"items": [], "next_cursor": null, "total_unread": 0}));
}

#[tokio::test]
async fn fifty_simultaneous_calls_for_one_handle_give_one_account_and_no_half_one() {
    let api = Api::shared();
    let body = json!({"handle": new_handle("wanted"), "display_name": "하나뿐"});
    let replies = join_all((0..50).map(|_| creating(&api, &body).key(&new_key()).send())).await;
    let (won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(won.len(), 1, "{won:?}");
    for reply in &lost {
        reply.refused(409, "handle_taken");
    }
    let token = text(&won[0].value()["access_token"]);
    api.get("/v1/rooms").token(&token).await.is(200);
    creating(&api, &body).await.refused(409, "handle_taken");
}

#[tokio::test]
async fn a_repeated_key_gives_the_same_account() {
    let api = Api::shared();
    let body = json!({"handle": new_handle("again"), "display_name": "Again"});
    let key = new_key();
    let first = creating(&api, &body).key(&key).await;
    let second = creating(&api, &body).key(&key).await;
    assert_eq!(first.is(201)["user_id"], second.is(201)["user_id"]);
    assert!(!first.is_replayed() && second.is_replayed());
    let token = text(&second.value()["access_token"]);
    api.get("/v1/rooms").token(&token).await.is(200);
}

#[tokio::test]
async fn simultaneous_calls_with_one_key_give_one_account() {
    let api = Api::shared();
    let body = json!({"handle": new_handle("twice"), "display_name": "Twice"});
    let key = new_key();
    let replies: Vec<Reply> = join_all((0..8).map(|_| creating(&api, &body).key(&key).send())).await;
    let ids: BTreeSet<_> = replies.iter().map(|reply| text(&reply.is(201)["user_id"])).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_handle_is_4_to_20_of_small_letters_digits_dot_and_underscore() {
    let api = Api::shared();
    for handle in [
        "",
        "abc",
        "a23456789012345678901",
        "Capital1",
        "한글이름",
        "with space",
        "da-sh",
        "nul\u{0}nul",
    ] {
        creating(&api, &json!({"handle": handle, "display_name": "Name"}))
            .await
            .points_at("/handle");
    }
    let longest = format!("{:_<20}", new_handle("long."));
    creating(&api, &json!({"handle": longest, "display_name": "Name"}))
        .await
        .is(201);
}

#[tokio::test]
async fn a_display_name_is_1_to_20_characters_whatever_the_script() {
    let api = Api::shared();
    let naming = |name: &str| creating(&api, &json!({"handle": new_handle("named"), "display_name": name}));
    for name in ["", &"가".repeat(21), "nul\u{0}"] {
        naming(name).await.points_at("/display_name");
    }
    for name in ["가", &"가".repeat(20)] {
        naming(name).await.is(201);
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let problem = creating(&Api::shared(), &json!({"handle": "x", "display_name": ""}))
        .await
        .problem(422);
    let fields: BTreeSet<_> = list(&problem["errors"])
        .iter()
        .map(|error| text(&error["pointer"]))
        .collect();
    assert_eq!(fields.len(), 2, "{problem}");
}

#[tokio::test]
async fn missing_unknown_and_mistyped_fields_are_refused() {
    let api = Api::shared();
    let handle = new_handle("field");
    creating(&api, &json!({"handle": handle})).await.problem(422);
    creating(
        &api,
        &json!({"handle": handle, "display_name": "Name", "role": "admin"}),
    )
    .await
    .problem(422);
    creating(&api, &json!({"handle": 7, "display_name": "Name"}))
        .await
        .points_at("/handle");
    creating(&api, &json!({"handle": handle, "display_name": "Name"}))
        .await
        .is(201);
}

#[tokio::test]
async fn a_request_that_came_through_a_proxy_finds_no_such_door() {
    let api = Api::shared();
    let body = json!({"handle": new_handle("proxied"), "display_name": "Name"});
    let forwarding = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "chat.example.com"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.7"),
    ];
    for (name, value) in forwarding {
        creating(&api, &body).header(name, value).await.problem(404);
    }
    for host in ["chat.example.com", "203.0.113.7:8080", "localhost.example.com"] {
        creating(&api, &body).header("host", host).await.problem(404);
    }
    let port = api.command_address().port();
    creating(&api, &body)
        .header("host", format!("localhost:{port}"))
        .await
        .is(201);
}
