//! Where requests come from, and what only this machine may see.

use axum::Router;
use axum::routing;

use super::*;
use crate::client::{Client, LoopbackOnly};

const LISTENER: &str = "0.0.0.0:8080";

fn router() -> Router {
    let client = |client: Client| async move {
        format!(
            "{} {} {}",
            client.network(),
            client.host.unwrap_or_default(),
            client.secure
        )
    };
    let routes = Router::new()
        .route("/client", routing::get(client))
        .route("/dev", routing::get(|_: LoopbackOnly| async {}));
    House::new(0).open(routes)
}

async fn client(peer: &str, headers: &[(&str, &str)]) -> String {
    let reply = send(&router(), over(get("/client", headers), peer, LISTENER)).await;
    String::from_utf8(reply.body).unwrap()
}

#[tokio::test]
async fn the_peer_is_the_client() {
    assert_eq!(
        client("192.0.2.1:5000", &[("host", "a.example")]).await,
        "192.0.2.1/32 a.example false"
    );
    assert_eq!(
        client("[2001:db8:1:2:3::4]:5000", &[]).await,
        "2001:db8:1:2::/64  false"
    );
    assert_eq!(client("[::ffff:192.0.2.1]:5000", &[]).await, "192.0.2.1/32  false");
}

#[tokio::test]
async fn a_stranger_cannot_forward() {
    let headers = [
        ("host", "a.example"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-host", "b.example"),
        ("forwarded", "for=198.51.100.7;proto=https"),
    ];
    assert_eq!(client("192.0.2.1:5000", &headers).await, "192.0.2.1/32 a.example false");
}

#[tokio::test]
async fn a_trusted_proxy_says_who_it_is() {
    for (headers, expected) in [
        (&[("x-forwarded-for", "198.51.100.7")][..], "198.51.100.7/32  false"),
        (&[("forwarded", "for=198.51.100.7")], "198.51.100.7/32  false"),
        (
            &[("forwarded", "for=\"[2001:db8::7]:4711\"; proto=https;host=c.example")],
            "2001:db8::/64 c.example true",
        ),
        (&[("x-forwarded-for", "198.51.100.7:1234")], "198.51.100.7/32  false"),
        // What the client itself wrote in front is not believed; proxies of ours are passed over.
        (
            &[("x-forwarded-for", "203.0.113.1, 198.51.100.7, 10.1.1.1")],
            "198.51.100.7/32  false",
        ),
        (
            &[("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "198.51.100.7")],
            "198.51.100.7/32  false",
        ),
        (
            &[("x-forwarded-for", "203.0.113.1, unknown, 10.1.1.1")],
            "10.1.1.1/32  false",
        ),
        (&[("x-forwarded-for", "10.2.2.2, 10.1.1.1")], "10.2.2.2/32  false"),
        (&[("host", "a.example")], "10.0.0.1/32 a.example false"),
        (
            &[
                ("host", "a.example"),
                ("x-forwarded-host", "b.example"),
                ("x-forwarded-proto", "https"),
            ],
            "10.0.0.1/32 b.example true",
        ),
    ] {
        assert_eq!(client("10.0.0.1:5000", headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn headers_that_contradict_each_other_are_the_proxys_own() {
    let headers = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=203.0.113.1")];
    assert_eq!(client("10.0.0.1:5000", &headers).await, "10.0.0.1/32  false");
    let headers = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=198.51.100.7")];
    assert_eq!(client("10.0.0.1:5000", &headers).await, "198.51.100.7/32  false");
}

#[tokio::test]
async fn a_request_without_its_connection_is_our_mistake() {
    assert_eq!(send(&router(), get("/client", &[])).await.code(), "internal_error");
}

async fn dev(peer: &str, listener: &str, headers: &[(&str, &str)]) -> u16 {
    send(&router(), over(get("/dev", headers), peer, listener))
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn this_machine_is_let_in() {
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "127.8.9.10",
        "[::1]:8080",
        "[::1]",
    ] {
        assert_eq!(
            dev("127.0.0.1:5000", "127.0.0.1:8080", &[("host", host)]).await,
            200,
            "{host}"
        );
    }
    assert_eq!(dev("[::1]:5000", "[::1]:8080", &[("host", "localhost")]).await, 200);
    assert_eq!(
        dev("[::ffff:127.0.0.1]:5000", "127.0.0.1:8080", &[("host", "localhost")]).await,
        200
    );
}

#[tokio::test]
async fn nobody_else_is() {
    let here = ("127.0.0.1:5000", "127.0.0.1:8080");
    let local = ("host", "localhost");
    assert_eq!(dev("192.0.2.1:5000", here.1, &[local]).await, 404);
    assert_eq!(dev(here.0, "0.0.0.0:8080", &[local]).await, 404);
    assert_eq!(dev(here.0, "192.0.2.1:8080", &[local]).await, 404);
    for header in [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    ] {
        assert_eq!(dev(here.0, here.1, &[local, (header, "x")]).await, 404, "{header}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "",
        "@",
        "0.0.0.0",
    ] {
        assert_eq!(dev(here.0, here.1, &[("host", host)]).await, 404, "{host}");
    }
    assert_eq!(dev(here.0, here.1, &[]).await, 404);
    assert_eq!(send(&router(), get("/dev", &[local])).await.code(), "not_found");
}
