//! What holds for every call: problems, limits, rates, and the description of the API itself.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::client::{Api, PATIENCE, Reply, Side, new_key, text};
use crate::harness::person::Person;
use crate::harness::socket::Socket;
use crate::stage::Stage;

async fn anna() -> Person {
    Api::shared().person("anna").await
}

#[tokio::test]
async fn the_api_is_described_by_openapi_3_1() {
    let reply = Api::shared().get("/v1/openapi.json").await;
    let document = reply.is(200);
    assert!(reply.header("content-type").unwrap().starts_with("application/json"));
    assert!(text(&document["openapi"]).starts_with("3.1"), "{}", document["openapi"]);
    let routes = [
        ("post", "/v1/dev/accounts"),
        ("post", "/v1/rooms"),
        ("get", "/v1/rooms"),
        ("get", "/v1/rooms/{room_id}"),
        ("patch", "/v1/rooms/{room_id}"),
        ("get", "/v1/rooms/{room_id}/members"),
        ("post", "/v1/rooms/{room_id}/members"),
        ("delete", "/v1/rooms/{room_id}/members/me"),
        ("delete", "/v1/rooms/{room_id}/members/{user_id}"),
        ("put", "/v1/rooms/{room_id}/members/{user_id}/role"),
        ("put", "/v1/rooms/{room_id}/preferences"),
        ("put", "/v1/rooms/{room_id}/read-marker"),
        ("get", "/v1/rooms/{room_id}/messages"),
        ("post", "/v1/rooms/{room_id}/messages"),
        ("get", "/v1/rooms/{room_id}/changes"),
        ("get", "/v1/limits"),
    ];
    for (method, route) in routes {
        let described = paths(&document).any(|(path, item)| same_route(path, route) && item[method].is_object());
        assert!(described, "{method} {route} is not described");
    }
}

fn paths(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["paths"].as_object().unwrap().iter()
}

/// Whether two routes are the same but for the names of their parameters.
fn same_route(one: &str, other: &str) -> bool {
    let shape = |route: &str| -> Vec<String> {
        let parts = route
            .split('/')
            .map(|part| if part.starts_with('{') { "{}" } else { part });
        parts.map(str::to_owned).collect()
    };
    shape(one) == shape(other)
}

#[tokio::test]
async fn the_docs_load_nothing_from_elsewhere() {
    for page in ["/docs", "/"] {
        let mut reply = Api::shared().get(page).await;
        if let Some(place) = reply.header("location") {
            reply = Api::shared().get(place).await;
        }
        assert_eq!(reply.status, 200, "{reply}");
        assert!(
            reply.header("content-type").unwrap().starts_with("text/html"),
            "{reply}"
        );
        let html = String::from_utf8(reply.body.to_vec()).unwrap();
        for mark in [
            "src=\"",
            "src='",
            "href=\"",
            "href='",
            "url(",
            "@import \"",
            "import(\"",
            "fetch(\"",
        ] {
            for rest in html.split(mark).skip(1) {
                let external = ["http:", "https:", "//"].iter().any(|scheme| rest.starts_with(scheme));
                assert!(!external, "{page} loads {mark}{rest:.80}");
            }
        }
    }
}

#[tokio::test]
async fn limits_are_shown_to_everybody() {
    let limits = Api::shared().get("/v1/limits").await.is(200);
    let mut numbers = Vec::new();
    collect_numbers(&limits, &mut numbers);
    for limit in [10_000, 50, 20, 1_500, 3_000, 100] {
        assert!(numbers.contains(&limit), "{limit} is not in {limits}");
    }
}

