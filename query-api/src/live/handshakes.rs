//! The sockets that have not said hello yet: so many, and so many of one client network among them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cocotalk_edge::crowd::{Crowd, Guest};

use super::LiveSettings;
use super::close::Close;
use super::metrics::{HANDSHAKES, REFUSED};

/// How many there are.
pub struct Handshakes {
    waiting: AtomicUsize,
    most: usize,
    /// By the client that was found out, so no proxy is exempt.
    networks: Arc<Crowd>,
}

impl Handshakes {
    /// None yet, within these bounds.
    pub fn new(settings: &LiveSettings) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            most: settings.max_handshakes,
            networks: Crowd::new(settings.max_handshakes_per_network),
        }
    }

    /// One more of this client until what is returned is dropped.
    pub(super) fn enter(&self, client: IpAddr) -> Result<Handshake<'_>, Close> {
        let Some(of_network) = self.networks.enter(client) else {
            metrics::counter!(REFUSED).increment(1);
            return Err(Close::Busy);
        };
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let handshake = Handshake {
            waiting: &self.waiting,
            _of_network: of_network,
        };
        metrics::gauge!(HANDSHAKES).set((before + 1) as f64);
        if before < self.most {
            Ok(handshake)
        } else {
            Err(Close::Busy)
        }
    }
}

/// A socket that has not said hello yet; counted while it lives.
#[derive(Debug)]
pub(super) struct Handshake<'a> {
    waiting: &'a AtomicUsize,
    _of_network: Guest,
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let before = self.waiting.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(HANDSHAKES).set(before.saturating_sub(1) as f64);
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts as _;
    use axum::http::Request;
    use cocotalk_edge::client::{Client, Connection};

    use super::*;
    use crate::testing::door;

    const PROXY: &str = "10.0.0.1:5000";

    fn handshakes(most: usize, of_network: usize) -> Handshakes {
        Handshakes::new(&LiveSettings {
            max_handshakes: most,
            max_handshakes_per_network: of_network,
            ..LiveSettings::default()
        })
    }

    fn at(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Who is behind a proxy that is trusted.
    async fn behind_a_proxy(headers: &[(&str, &str)]) -> IpAddr {
        let mut request = Request::get("/v1/live");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Connection {
            peer: PROXY.parse().unwrap(),
            listener: "0.0.0.0:8080".parse().unwrap(),
        });
        let door = door(&Arc::default(), 0, &["10.0.0.0/8"]);
        Client::from_request_parts(&mut parts, &door).await.unwrap().address
    }

    #[test]
    fn a_network_has_its_share_and_others_go_on() {
        let handshakes = handshakes(10, 2);
        let mut held: Vec<_> = (0..2).map(|_| handshakes.enter(at(1)).unwrap()).collect();
        assert_eq!(handshakes.enter(at(1)).unwrap_err(), Close::Busy);
        held.push(handshakes.enter(at(2)).unwrap());
        held.remove(0);
        assert!(
            handshakes.enter(at(1)).is_ok(),
            "what was given back may be taken again"
        );
    }

    #[test]
    fn all_networks_together_have_no_more_than_there_is() {
        let handshakes = handshakes(3, 2);
        let mut held: Vec<_> = (1..=3).map(|last| handshakes.enter(at(last)).unwrap()).collect();
        assert_eq!(handshakes.enter(at(4)).unwrap_err(), Close::Busy);
        held.pop();
        assert!(handshakes.enter(at(4)).is_ok(), "whoever was refused is not counted");
    }

    #[tokio::test]
    async fn clients_behind_a_trusted_proxy_have_a_share_each() {
        let handshakes = handshakes(10, 1);
        let [one, other] = ["198.51.100.7", "198.51.100.8"].map(|client| [("x-forwarded-for", client)]);
        let _held = handshakes.enter(behind_a_proxy(&one).await).unwrap();
        assert_eq!(handshakes.enter(behind_a_proxy(&one).await).unwrap_err(), Close::Busy);
        assert!(handshakes.enter(behind_a_proxy(&other).await).is_ok());
    }

    #[tokio::test]
    async fn whoever_makes_the_headers_contradict_each_other_is_counted_all_the_same() {
        let handshakes = handshakes(10, 1);
        let mut held = Vec::new();
        for headers in [
            [("forwarded", "for=9.9.9.9"), ("x-forwarded-for", "198.51.100.7")],
            [("forwarded", "for=unknown"), ("x-forwarded-for", "198.51.100.7")],
            [("forwarded", "for=9.9.9.9"), ("x-forwarded-for", "198.51.100.8")],
        ] {
            held.push(handshakes.enter(behind_a_proxy(&headers).await));
        }
        let is_in: Vec<_> = held.iter().map(Result::is_ok).collect();
        assert_eq!(is_in, [true, false, false]);
    }
}
