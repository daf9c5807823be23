//! The router over a bus that carries nothing out: it notes what it was asked and says what it was told to say.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use cocotalk_application::command_bus::{Accepted, Command, CommandBus, CommandError};
use cocotalk_application::error::StoreError;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{CommandKey, LogReader, Metadata, Probe, RecordedEvent};
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_application::position::Position;
use cocotalk_application::sealing::Sealing;
use cocotalk_application::use_case::register::claim_id;
use cocotalk_application::use_case::{Answer, Refusal, RoomAnswer};
use cocotalk_domain::claim::{ClaimEvent, ClaimKind, Taken};
use cocotalk_domain::id::{MessageId, RoomId, SessionId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_domain::time::Instant;
use cocotalk_edge::auth::{Identity, Tokens};
use cocotalk_edge::client::Connection;
use cocotalk_edge::command::Commands;
use cocotalk_edge::door::Door;
use cocotalk_edge::layers::{EdgeLayer, around};
use cocotalk_edge::rate::Limiter;
use cocotalk_edge::settings::HttpSettings;
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::{CommandState, DevAccounts, router};

/// Who asks.
pub(crate) const ME: UserId = UserId::from_u128(0xa11ce);
/// The room that is asked about.
pub(crate) const ROOM: RoomId = RoomId::from_u128(0x700);
/// A message in it that is asked about.
pub(crate) const MESSAGE: MessageId = MessageId::from_u128(0x7e7);
/// The idempotency key of every request.
pub(crate) const KEY: &str = "0198c0de-7a1c-7000-8000-00000000000a";
/// What time it is.
pub(crate) const NOW: Instant = Instant::from_millis(1_767_225_600_000);
/// How long a token for development lives.
pub(crate) const DAY: Duration = Duration::from_hours(24);

const SECRET: [u8; 32] = [7; 32];

struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now(&self) -> Instant {
        NOW
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// Everybody has a key, but for who was erased.
#[derive(Default)]
pub(crate) struct FakeVault {
    created: Mutex<HashSet<UserId>>,
    erased: Mutex<HashSet<UserId>>,
}

impl FakeVault {
    /// Destroys a key.
    pub(crate) fn erase(&self, user: UserId) {
        self.erased.lock().unwrap().insert(user);
    }

    /// Whether a key was made.
    pub(crate) fn has(&self, user: UserId) -> bool {
        self.created.lock().unwrap().contains(&user)
    }
}

#[async_trait]
impl KeyVault for FakeVault {
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError> {
        self.created.lock().unwrap().insert(user);
        Ok(KeyBytes::new([1; 32]))
    }

    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        let erased = self.erased.lock().unwrap();
        let key = |user| (!erased.contains(user)).then(|| KeyBytes::new([1; 32]));
        Ok(users.iter().map(key).collect())
    }

    async fn destroy(&self, user: UserId) -> Result<(), StoreError> {
        self.erase(user);
        Ok(())
    }

    async fn secret(&self, _name: &str) -> Result<KeyBytes, StoreError> {
        Ok(KeyBytes::new(SECRET))
    }
}

/// What of a command can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) key: CommandKey,
    pub(crate) request_mac: [u8; 32],
    pub(crate) metadata: Metadata,
    pub(crate) name: &'static str,
    pub(crate) home: StreamId,
    pub(crate) writes: Vec<StreamId>,
    pub(crate) people: Vec<UserId>,
    pub(crate) message: Option<MessageId>,
}

/// Says what it was told to say, in order, and that a room is changed where it was told nothing.
#[derive(Default)]
pub(crate) struct FakeBus {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<VecDeque<Result<Accepted, CommandError>>>,
}

impl FakeBus {
    /// The next command is accepted with this answer.
    pub(crate) fn answer(&self, status: u16, body: &impl Serialize) {
        self.say(Ok(accepted(status, body)));
    }

    /// The next command was carried out before, with this answer.
    pub(crate) fn replay(&self, status: u16, body: &impl Serialize) {
        self.say(Ok(Accepted {
            replayed: true,
            ..accepted(status, body)
        }));
    }

    /// The next command is refused.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.say(Err(refusal.into()));
    }

    /// The next command ends so.
    pub(crate) fn say(&self, result: Result<Accepted, CommandError>) {
        self.answers.lock().unwrap().push_back(result);
    }

    /// The commands so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one command so far.
    #[track_caller]
    pub(crate) fn only(&self) -> Seen {
        let [seen] = <[Seen; 1]>::try_from(self.seen()).unwrap();
        seen
    }
}

fn accepted(status: u16, body: &impl Serialize) -> Accepted {
    Accepted {
        answer: Answer::new(status, body),
        position: Position::at(Slice::new(3).unwrap(), 17),
        replayed: false,
    }
}

#[async_trait]
impl CommandBus for FakeBus {
    async fn execute(&self, command: Command) -> Result<Accepted, CommandError> {
        let use_case = &command.use_case;
        self.seen.lock().unwrap().push(Seen {
            key: command.key,
            request_mac: command.request_mac,
            metadata: Metadata::clone(&command.metadata),
            name: use_case.name(),
            home: use_case.home(),
            writes: use_case.writes(),
            people: use_case.people().to_vec(),
            message: use_case.message(),
        });
        let changed = RoomAnswer {
            room_id: ROOM,
            version: 7,
        };
        let told = self.answers.lock().unwrap().pop_front();
        told.unwrap_or_else(|| Ok(accepted(200, &changed)))
    }
}

