//! The HTTP client of the tests: calls, answers, and people who make them.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::contract::Contract;
use crate::harness::person::Person;
use crate::harness::quiet::Quiet;
use crate::stage::{MAY_LAG, Stage};

/// How long a test waits for a state before it fails: far beyond what the server needs, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A key for `Idempotency-Key`.
pub(crate) fn new_key() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// Asks until the answer is `Some`.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {what}")
}

/// Where the platform is entered: commands at some nodes, queries and sockets at others. One process is both.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    pub(crate) commands: Vec<SocketAddr>,
    pub(crate) queries: Vec<SocketAddr>,
}

impl From<SocketAddr> for Doors {
    fn from(address: SocketAddr) -> Self {
        Self {
            commands: vec![address],
            queries: vec![address],
        }
    }
}

/// Positions in the log, by slice.
pub(crate) type Seen = BTreeMap<u64, u64>;

/// Which of the two services behind the one API.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Commands,
    Queries,
}

/// The platform as a client sees it. Clones share connections and what was learnt about positions, so whoever was made by
/// one `Api` sees what anybody else of it did.
#[derive(Clone)]
pub(crate) struct Api {
    commands: Arc<Door>,
    queries: Arc<Door>,
    seen: Arc<Mutex<Seen>>,
    /// Of the shared stage: the end of the test looks at the logs.
    quiet: Option<Arc<Quiet>>,
}

/// The nodes of one side, asked in turn: what somebody does next is done by another node than what they did before.
struct Door {
    nodes: Vec<Node>,
    turn: AtomicUsize,
}

impl Door {
    fn to(nodes: Vec<SocketAddr>) -> Arc<Self> {
        /// Tests begin at one node and the other.
        static FIRST: AtomicUsize = AtomicUsize::new(0);
        assert!(!nodes.is_empty(), "there is nobody to ask");
        Arc::new(Self {
            nodes: nodes.into_iter().map(Node::at).collect(),
            turn: AtomicUsize::new(FIRST.fetch_add(1, Ordering::Relaxed)),
        })
    }

    fn next(&self) -> &Node {
        &self.nodes[self.turn.fetch_add(1, Ordering::Relaxed) % self.nodes.len()]
    }
}

/// One listener and the connections to it.
struct Node {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    drivers: Mutex<JoinSet<()>>,
}

impl Node {
    fn at(address: SocketAddr) -> Self {
        Self {
            address,
            idle: Mutex::default(),
            drivers: Mutex::default(),
        }
    }

