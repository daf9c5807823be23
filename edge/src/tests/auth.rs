//! Who asks: tokens, and the header that carries them.

use axum::Router;
use axum::routing;
use cocotalk_domain::id::{SessionId, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::auth::{Identity, TokenError};

fn house() -> (House, Router) {
    let house = House::new(0);
    let who = |identity: Identity| async move { format!("{} {}", identity.user_id, identity.session_id) };
    let router = house.open(Router::new().route("/who", routing::get(who)));
    (house, router)
}

fn claims(house: &House) -> Value {
    let iat = house.clock.now().millis() / 1_000;
    json!({"sub": UserId::from_u128(1), "sid": SessionId::from_u128(9), "iat": iat, "exp": iat + 60})
}

fn header(house: &House) -> Header {
    let token = house.token(1);
    jsonwebtoken::decode_header(token).unwrap()
}

fn sign(header: &Header, claims: &Value, secret: [u8; 32]) -> String {
    encode(header, claims, &EncodingKey::from_secret(&secret)).unwrap()
}

#[test]
fn a_token_is_read_back() {
    let house = House::new(0);
    let (token, now) = (house.token(1), house.clock.now());
    let identity = house.door.tokens.verify(&token, now).unwrap();
    assert_eq!(identity.user_id, UserId::from_u128(1));
    assert_eq!(identity.session_id, SessionId::from_u128(9));
    assert_eq!(identity.expires_at.millis(), now.millis() + 3_600_000);
}

#[test]
fn another_process_with_the_same_secret_reads_it() {
    let house = House::new(0);
    let other = Tokens::new(SECRET, HOUR);
    assert!(other.verify(&house.token(1), house.clock.now()).is_ok());
}

#[test]
fn a_token_expires() {
    let house = House::new(0);
    let token = house.token(1);
    house.wait(HOUR.saturating_sub(Duration::from_millis(1)));
    assert!(house.door.tokens.verify(&token, house.clock.now()).is_ok());
    house.wait(Duration::from_millis(1));
    assert_eq!(
        house.door.tokens.verify(&token, house.clock.now()),
        Err(TokenError::Expired)
    );
}

#[test]
fn a_token_that_is_not_ours_is_refused() {
    let house = House::new(0);
    let ours = header(&house);
    let mut without_kid = ours.clone();
    without_kid.kid = None;
    let mut other_alg = ours.clone();
    other_alg.alg = Algorithm::HS512;
    let valid = sign(&ours, &claims(&house), SECRET);
    assert!(house.door.tokens.verify(&valid, house.clock.now()).is_ok());
    let unsigned = {
        let mut parts: Vec<&str> = valid.split('.').collect();
        parts[2] = "";
        parts.join(".")
    };
    let none = format!("eyJhbGciOiJub25lIn0.{}", unsigned.split_once('.').unwrap().1);
    let long = format!("{valid}{}", "A".repeat(2_000));
    for (what, token) in [
        ("another key", sign(&ours, &claims(&house), [8; 32])),
        ("another key id", sign(&without_kid, &claims(&house), SECRET)),
        ("another algorithm", sign(&other_alg, &claims(&house), SECRET)),
        ("no signature", unsigned),
        ("the algorithm none", none),
        ("no token", "abc".to_owned()),
        ("nothing", String::new()),
        ("too long", long),
    ] {
        assert_eq!(
            house.door.tokens.verify(&token, house.clock.now()),
            Err(TokenError::Invalid),
            "{what}"
        );
    }
}

#[test]
fn every_claim_is_required_and_typed() {
    let house = House::new(0);
    for claim in ["sub", "sid", "iat", "exp"] {
        let mut missing = claims(&house);
        missing.as_object_mut().unwrap().remove(claim);
        let mut wrong = claims(&house);
        wrong[claim] = json!("x");
        for claims in [missing, wrong] {
            let token = sign(&header(&house), &claims, SECRET);
            assert_eq!(
                house.door.tokens.verify(&token, house.clock.now()),
                Err(TokenError::Invalid),
                "{claims}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_asked_for_one() {
    let (_, router) = house();
    for headers in [&[][..], &[("authorization", "Basic YTpi")], &[("authorization", "x")]] {
        let reply = send(&router, get("/who", headers)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (401, "unauthenticated"),
            "{headers:?}"
        );
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"cocotalk\"");
    }
}

#[tokio::test]
async fn two_tokens_are_none() {
    let (house, router) = house();
    let token = format!("Bearer {}", house.token(1));
    let headers = [("authorization", token.as_str()), ("authorization", token.as_str())];
    assert_eq!(send(&router, get("/who", &headers)).await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_request_with_a_bad_token_is_told_so() {
    let (house, router) = house();
    let good = format!("bearer {}", house.token(1));
    let reply = send(&router, get("/who", &[("authorization", &good)])).await;
    assert_eq!(
        reply.body,
        format!("{} {}", UserId::from_u128(1), SessionId::from_u128(9)).into_bytes()
    );
    let reply = send(&router, get("/who", &[("authorization", "Bearer x")])).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "invalid_token"));
    assert_eq!(
        reply.header("www-authenticate"),
        "Bearer realm=\"cocotalk\", error=\"invalid_token\""
    );
    house.wait(HOUR);
    let reply = send(&router, get("/who", &[("authorization", &good)])).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "expired_token"));
}