/// Accounts for development as the server would give them.
pub(crate) fn dev_accounts() -> DevAccounts {
    DevAccounts {
        pepper: [9; 32],
        tokens: Arc::new(Tokens::new(SECRET, DAY)),
        log: Arc::new(FakeLog),
    }
}

/// A log in which I have the handle `taken_handle`, and nothing else.
struct FakeLog;

#[async_trait]
impl LogReader for FakeLog {
    async fn load(&self, stream: &StreamId, _after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let claim = StreamId::Claim(claim_id(&[9; 32], ClaimKind::Handle, "taken_handle"));
        let taken = ClaimEvent::Taken(Taken {
            kind: ClaimKind::Handle,
            owner: ME,
            at: NOW,
        });
        let recorded = RecordedEvent {
            stream: claim,
            sequence: 1,
            slice: claim.slice(),
            slice_pos: 1,
            ts_us: 1,
            event: Ok(taken.into()),
            metadata: Arc::default(),
        };
        Ok(if *stream == claim { vec![recorded] } else { Vec::new() })
    }

    async fn about(&self, _subject: Uuid, _after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(Vec::new())
    }

    async fn probe(
        &self,
        _key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        Ok(Probe {
            command: None,
            versions: vec![0; streams.len()],
            heads: vec![0; slices.len()],
        })
    }
}

/// Who asks, as the token says.
pub(crate) fn identity() -> Identity {
    Identity {
        user_id: ME,
        session_id: SessionId::from_u128(5),
        expires_at: Instant::from_millis(NOW.millis() + 3_600_000),
    }
}

/// Ids of people as JSON.
pub(crate) fn ids(numbers: Range<u128>) -> Value {
    json!(numbers.map(UserId::from_u128).collect::<Vec<_>>())
}

/// The router with what is around it, and what is behind it.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) vault: Arc<FakeVault>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) tokens: Arc<Tokens>,
    token: String,
}

impl App {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::with(limits, 0, Some(dev_accounts()))
    }

    pub(crate) fn with_rate(per_minute: u32) -> Self {
        Self::with(Limits::default(), per_minute, Some(dev_accounts()))
    }

    pub(crate) fn without_dev_accounts() -> Self {
        Self::with(Limits::default(), 0, None)
    }

    fn with(limits: Limits, per_minute: u32, dev_accounts: Option<DevAccounts>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(StillClock(AtomicU64::new(1)));
        let limits = Arc::new(limits);
        let (bus, vault) = (Arc::new(FakeBus::default()), Arc::new(FakeVault::default()));
        let tokens = Arc::new(Tokens::new(SECRET, Duration::from_hours(1)));
        let token = tokens.issue(ME, identity().session_id, NOW);
        let commands = Arc::new(Commands {
            bus: Arc::<FakeBus>::clone(&bus),
            sealing: Arc::new(Sealing::new(Arc::<FakeVault>::clone(&vault))),
            clock: Arc::clone(&clock),
            limits: Arc::clone(&limits),
        });
        let door = Door {
            clock,
            limits,
            body_timeout: cocotalk_edge::settings::HttpSettings::default().body_timeout(),
            tokens: Arc::clone(&tokens),
            rate: Limiter::per_minute(per_minute),
            trusted_proxies: Arc::from([]),
        };
        let state = CommandState {
            door: Arc::new(door),
            commands: Arc::clone(&commands),
            dev_accounts: dev_accounts.map(Arc::new),
        };
        Self {
            router: around(router(state), EdgeLayer::new(&HttpSettings::default())),
            bus,
            vault,
            commands,
            tokens,
            token,
        }
    }

    /// My call with the usual key; a null body is none.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.mine(method, path).json(body).send().await
    }

    /// My call with the usual key.
    pub(crate) fn mine(&self, method: Method, path: &str) -> Call {
        let token = format!("Bearer {}", self.token);
        self.request(method, path).header("authorization", &token)
    }

    /// Anybody's call with the usual key.
    pub(crate) fn request(&self, method: Method, path: &str) -> Call {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let call = Call {
            router: self.router.clone(),
            request,
        };
        call.header("host", "localhost:8080")
            .header("idempotency-key", KEY)
            .from("127.0.0.1:50000")
    }
}

/// A call being put together.
pub(crate) struct Call {
    router: Router,
    request: Request,
}

impl Call {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::try_from(value).unwrap();
        self.request.headers_mut().insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    pub(crate) fn from(mut self, peer: &str) -> Self {
        let connection = Connection {
            peer: peer.parse().unwrap(),
            listener: SocketAddr::from(([127, 0, 0, 1], 8080)),
        };
        self.request.extensions_mut().insert(connection);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        if body.is_null() {
            return self;
        }
        self.text(body.to_string())
    }

    pub(crate) fn text(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self.header("content-type", "application/json")
    }

    pub(crate) async fn send(self) -> Reply {
        let (head, body) = self.router.oneshot(self.request).await.unwrap().into_parts();
        Reply {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body, null where there is none.
    fn value(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Asserts the status and gives the body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.value()
    }

    /// Asserts a refusal with this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.is(status)["code"], code, "{self:?}");
    }

    /// Asserts a 422 about these fields, in this order.
    #[track_caller]
    pub(crate) fn points_at(&self, pointers: &[&str]) {
        assert!([409, 422].contains(&self.status.as_u16()), "{self:?}");
        assert_eq!(self.pointers(), pointers, "{self:?}");
    }

    /// The fields that a refusal is about.
    pub(crate) fn pointers(&self) -> Vec<String> {
        let value = self.value();
        let errors = value["errors"].as_array().into_iter().flatten();
        errors
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }
}
