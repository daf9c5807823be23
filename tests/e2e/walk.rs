//! The walk of `tests/model` on one process, which is restarted and killed on one growing store.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;

use crate::harness::NO_RATES;
use crate::harness::client::Api;
use crate::harness::process::free_address;
use crate::harness::quiet::loud;
use crate::model::{Fault, Ground, SILENCE, everybody_sees_what_the_rules_say};
use crate::server::{Folder, Server};

/// Cursors are given often: what a socket is told again after a kill is little, and begins anywhere.
const BEATS: &str = "[live]\nheartbeat_ms = 2000\n";

/// A server that is always found at the same address.
struct OneProcess {
    folder: Folder,
    address: SocketAddr,
    server: Mutex<Option<Server>>,
    /// Silences of the lives that have ended.
    silences: AtomicUsize,
}

impl OneProcess {
    fn start() -> Self {
        let one = Self {
            folder: Folder::with_config(&format!("{NO_RATES}{BEATS}")),
            address: free_address(Ipv4Addr::LOCALHOST),
            server: Mutex::default(),
            silences: AtomicUsize::new(0),
        };
        *one.server.lock().unwrap() = Some(one.begin());
        one
    }

    fn begin(&self) -> Server {
        let starting = self.folder.begin(&self.folder.arguments_at(self.address));
        starting.ready().unwrap_or_else(|said| panic!("not ready: {said}"))
    }

    /// Ends the server, which has had nothing to say until its end that somebody would have to act on.
    fn end(&self, fault: Fault) {
        let server = self.server.lock().unwrap().take().expect("it runs");
        let said = match fault {
            Fault::Kill => server.kill(),
            Fault::Restart => {
                server.terminate();
                let ended = server.ended();
                assert_eq!(ended.code(), 0, "{}", ended.stderr);
                ended.stderr
            }
        };
        self.silences.fetch_add(silences(&said), Ordering::Relaxed);
        let loud: Vec<_> = loud(&said).filter(|line| !line.contains(SILENCE)).collect();
        assert!(loud.is_empty(), "{loud:#?}");
    }
}

impl Ground for OneProcess {
    fn api(&self) -> Api {
        Api::at(self.address)
    }

    fn strike(&self, fault: Fault, _: &mut StdRng) -> String {
        self.end(fault);
        *self.server.lock().unwrap() = Some(self.begin());
        "the one process".to_owned()
    }

    fn silences(&self) -> usize {
        let server = self.server.lock().unwrap();
        let now = server.as_ref().map_or(0, |server| silences(&server.stderr()));
        self.silences.load(Ordering::Relaxed) + now
    }
}

fn silences(said: &str) -> usize {
    said.matches(SILENCE).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_what_the_rules_say_through_every_restart_and_kill() {
    let one = OneProcess::start();
    everybody_sees_what_the_rules_say(&one).await;
    tokio::task::block_in_place(|| one.end(Fault::Restart));
}
