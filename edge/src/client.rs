//! Where a request comes from: the peer, or what a proxy we trust says; and the guard of what only this machine may see.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::{FORWARDED, HOST, HeaderMap, HeaderName, VIA};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use ipnet::IpNet;

use crate::crowd;
use crate::door::Door;
use crate::problem::{Code, Problem};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Headers that only a proxy adds.
const FORWARDING: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_REAL_IP,
];

/// The connection that a request came over. Whoever accepts connections puts it into the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// The address that is listened on: not that of the connection, which is loopback for whoever is on this machine.
    pub listener: SocketAddr,
}

/// Who is at the other end, as far as we can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address.
    pub address: IpAddr,
    /// The host and port that the client asked for.
    pub host: Option<String>,
    /// Whether the client spoke TLS, to the proxy before us.
    pub secure: bool,
}

impl Client {
    /// The network that limits count by: one IPv4 address, or the /64 that one subscriber of IPv6 has for themselves.
    pub fn network(&self) -> IpNet {
        crowd::network(self.address)
    }

    /// From a connection and the headers of a request.
    fn of(connection: Connection, headers: &HeaderMap, authority: Option<&Authority>, trusted: &[IpNet]) -> Self {
        let peer = connection.peer.ip().to_canonical();
        let direct = Self {
            address: peer,
            host: host(headers, authority).map(str::to_owned),
            secure: false,
        };
        if !is_trusted(peer, trusted) {
            return direct;
        }
        let (told, also_told) = (Told::forwarded(headers), Told::x_forwarded(headers));
        let [client, other] = [&told, &also_told].map(|told| told.client(peer, trusted));
        // A proxy that sets one of the two headers and lets the other pass would let clients choose who they are. So where
        // they disagree neither is believed, and the request counts as the proxy's own.
        let address = match (told.hops.is_empty(), also_told.hops.is_empty()) {
            (false, false) if client != other => peer,
            (false, _) => client,
            (true, _) => other,
        };
        Self {
            address,
            host: told.host.or(also_told.host).or(direct.host),
            secure: told
                .proto
                .or(also_told.proto)
                .is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
        }
    }
}

impl<S> FromRequestParts<S> for Client
where
    S: Send + Sync,
    Arc<Door>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let connection = parts.extensions.get::<Connection>().copied();
        let connection = connection.ok_or_else(|| Problem::internal(&NoConnection))?;
        let door = Arc::<Door>::from_ref(state);
        Ok(Self::of(
            connection,
            &parts.headers,
            parts.uri.authority(),
            &door.trusted_proxies,
        ))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a request came without its connection")]
struct NoConnection;

/// Whether an address is in one of these networks, so that it may stand for others.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// What proxies say.
#[derive(Debug, Default)]
struct Told {
    /// The addresses from the client's to that of the last proxy but one; `None` where it is not told.
    hops: Vec<Option<IpAddr>>,
    host: Option<String>,
    proto: Option<String>,
}

impl Told {
    /// `Forwarded: for=1.2.3.4;host=a.example;proto=https, for="[2001:db8::1]:4711"` (RFC 7239).
    fn forwarded(headers: &HeaderMap) -> Self {
        let mut told = Self::default();
        for element in list(headers, &FORWARDED) {
            let mut hop = None;
            for (name, value) in element.split(';').filter_map(|pair| pair.split_once('=')) {
                let (name, value) = (name.trim(), value.trim().trim_matches('"'));
                if name.eq_ignore_ascii_case("for") {
                    hop = address(value);
                } else if name.eq_ignore_ascii_case("host") {
                    told.host = Some(value.to_owned());
                } else if name.eq_ignore_ascii_case("proto") {
                    told.proto = Some(value.to_owned());
                }
            }
            told.hops.push(hop);
        }
        told
    }

    fn x_forwarded(headers: &HeaderMap) -> Self {
        let last = |name| list(headers, name).last().map(str::to_owned);
        Self {
            hops: list(headers, &X_FORWARDED_FOR).map(address).collect(),
            host: last(&X_FORWARDED_HOST),
            proto: last(&X_FORWARDED_PROTO),
        }
    }

    /// The client: from our end on, the first that is no proxy of ours. What is further away is that one's own word.
    fn client(&self, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
        let mut client = peer;
        for hop in self.hops.iter().rev() {
            let Some(address) = hop else { break };
            client = *address;
            if !is_trusted(client, trusted) {
                break;
            }
        }
        client
    }
}

/// The elements of a header that may be repeated or joined by commas.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .ok()
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Host and port as the client wrote them.
fn host<'a>(headers: &'a HeaderMap, authority: Option<&'a Authority>) -> Option<&'a str> {
    let header = headers.get(HOST).and_then(|value| value.to_str().ok());
    authority.map(Authority::as_str).or(header)
}

/// What exists for whoever sits at this machine alone: the listener and the peer are loopback, nothing was forwarded, and
/// the browser (if it is one) asked for a loopback name, not for a name of a stranger that leads here. All else is told
/// that there is nothing.
#[derive(Clone, Copy, Debug)]
pub struct LoopbackOnly;

impl<S: Send + Sync> FromRequestParts<S> for LoopbackOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let connection = parts.extensions.get::<Connection>();
        let is_here = connection.is_some_and(|connection| {
            [connection.peer, connection.listener]
                .iter()
                .all(|end| end.ip().to_canonical().is_loopback())
        });
        let is_forwarded = FORWARDING.iter().any(|name| parts.headers.contains_key(name));
        let host = host(&parts.headers, parts.uri.authority());
        if is_here && !is_forwarded && host.is_some_and(is_loopback_name) {
            Ok(Self)
        } else {
            Err(Problem::new(Code::NotFound).detail("no such address"))
        }
    }
}

/// `localhost`, an address of 127.0.0.0/8 or `[::1]`, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}
