//! A way to the server that can be watched, cut and frozen.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They pass.
    Open,
    /// They wait; connections stay, and new ones are taken but not passed on.
    Frozen,
    /// Connections are closed, also new ones.
    Cut,
}

/// A proxy in front of a server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    sent: Arc<Mutex<Vec<usize>>>,
}

impl Proxy {
    pub(crate) async fn before(server: String, tasks: &TaskTracker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (way, watched) = watch::channel(Way::Open);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let counted = Arc::clone(&sent);
        let connections = tasks.clone();
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = {
                    let mut counts = counted.lock().expect("nobody panics with it");
                    counts.push(0);
                    counts.len() - 1
                };
                let count = Arc::clone(&counted);
                connections.spawn(pass(client, server.clone(), watched.clone(), count, number));
            }
        });
        Self { address, way, sent }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// How many times something was sent to the server, for each connection.
    pub(crate) fn sent(&self) -> Vec<usize> {
        self.sent.lock().expect("nobody panics with it").clone()
    }
}

async fn pass(
    client: TcpStream,
    server: String,
    mut way: watch::Receiver<Way>,
    sent: Arc<Mutex<Vec<usize>>>,
    number: usize,
) {
    if way.wait_for(|way| *way != Way::Frozen).await.is_err() {
        return;
    }
    let mut cut = way.clone();
    let passing = async {
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let count = || sent.lock().expect("nobody panics with it")[number] += 1;
        tokio::select! {
            () = copy(from_client, to_server, way.clone(), count) => {}
            () = copy(from_server, to_client, way.clone(), || {}) => {}
        }
    };
    tokio::select! {
        () = passing => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<Way>,
    count: impl Fn(),
) {
    let mut buffer = vec![0; 1 << 18];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count();
        let open = way.wait_for(|way| *way == Way::Open).await.is_ok();
        if !open || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
