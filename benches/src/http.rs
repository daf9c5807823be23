//! A lean HTTP client: one simulated client, one connection.
//!
//! The connection is driven by the task that waits for the answer, so a request costs no second task and no wake-up
//! across threads. What a request needs is prebuilt; the answer is a status and bytes.

use std::net::SocketAddr;
use std::pin::Pin;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const POSITION: HeaderName = HeaderName::from_static("x-position");
const MIN_POSITION: HeaderName = HeaderName::from_static("x-min-position");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// What to do.
    pub(crate) method: Method,
    /// With what, path and query.
    pub(crate) uri: Uri,
    /// As whom, if as anyone.
    pub(crate) authorization: Option<HeaderValue>,
    /// The idempotency key of a command.
    pub(crate) key: Option<HeaderValue>,
    /// The place that what a query reads must have reached.
    pub(crate) min_position: Option<HeaderValue>,
    /// JSON, or nothing.
    pub(crate) body: Bytes,
}

impl Call {
    /// A query.
    pub(crate) fn get(uri: Uri, authorization: Option<HeaderValue>) -> Self {
        Self {
            method: Method::GET,
            uri,
            authorization,
            key: None,
            min_position: None,
            body: Bytes::new(),
        }
    }

    /// A command.
    pub(crate) fn post(uri: Uri, authorization: Option<HeaderValue>, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            uri,
            authorization,
            key: None,
            min_position: None,
            body: body.into(),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// Where a command landed.
    pub(crate) position: Option<HeaderValue>,
    /// The whole body.
    pub(crate) body: Bytes,
}

/// A client with one connection, opened when it is first needed and again when the server closed it meanwhile.
#[derive(Debug)]
pub(crate) struct HttpClient {
    address: SocketAddr,
    host: HeaderValue,
    wire: Option<Wire>,
}

#[derive(Debug)]
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

impl HttpClient {
    /// A client of the server at `address`; connects with its first call.
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        let host = HeaderValue::try_from(address.to_string()).context("an address that is no header value")?;
        Ok(Self {
            address,
            host,
            wire: None,
        })
    }

    /// Sends one request and waits for its whole answer.
    pub(crate) async fn call(&mut self, call: &Call) -> Result<Answer> {
        // A server may close a connection that was idle; that is seen only now, and asking again is safe because
        // commands carry their key. A fresh connection that fails is an error.
        if let Some(wire) = &mut self.wire {
            if let Ok(answer) = wire.exchange(Self::request(&self.host, call)?).await {
                return Ok(answer);
            }
            self.wire = None;
        }
        let mut wire = Wire::open(self.address).await?;
        let answer = wire.exchange(Self::request(&self.host, call)?).await;
        self.wire = Some(wire);
        answer.with_context(|| format!("{} {}", call.method, call.uri))
    }

    fn request(host: &HeaderValue, call: &Call) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        let headers = request.headers_mut();
        headers.try_reserve(5).context("too many headers")?;
        headers.insert(HOST, host.clone());
        if let Some(authorization) = &call.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(key) = &call.key {
            headers.insert(IDEMPOTENCY_KEY, key.clone());
        }
        if let Some(position) = &call.min_position {
            headers.insert(MIN_POSITION, position.clone());
        }
        if !call.body.is_empty() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        Ok(request)
    }
}

impl Wire {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .context("cannot start HTTP on the connection")?;
        Ok(Self {
            sender,
            connection: Box::pin(connection),
        })
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        if self.sender.is_closed() {
            bail!("the connection was closed");
        }
        let sender = &mut self.sender;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let position = response.headers().get(POSITION).cloned();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Answer { status, position, body })
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer.context("no answer"),
            ended = &mut self.connection => {
                ended.context("the connection broke")?;
                // The server closed after answering: the answer is already on its way to the exchange.
                exchange.await.context("the connection was closed")
            }
        }
    }
}