    fn idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.lock().unwrap().pop()
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>> {
        while let Some(mut sender) = self.idle() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // A connection that breaks is reported by the request that was on it.
        self.drivers
            .lock()
            .unwrap()
            .spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

impl Api {
    /// The platform that tests share.
    pub(crate) fn shared() -> Self {
        Self {
            quiet: Some(Arc::new(Quiet::from_now())),
            ..Self::at(Stage::shared().doors())
        }
    }

    /// Any listeners.
    pub(crate) fn at(doors: impl Into<Doors>) -> Self {
        let Doors { commands, queries } = doors.into();
        let is_one = commands == queries;
        let commands = Door::to(commands);
        let queries = if is_one {
            Arc::clone(&commands)
        } else {
            Door::to(queries)
        };
        Self {
            commands,
            queries,
            seen: Arc::default(),
            quiet: None,
        }
    }

    /// Other listeners of the same store: what was learnt about positions still holds there.
    pub(crate) fn moved_to(&self, doors: impl Into<Doors>) -> Self {
        Self {
            seen: Arc::clone(&self.seen),
            quiet: self.quiet.clone(),
            ..Self::at(doors)
        }
    }

    /// Where the next command would go.
    pub(crate) fn command_address(&self) -> SocketAddr {
        self.commands.next().address
    }

    /// Where the next query would go, or the next socket.
    pub(crate) fn query_address(&self) -> SocketAddr {
        self.queries.next().address
    }

    /// Whether there is somebody else to ask when one node is gone.
    pub(crate) fn has_several_nodes(&self) -> bool {
        self.commands.nodes.len() > 1
    }

    /// Any call, without a token.
    pub(crate) fn call(&self, method: &str, path: impl Into<String>) -> Call {
        let side = match method {
            "GET" => Side::Queries,
            _ => Side::Commands,
        };
        Call {
            api: self.clone(),
            side,
            method: method.to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
            patient: false,
            described: true,
        }
    }

    /// A read without a token.
    pub(crate) fn get(&self, path: impl Into<String>) -> Call {
        self.call("GET", path)
    }

    /// Creates an account with a handle of its own.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let handle = new_handle(name);
        let body = json!({"handle": handle, "display_name": name});
        let creation = self.call("POST", "/v1/dev/accounts").json(&body).key(&new_key());
        Person::made_by(creation, name).await
    }

    /// Several at once, named after their number.
    pub(crate) async fn people(&self, count: usize) -> Vec<Person> {
        let names: Vec<_> = (0..count).map(|number| format!("person{number}")).collect();
        join_all(names.iter().map(|name| self.person(name))).await
    }

    /// Three people, as most rooms need.
    pub(crate) async fn three(&self) -> [Person; 3] {
        [
            self.person("anna").await,
            self.person("boram").await,
            self.person("chulsoo").await,
        ]
    }

    /// The positions of everything known to have happened so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Remembers how far the log is known to go.
    pub(crate) fn note(&self, position: &str) {
        let mut seen = self.seen.lock().unwrap();
        for (slice, pos) in positions(position) {
            let known = seen.entry(slice).or_default();
            *known = pos.max(*known);
        }
    }

    fn node(&self, side: Side) -> &Node {
        match side {
            Side::Commands => self.commands.next(),
            Side::Queries => self.queries.next(),
        }
    }
}

/// A handle nobody else in this run has: 4 to 20 of `[a-z0-9_.]`.
pub(crate) fn new_handle(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{name:.10}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `<slice>:<pos>[,...]` taken apart; empty text has none.
pub(crate) fn positions(header: &str) -> Vec<(u64, u64)> {
    let pairs = header.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            pair.split_once(':')
                .map(|(s, p)| (s.parse().unwrap(), p.parse().unwrap()))
                .unwrap()
        })
        .collect()
}

/// The text of a JSON string.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a string: {value}"))
        .to_owned()
}

/// The value of a JSON number.
#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a whole number: {value}"))
}

/// The elements of a JSON array.
#[track_caller]
pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// A call being put together; awaiting it makes it.
#[must_use]
#[derive(Clone)]
pub(crate) struct Call {
    api: Api,
    side: Side,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    patient: bool,
    described: bool,
}

impl Call {
    /// Whom it asks.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Asks the other service than the method says.
    pub(crate) fn of(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn raw(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sees everything known through this `Api` to have happened: sends the positions, and asks again when told that the
    /// read model is behind.
    pub(crate) fn fresh(mut self) -> Self {
        self.patient = true;
        let seen = self.api.seen();
        if seen.is_empty() {
            return self;
        }
        let pairs: Vec<_> = seen.iter().map(|(slice, pos)| format!("{slice}:{pos}")).collect();
        self.header("x-min-position", pairs.join(","))
    }

    /// Sees what landed at this position. Where the read model is made by another process it may be behind, and is asked
    /// again; in one process it never is.
    pub(crate) fn at_least(mut self, position: impl Into<String>) -> Self {
        self.patient |= MAY_LAG;
        self.header("x-min-position", position)
    }

    /// Gets a description itself, before there is one to hold the answer against.
    pub(crate) fn undescribed(mut self) -> Self {
        self.described = false;
        self
    }

    /// One try, whose answer must be one that is described. An error is a connection that could not be made or that broke before the answer was complete.
    pub(crate) async fn attempt(&self) -> Result<Reply> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange());
        let reply = answer.await.context("no answer in time")??;
        if self.described {
            let contract = Contract::served().await;
            let kept = contract.check_answer(&self.method, &self.path, &reply);
            kept.unwrap_or_else(|why| panic!("not as described: {why}: {reply}"));
        }
        Ok(reply)
    }

