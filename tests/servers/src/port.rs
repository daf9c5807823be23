//! Ports that nobody has, and that nobody takes while a server is down.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;

/// Below those that systems give to outgoing connections, so that a server that is started again finds its port free.
const FIRST: u16 = 16_384;
/// How many there are to choose from.
const COUNT: u64 = 15_616;
/// Enough on any machine that has a free port at all.
const TRIES: usize = 1_000;

/// An address of this machine's loopback.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// So many different free ports of the loopback.
pub(crate) fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    // All are held until all are found: so no two are the same.
    let held: Vec<TcpListener> = (0..N).map(|_| bind()).collect::<anyhow::Result<_>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// A listener on a free port.
pub(crate) fn bind() -> anyhow::Result<TcpListener> {
    (0..TRIES)
        .find_map(|number| {
            // A fresh state hashes differently each time: randomness without a crate for it.
            let port = FIRST + (RandomState::new().hash_one(number) % COUNT) as u16;
            TcpListener::bind(loopback(port)).ok()
        })
        .context("no free port on the loopback")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_bound() {
        let ports = free::<8>().unwrap();
        let held: Vec<_> = ports.map(|port| TcpListener::bind(loopback(port)).unwrap()).into();
        assert_eq!(held.len(), 8);
    }
}
