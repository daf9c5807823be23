//! The accept loop: bounded connections, bounded time for a request's head, and an end when the lifecycle asks for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cocotalk_edge::client::Connection;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::lifecycle::Lifecycle;

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Time for a request's head, and for a kept connection to begin its next one.
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
    loop {
        let accepted = tokio::select! {
            () = lifecycle.soft.cancelled() => return,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let from = Connection {
            peer,
            listener: address,
        };
        let app = app.clone();
        let (soft, hard) = (lifecycle.soft.clone(), lifecycle.hard.clone());
        lifecycle.tasks.spawn(async move {
            connection(stream, (app, from), bounds, soft, hard).await;
            drop(slot);
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

async fn connection(
    stream: TcpStream,
    (app, from): (watch::Receiver<Router>, Connection),
    bounds: Bounds,
    soft: CancellationToken,
    hard: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("a connection went away before it began: {error}");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        let mut app = app.borrow().clone();
        app.call(request.map(Body::new))
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
