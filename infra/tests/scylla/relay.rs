//! A way to the server that a test can block.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They arrive.
    Open,
    /// They wait, as behind a server that hangs.
    Silent,
    /// Connections end at once, as where no server is.
    Closed,
}

/// A relay on an address of its own, as long as it lives.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    _stop: DropGuard,
}

impl Relay {
    /// One to this server.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (way, ways) = watch::channel(Way::Open);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let stopped = stop.clone();
        let all = tasks.clone();
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                if *ways.borrow() == Way::Closed {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(&server).await {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    all.spawn(
                        stopped
                            .clone()
                            .run_until_cancelled_owned(carry(from_client, to_server, ways.clone())),
                    );
                    all.spawn(
                        stopped
                            .clone()
                            .run_until_cancelled_owned(carry(from_server, to_client, ways.clone())),
                    );
                }
            }
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(accept));
        Self {
            address,
            way,
            _stop: stop.drop_guard(),
        }
    }

    /// From now on.
    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut ways: watch::Receiver<Way>,
) {
    let mut closing = ways.clone();
    let carrying = async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let is_open = ways.wait_for(|way| *way == Way::Open).await.is_ok();
            if !is_open || to.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = carrying => {}
        _ = closing.wait_for(|way| *way == Way::Closed) => {}
    }
}