    async fn exchange(&self) -> Result<Reply> {
        let node = self.api.node(self.side);
        let mut sender = node.connection().await?;
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.path);
        if self.headers.iter().all(|(name, _)| name != "host") {
            request = request.header("host", node.address.to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body.clone().unwrap_or_default()))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        node.idle.lock().unwrap().push(sender);
        let asked = format!("{} {}", self.method, self.path);
        let reply = Reply {
            asked,
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        };
        self.api.note(reply.header("x-position").unwrap_or_default());
        Ok(reply)
    }

    /// The same as awaiting it, where futures are put together.
    pub(crate) fn send(self) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        Box::pin(self.insist())
    }

    async fn insist(self) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self
                .attempt()
                .await
                .unwrap_or_else(|error| panic!("{} {}: {error:#}", self.method, self.path));
            let behind = self.patient && reply.status == 503 && reply.value()["code"] == "read_model_behind";
            if !behind || Instant::now() > deadline {
                return reply;
            }
            let seconds = reply.header("retry-after").and_then(|after| after.parse().ok());
            tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0))).await;
        }
    }
}

impl IntoFuture for Call {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        self.send()
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body as JSON; null where there is none.
    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self}: {error}"))
    }

    /// Asserts the status and gives the body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.value()
    }

    /// Asserts that the command was accepted, with whichever success the call has.
    #[track_caller]
    pub(crate) fn accepted(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self}");
        self.value()
    }

    /// Asserts that this is a complete problem document with this status, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        let kind = self.header("content-type").unwrap_or_default();
        assert!(
            kind.starts_with("application/problem+json"),
            "{self}: content-type {kind}"
        );
        let problem = self.value();
        assert_problem(&problem, status);
        problem
    }

    /// Asserts a refusal with this status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.problem(status);
        assert_eq!(problem["code"], code, "{self}");
        problem
    }

    /// Asserts a 422 that points at this field.
    #[track_caller]
    pub(crate) fn points_at(&self, pointer: &str) {
        let problem = self.problem(422);
        assert!(
            pointers(&problem).iter().any(|found| found == pointer),
            "no error at {pointer}: {self}"
        );
    }

    /// Whether the answer is one that was stored earlier.
    pub(crate) fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Where the command landed.
    #[track_caller]
    pub(crate) fn position(&self) -> String {
        let position = self
            .header("x-position")
            .unwrap_or_else(|| panic!("no X-Position: {self}"));
        assert!(!positions(position).is_empty(), "{self}");
        position.to_owned()
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} -> {} {:.600}",
            self.asked,
            self.status,
            String::from_utf8_lossy(&self.body)
        )
    }
}

/// The shape of RFC 9457 as the contract fixes it.
#[track_caller]
pub(crate) fn assert_problem(problem: &Value, status: u16) {
    assert_eq!(problem["status"], status, "{problem}");
    for field in ["type", "title", "detail", "code", "request_id"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field} is missing: {problem}"
        );
    }
    let code = text(&problem["code"]);
    assert!(
        code.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        "{problem}"
    );
    for error in problem["errors"].as_array().into_iter().flatten() {
        for field in ["pointer", "code", "detail"] {
            assert!(error[field].is_string(), "errors[].{field} is missing: {problem}");
        }
    }
}

/// Where the errors of a problem point, as plain JSON pointers.
pub(crate) fn pointers(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors
        .map(|error| text(&error["pointer"]).trim_start_matches('#').to_owned())
        .collect()
}
