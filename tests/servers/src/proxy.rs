//! A proxy in front of a server, which spoils the network at a word: slow, cut, refused, or silent without an end.

mod link;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use self::link::Link;

/// How long a server may take to be connected to.
const CONNECT: Duration = Duration::from_secs(5);

/// How much later than sent everything arrives, in either direction, in the order it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// At least so much later, milliseconds.
    pub base_ms: u64,
    /// At most so much later on top, milliseconds, by chance.
    pub jitter_ms: u64,
    /// Where chance begins: the same seed, the same sequence of jitters.
    pub seed: u64,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that clients made, refused ones included.
    pub connections: u64,
    /// Bytes passed on, in both directions.
    pub bytes: u64,
    /// Connections that were cut.
    pub cuts: u64,
}

/// A listener on a free port of the loopback that passes everything on. Dropping it cuts everything.
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Inner>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of nobody yet: connections are refused until `aim`.
    pub fn new() -> anyhow::Result<Self> {
        let listener = crate::port::bind()?;
        let address = listener.local_addr().context("the proxy has no address")?;
        let inner = Arc::new(Inner::default());
        let accepting = Arc::clone(&inner);
        let acceptor = std::thread::spawn(move || accepting.accept_all(&listener));
        Ok(Self {
            address,
            inner,
            acceptor: Some(acceptor),
        })
    }

    /// In front of this address.
    pub fn to(target: SocketAddr) -> anyhow::Result<Self> {
        let proxy = Self::new()?;
        proxy.aim(target);
        Ok(proxy)
    }

    /// New connections go to this address.
    pub fn aim(&self, target: SocketAddr) {
        self.inner.state().target = Some(target);
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that is read from now on arrives later.
    pub fn delay(&self, delay: Delay) {
        let mut state = self.inner.state();
        state.delay = delay;
        state.chance = delay.seed;
    }

    /// Ends all connections of this moment; new ones pass.
    pub fn cut(&self) {
        let links = std::mem::take(&mut self.inner.state().links);
        self.inner.cut(links.into_values());
    }

    /// Ends new connections as soon as they are made; those of this moment pass.
    pub fn refuse(&self) {
        self.inner.state().mode = Mode::Refuse;
    }

    /// Goes silent: takes connections and bytes, passes nothing on, and nobody is told. What a network does that lost a cable.
    pub fn swallow(&self) {
        self.inner.state().mode = Mode::Swallow;
    }

    /// Passes everything on again, at once. Connections that lost something meanwhile are cut: they could never be whole.
    pub fn heal(&self) {
        let lost: Vec<_> = {
            let mut state = self.inner.state();
            state.mode = Mode::Pass;
            state.delay = Delay::default();
            state
                .links
                .extract_if(|_, link| link.has_lost())
                .map(|(_, link)| link)
                .collect()
        };
        self.inner.cut(lost);
    }

    /// What went through so far.
    pub fn counters(&self) -> Counters {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            connections: count(&self.inner.connections),
            bytes: count(&self.inner.bytes),
            cuts: count(&self.inner.cuts),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.state().mode = Mode::Close;
        self.cut();
        // It waits for a connection and looks at its mode then.
        drop(TcpStream::connect_timeout(&self.address, CONNECT));
        if let Some(acceptor) = self.acceptor.take() {
            // It has nothing to say.
            let _ = acceptor.join();
        }
    }
}

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Pass,
    Refuse,
    Swallow,
    Close,
}

#[derive(Default)]
struct State {
    target: Option<SocketAddr>,
    mode: Mode,
    delay: Delay,
    chance: u64,
    links: HashMap<u64, Arc<Link>>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    connections: AtomicU64,
    bytes: AtomicU64,
    cuts: AtomicU64,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mode = self.state().mode;
            let Ok(client) = client else { continue };
            if mode == Mode::Close {
                return;
            }
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            let inner = Arc::clone(self);
            // Connecting to the server must not hold up the next client.
            std::thread::spawn(move || inner.take(number, client, mode));
        }
    }

    /// Takes a connection in. Dropping it refuses it.
    fn take(self: &Arc<Self>, number: u64, client: TcpStream, mode: Mode) {
        let target = self.state().target;
        let link = match (mode, target) {
            (Mode::Pass, Some(target)) => {
                let Ok(server) = TcpStream::connect_timeout(&target, CONNECT) else {
                    return;
                };
                Link::between(client, server)
            }
            (Mode::Swallow, _) => Link::to_nowhere(client),
            (Mode::Pass, None) | (Mode::Refuse | Mode::Close, _) => {
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
        };
        let Ok(link) = link.map(Arc::new) else { return };
        {
            let mut state = self.state();
            // It may have been told something else while it connected.
            let is_wanted = match state.mode {
                Mode::Pass | Mode::Refuse => !link.has_lost(),
                Mode::Swallow => true,
                Mode::Close => false,
            };
            if !is_wanted {
                link.cut();
                return;
            }
            state.links.insert(number, Arc::clone(&link));
        }
        link.run(self, number);
    }

    fn cut(&self, links: impl IntoIterator<Item = Arc<Link>>) {
        for link in links {
            link.cut();
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection has come to its end by itself.
    fn forget(&self, number: u64) {
        if let Some(link) = self.state().links.remove(&number) {
            link.cut();
        }
    }

    fn is_swallowing(&self) -> bool {
        self.state().mode == Mode::Swallow
    }

    fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How much later what was just read arrives.
    fn next_delay(&self) -> Duration {
        let mut state = self.state();
        let Delay { base_ms, jitter_ms, .. } = state.delay;
        let jitter = next_random(&mut state.chance) % (jitter_ms + 1);
        Duration::from_millis(base_ms + jitter)
    }
}

/// The next number of a sequence that its first state determines (splitmix64).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
