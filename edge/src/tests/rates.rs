//! How often one may ask.

use axum::Router;
use axum::routing;

use super::*;
use crate::auth::Identity;
use crate::problem::{Code, Problem};

fn house(per_minute: u32) -> (House, Router) {
    let house = House::new(per_minute);
    let doors = Router::new().route("/who", routing::get(|_: Identity| async {})).route(
        "/fails",
        routing::get(|_: Identity| async { Problem::new(Code::RoomNotFound) }),
    );
    let router = house.open(doors);
    (house, router)
}

async fn ask(router: &Router, path: &str, token: &str) -> Reply {
    send(router, get(path, &[("authorization", &format!("Bearer {token}"))])).await
}

fn standing(reply: &Reply) -> [&str; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| reply.header(name))
}

#[tokio::test]
async fn the_whole_minute_may_come_at_once_and_then_no_more() {
    let (house, router) = house(3);
    let token = house.token(1);
    for (remaining, reset) in [("2", "20"), ("1", "40"), ("0", "60")] {
        let reply = ask(&router, "/who", &token).await;
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(standing(&reply), ["3", remaining, reset]);
    }
    let reply = ask(&router, "/who", &token).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (429, "rate_limited"));
    assert_eq!(standing(&reply), ["3", "0", "60"]);
    let retry_after: u32 = reply.header("retry-after").parse().unwrap();
    assert!((19..=20).contains(&retry_after), "{retry_after}");
}

#[tokio::test]
async fn each_account_has_its_own_limit() {
    let (house, router) = house(1);
    assert_eq!(ask(&router, "/who", &house.token(1)).await.status.as_u16(), 200);
    assert_eq!(ask(&router, "/who", &house.token(2)).await.status.as_u16(), 200);
    // Another session is the same account.
    house.wait(Duration::from_secs(1));
    assert_eq!(ask(&router, "/who", &house.token(1)).await.status.as_u16(), 429);
}

#[tokio::test]
async fn a_refused_request_counts_and_says_so() {
    let (house, router) = house(2);
    let reply = ask(&router, "/fails", &house.token(1)).await;
    assert_eq!((reply.status.as_u16(), standing(&reply)), (404, ["2", "1", "30"]));
}

#[tokio::test]
async fn zero_is_no_limit() {
    let (house, router) = house(0);
    let token = house.token(1);
    for _ in 0..100 {
        let reply = ask(&router, "/who", &token).await;
        assert_eq!((reply.status.as_u16(), standing(&reply)), (200, ["", "", ""]));
    }
}

#[test]
fn keys_that_have_their_whole_burst_again_are_forgotten() {
    // A cell every 60 microseconds: what was counted is whole again at once.
    let limiter = Limiter::per_minute(1_000_000);
    for key in 0..100_000_u32 {
        assert!(limiter.check(&key).is_ok());
    }
    assert!(limiter.keys() < 20_000, "{}", limiter.keys());
}

#[test]
fn keys_that_are_used_up_are_kept() {
    let limiter = Limiter::per_hour(1);
    for key in 0..20_000_u32 {
        assert!(limiter.check(&key).is_ok());
    }
    for key in 0..20_000_u32 {
        assert_eq!(limiter.check(&key).unwrap_err().standing.remaining, 0);
    }
}
