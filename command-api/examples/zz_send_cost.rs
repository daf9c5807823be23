//! Temporary measurement.
#![expect(clippy::print_stdout, missing_docs, reason = "its output is what it is for")]
use async_trait::async_trait;
use axum::{body::Body, extract::Request};
use cocotalk_application::{
    command_bus::*,
    error::StoreError,
    port::{clock::Clock, key_vault::*},
    position::Position,
    sealing::Sealing,
    use_case::{Answer, send_message::SentAnswer},
};
use cocotalk_command_api::{CommandState, router};
use cocotalk_domain::{id::*, limits::Limits, stream::Slice, time::Instant as Moment};
use cocotalk_edge::{
    auth::Tokens,
    command::Commands,
    door::Door,
    layers::{EdgeLayer, around},
    rate::Limiter,
    settings::HttpSettings,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tower::ServiceExt;
struct Still;
impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::from_millis(1_767_225_600_000)
    }
    fn new_id(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }
}
struct V;
#[async_trait]
impl KeyVault for V {
    async fn create(&self, _: UserId) -> Result<KeyBytes, StoreError> {
        Ok(KeyBytes::new([1; 32]))
    }
    async fn keys(&self, u: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        Ok(u.iter().map(|_| Some(KeyBytes::new([1; 32]))).collect())
    }
    async fn destroy(&self, _: UserId) -> Result<(), StoreError> {
        Ok(())
    }
    async fn secret(&self, _: &str) -> Result<KeyBytes, StoreError> {
        Ok(KeyBytes::new([1; 32]))
    }
}
struct B;
#[async_trait]
impl CommandBus for B {
    async fn execute(&self, c: Command) -> Result<Accepted, CommandError> {
        let _ = c.use_case.name();
        Ok(Accepted {
            answer: Answer::new(
                201,
                &SentAnswer {
                    room_id: RoomId::from_u128(1),
                    message_id: MessageId::from_u128(2),
                    seq: 3,
                    version: 4,
                    sent_at: Moment::from_millis(5),
                },
            ),
            position: Position::at(Slice::new(3).unwrap(), 17),
            replayed: false,
        })
    }
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tokens = Arc::new(Tokens::new([7; 32], Duration::from_secs(3600)));
    let heads: Vec<String> = (0..1000)
        .map(|u| {
            format!(
                "Bearer {}",
                tokens.issue(UserId::from_u128(u), SessionId::from_u128(9), Still.now())
            )
        })
        .collect();
    let clock: Arc<dyn Clock> = Arc::new(Still);
    let limits = Arc::new(Limits::default());
    let state = CommandState {
        door: Arc::new(Door {
            clock: clock.clone(),
            limits: limits.clone(),
            tokens,
            rate: Limiter::per_minute(1_000_000_000),
            trusted_proxies: Arc::from([]),
        }),
        commands: Arc::new(Commands {
            bus: Arc::new(B),
            sealing: Arc::new(Sealing::new(Arc::new(V))),
            clock,
            limits,
        }),
        dev_accounts: None,
    };
    let router = around(router(state), EdgeLayer::new(&HttpSettings::default()));
    for _ in 0..7 {
        let reqs: Vec<Request> = (0..50_000)
            .map(|i| {
                Request::builder()
                    .method("POST")
                    .uri("/v1/rooms/0198c0de-7a1c-7000-8000-00000000000a/messages")
                    .header("authorization", &heads[i % 1000])
                    .header("content-type", "application/json")
                    .header("idempotency-key", "0198c0de-7a1c-7000-8000-00000000000b")
                    .body(Body::from(
                        r#"{"kind":"text","text":"the quick brown fox jumps over the lazy dog, 그리고 다시"}"#,
                    ))
                    .unwrap()
            })
            .collect();
        let t = Instant::now();
        for r in reqs {
            assert_eq!(router.clone().oneshot(r).await.unwrap().status(), 201);
        }
        println!("{:.2} us", t.elapsed().as_secs_f64() * 1e6 / 50_000.0);
    }
}