fn collect_numbers(value: &Value, into: &mut Vec<u64>) {
    match value {
        Value::Number(number) => into.extend(number.as_u64()),
        Value::Array(items) => items.iter().for_each(|item| collect_numbers(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect_numbers(field, into)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn malformed_json_is_400() {
    let anna = anna().await;
    for body in ["{", "", "{\"kind\": \"group\",}", "\u{feff}{}", "{'kind': 'group'}"] {
        let call = anna
            .call("POST", "/v1/rooms")
            .raw(body.to_owned())
            .header("content-type", "application/json");
        call.await.problem(400);
    }
    let bytes = vec![b'"', 0xff, 0xfe, b'"'];
    anna.call("POST", "/v1/rooms")
        .raw(bytes)
        .header("content-type", "application/json")
        .await
        .problem(400);
}

#[tokio::test]
async fn no_token_or_a_bad_one_is_401_at_every_door() {
    let api = Api::shared();
    let anna = anna().await;
    let room = new_key();
    let doors = [
        ("GET", "/v1/rooms".to_owned()),
        ("POST", "/v1/rooms".to_owned()),
        ("GET", format!("/v1/rooms/{room}")),
        ("PATCH", format!("/v1/rooms/{room}")),
        ("GET", format!("/v1/rooms/{room}/members")),
        ("POST", format!("/v1/rooms/{room}/members")),
        ("DELETE", format!("/v1/rooms/{room}/members/me")),
        ("DELETE", format!("/v1/rooms/{room}/members/{}", anna.id)),
        ("PUT", format!("/v1/rooms/{room}/members/{}/role", anna.id)),
        ("GET", format!("/v1/rooms/{room}/messages")),
        ("POST", format!("/v1/rooms/{room}/messages")),
        ("GET", format!("/v1/rooms/{room}/changes?after_version=0")),
        ("PUT", format!("/v1/rooms/{room}/preferences")),
        ("PUT", format!("/v1/rooms/{room}/read-marker")),
    ];
    for (method, path) in doors {
        let call = || api.call(method, &path).json(&json!({}));
        let mut codes = vec![text(&call().await.problem(401)["code"])];
        for authorization in ["Bearer", "Bearer ", "Bearer junk", "Basic YTpi", &anna.token, "bearer"] {
            codes.push(text(
                &call().header("authorization", authorization).await.problem(401)["code"],
            ));
        }
        let (head, signature) = anna.token.rsplit_once(['.', '_']).unwrap_or((&anna.token, ""));
        let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
        codes.push(text(&call().token(&forged).await.problem(401)["code"]));
        assert!(codes.iter().all(|code| !code.is_empty()), "{codes:?}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let anna = anna().await;
    for path in ["/v1/nothing", "/nothing", "/v1", "/v1/rooms/x/y/z", "/v2/rooms"] {
        anna.get(path).await.problem(404);
    }
    for (method, path, side) in [
        ("DELETE", "/v1/rooms", Side::Commands),
        ("PUT", "/v1/limits", Side::Queries),
        ("POST", "/v1/openapi.json", Side::Queries),
    ] {
        let reply = anna.call(method, path).of(side).await;
        reply.problem(405);
        assert!(reply.header("allow").is_some(), "{reply}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_415() {
    let anna = anna().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data",
    ] {
        let call = anna
            .call("POST", "/v1/rooms")
            .raw("{\"kind\":\"group\"}")
            .header("content-type", kind);
        call.await.problem(415);
    }
    anna.call("POST", "/v1/rooms")
        .raw("{\"kind\":\"group\"}")
        .await
        .problem(415);
    let call = anna
        .call("POST", "/v1/rooms")
        .raw("{}")
        .header("content-type", "application/json; charset=utf-8");
    call.await.problem(422);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let anna = anna().await;
    let address = anna.api.command_address();
    let head = format!(
        "POST /v1/rooms HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 50000000\r\n\r\n",
        address, anna.token
    );
    let (status, headers, body) = raw_exchange(address, &head, &vec![b' '; 65_536]).await;
    assert_eq!(status, 413, "{headers}");
    assert!(headers.to_lowercase().contains("application/problem+json"), "{headers}");
    crate::harness::client::assert_problem(&serde_json::from_str(&body).unwrap(), 413);
}

/// Writes bytes by hand, as no HTTP client would, and reads one answer with a length.
async fn raw_exchange(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may refuse before it has read anything of the body.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let complete = async {
        loop {
            let mut part = [0; 4_096];
            let length = stream.read(&mut part).await.unwrap_or_default();
            answer.extend_from_slice(&part[..length]);
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && (length == 0 || serde_json::from_str::<Value>(body).is_ok())
            {
                return (head.to_owned(), body.to_owned());
            }
            assert_ne!(length, 0, "the server hung up after {text:?}");
        }
    };
    let (head, body) = tokio::time::timeout(PATIENCE, complete)
        .await
        .expect("an answer in time");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, body)
}

#[tokio::test]
async fn a_field_error_says_where_and_why() {
    let problem = anna()
        .await
        .post("/v1/rooms", &json!({"kind": "group", "user_ids": []}))
        .await
        .problem(422);
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{problem}");
    assert!(text(&errors[0]["pointer"]).ends_with("/user_ids"), "{problem}");
}

#[tokio::test]
async fn every_problem_links_to_its_page_and_has_an_id_of_its_own() {
    let anna = anna().await;
    let one = anna.get("/v1/nothing").await.problem(404);
    let two = anna.get("/v1/nothing").await.problem(404);
    assert_eq!(one["type"], two["type"]);
    assert_ne!(one["request_id"], two["request_id"]);
    assert!(text(&one["type"]).contains(&text(&one["code"])), "{one}");
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_on_every_call() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let path = format!("/v1/rooms/{room}");
    let refused: [Reply; 7] = [
        anna.get("/v1/rooms?q=1").await,
        anna.get(format!("{path}?q=1")).await,
        anna.get(format!("{path}/messages?q=1")).await,
        anna.get(format!("{path}/members?q=1")).await,
        anna.get(format!("{path}/changes?after_version=0&q=1")).await,
        anna.post(format!("{path}/messages?q=1"), &json!({"kind": "text", "text": "?"}))
            .await,
        anna.put(format!("{path}/read-marker?q=1"), &json!({"seq": 1})).await,
    ];
    for reply in refused {
        reply.problem(422);
    }
    assert_eq!(anna.room(&room).await["last_seq"], 1);
}

#[tokio::test]
async fn a_rate_that_is_exceeded_is_429_with_the_time_to_wait() {
    let rates = "[limits.rate]\ncommands_per_minute = 20\nqueries_per_minute = 10\nframes_per_minute = 0\n";
    let stage = Stage::with_config(rates);
    let anna = stage.api().person("anna").await;
    let room = anna.direct(&anna).await;

    let first = anna.get("/v1/rooms").await;
    first.is(200);
    assert!(ratelimit_headers(&first), "{first:?}");
    let queries: Vec<_> = futures_util::future::join_all((0..30).map(|_| anna.get("/v1/rooms").send())).await;
    assert_limited(&queries, 200);
    let sends = (0..40).map(|number| anna.sending(&room, &number.to_string()).send());
    assert_limited(&futures_util::future::join_all(sends).await, 201);
}

#[tokio::test]
async fn frames_beyond_the_rate_get_a_problem_each_until_the_socket_is_closed() {
    let rates = "[limits.rate]\ncommands_per_minute = 0\nqueries_per_minute = 0\nframes_per_minute = 10\n";
    let stage = Stage::with_config(rates);
    let anna = stage.api().person("anna").await;
    let mut socket = Socket::open(&anna).await;
    for _ in 0..60 {
        // The server closes before the last of them.
        if socket.try_say("{\"op\":\"ping\"}".to_owned()).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.close_code(PATIENCE).await, Some(4010));
    let answers = |op: &str| socket.unread().filter(|frame| frame["op"] == op).count();
    assert!(answers("pong") > 0, "the first ones were answered");
    assert!(
        answers("problem") >= 19,
        "each of the others got a problem before the end"
    );
    for frame in socket.unread().filter(|frame| frame["op"] == "problem") {
        crate::harness::client::assert_problem(&frame["problem"], 429);
    }
}

fn assert_limited(replies: &[Reply], success: u16) {
    let (passed, limited): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == success);
    assert!(
        !passed.is_empty() && !limited.is_empty(),
        "{} passed, {} did not",
        passed.len(),
        limited.len()
    );
    for reply in limited {
        reply.problem(429);
        assert!(
            reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0,
            "{reply}"
        );
        assert!(ratelimit_headers(reply), "{reply:?}");
    }
}

fn ratelimit_headers(reply: &Reply) -> bool {
    reply.headers.keys().any(|name| name.as_str().starts_with("ratelimit"))
}
