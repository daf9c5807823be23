//! The accept loop: bounded connections, bounded time for a request's head, and an end when the lifecycle asks for it.

mod paced;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cocotalk_edge::client::Connection;
use cocotalk_edge::crowd::Crowd;
use cocotalk_edge::metrics::CONNECTIONS_REFUSED;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::scope::RequestId;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::lifecycle::Lifecycle;
use crate::serve::paced::Paced;

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Those of one client network among them; further ones are told that it is busy.
    pub per_network: usize,
    /// Whose connections stand for everybody.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Time for a kept connection to begin its next request.
    pub keep_alive: Duration,
    /// Time for a request's head.
    pub head: Duration,
}

/// The largest head of a request, bytes: tokens and cursors fit many times over.
const HEAD_BYTES: usize = 32 * 1024;

/// Serves whatever `app` holds at the moment a request comes, until `lifecycle.soft`. Requests in flight are finished.
pub async fn serve(
    listener: TcpListener,
    app: watch::Receiver<Router>,
    address: SocketAddr,
    bounds: Bounds,
    lifecycle: Lifecycle,
) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let networks = Crowd::but_for(Arc::clone(&bounds.trusted_proxies), bounds.per_network);
    loop {
        let accepted = tokio::select! {
            () = lifecycle.soft.cancelled() => return,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let Some(guest) = networks.enter(peer.ip()) else {
            refuse(stream);
            continue;
        };
        let from = Connection {
            peer,
            listener: address,
        };
        let app = app.clone();
        let (soft, hard) = (lifecycle.soft.clone(), lifecycle.hard.clone());
        let times = (bounds.keep_alive, bounds.head);
        lifecycle.tasks.spawn(async move {
            connection(stream, (app, from), times, soft, hard).await;
            drop((slot, guest));
        });
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Slot)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            // Out of descriptors, or a client that gave up: the next accept may work, but not at once.
            tracing::warn!("a connection was not accepted: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

/// Tells a connection that is one too many so, and lets it go.
fn refuse(stream: TcpStream) {
    metrics::counter!(CONNECTIONS_REFUSED).increment(1);
    // It fits into an empty buffer at once; nothing is waited for.
    let told = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(too_many().as_bytes()));
    if let Err(error) = told {
        tracing::debug!("a connection was refused and not told: {error}");
    }
}

/// The whole answer: nobody reads what was asked.
fn too_many() -> String {
    let id = RequestId::next();
    let problem = Problem::new(Code::Busy).detail("too many connections from your network");
    let details = serde_json::to_string(&problem.into_details(Some(id))).expect("a problem is plain data");
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
        x-content-type-options: nosniff\r\nretry-after: 1\r\nconnection: close";
    format!(
        "{head}\r\nx-request-id: {id}\r\ncontent-length: {}\r\n\r\n{details}",
        details.len()
    )
}

async fn connection(
    stream: TcpStream,
    (app, from): (watch::Receiver<Router>, Connection),
    (keep_alive, head): (Duration, Duration),
    soft: CancellationToken,
    hard: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("a connection went away before it began: {error}");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(keep_alive)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(true);
    let (stream, heads) = Paced::new(stream, head);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        let mut app = app.borrow().clone();
        heads.answered(app.call(request.map(Body::new)))
    });
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection.as_mut() => result,
                () = hard.cancelled() => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!("a connection ended early: {error}");
    }
}
