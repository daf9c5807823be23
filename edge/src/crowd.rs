//! How much of something one network holds at a time, so that nobody takes all of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::{IpNet, Ipv6Net};

use crate::client::is_trusted;

/// The network that limits count by: one IPv4 address, or the /64 that one subscriber of IPv6 has for themselves.
pub fn network(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Net::new(address, 64).map_or(IpAddr::V6(address).into(), |net| net.trunc().into()),
        address @ IpAddr::V4(_) => address.into(),
    }
}

/// Counts for each network what it holds. Networks that hold nothing are forgotten, so it is as large as what is held.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    exempt: Arc<[IpNet]>,
    held: Mutex<HashMap<IpNet, usize>>,
}

impl Crowd {
    /// So many for one network, whichever it is.
    pub fn new(most: usize) -> Arc<Self> {
        Self::but_for(Arc::new([]), most)
    }

    /// So many for one network, but any number for these: proxies, where it is their own connections that are counted, which
    /// stand for everybody. Where a proxy's word about the client was asked, nobody is exempt: what counts as the proxy's own
    /// is what somebody said falsely behind it.
    pub fn but_for(exempt: Arc<[IpNet]>, most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            exempt,
            held: Mutex::default(),
        })
    }

    /// One more for the network of this address until what is returned is dropped; `None` if it holds as many as it may.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        if is_trusted(address.to_canonical(), &self.exempt) {
            return Some(Guest(None));
        }
        let network = network(address);
        let mut held = self.held();
        let held_now = held.get(&network).copied().unwrap_or_default();
        if held_now >= self.most {
            return None;
        }
        held.insert(network, held_now + 1);
        Some(Guest(Some((Arc::clone(self), network))))
    }

    /// Nobody panics while holding the lock, and a count is right after each line.
    fn held(&self) -> MutexGuard<'_, HashMap<IpNet, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that a network holds.
#[derive(Debug)]
pub struct Guest(Option<(Arc<Crowd>, IpNet)>);

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some((crowd, network)) = &self.0
            && let Entry::Occupied(mut held) = crowd.held().entry(*network)
        {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn crowd(most: usize) -> Arc<Crowd> {
        Crowd::but_for(Arc::new(["198.51.100.0/24".parse().unwrap()]), most)
    }

    #[test]
    fn a_network_holds_so_many_and_others_are_not_asked() {
        let crowd = crowd(2);
        let held = [at("192.0.2.1"), at("::ffff:192.0.2.1")].map(|address| crowd.enter(address));
        assert!(held.iter().all(Option::is_some));
        assert!(crowd.enter(at("192.0.2.1")).is_none());
        assert!(crowd.enter(at("192.0.2.2")).is_some());
    }

    #[test]
    fn what_is_given_back_may_be_taken_again_and_nobody_is_remembered() {
        let crowd = crowd(1);
        let held = crowd.enter(at("192.0.2.1"));
        assert!(crowd.enter(at("192.0.2.1")).is_none());
        drop(held);
        assert!(crowd.held().is_empty());
        assert!(crowd.enter(at("192.0.2.1")).is_some());
    }

    #[test]
    fn a_proxy_stands_for_everybody() {
        let crowd = crowd(1);
        let held: Vec<_> = (0..3).map(|_| crowd.enter(at("198.51.100.7"))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(crowd.held().is_empty());
    }

    #[test]
    fn where_nobody_is_exempt_a_proxy_has_its_share() {
        let crowd = Crowd::new(1);
        let _held = crowd.enter(at("198.51.100.7"));
        assert!(crowd.enter(at("198.51.100.7")).is_none());
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_network() {
        let net = |address| network(at(address));
        assert_eq!(net("2001:db8:0:1::7"), net("2001:db8:0:1:ffff::1"));
        assert_ne!(net("2001:db8:0:1::7"), net("2001:db8:0:2::7"));
    }
}
