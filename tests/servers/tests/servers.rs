//! The real servers, each through what tests do to it: started, stopped, killed, paused, started again, behind a proxy.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the failure report"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cocotalk_servers::{Place, Proxy, Server, cassandra, kafka, postgres};

/// Long enough for any answer of a server that gives one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a server that gives none is listened to.
const SILENCE: Duration = Duration::from_millis(500);

/// A question that a server of each kind answers on a new connection, however little has happened on it.
#[derive(Clone, Copy)]
struct Question(&'static [u8]);

/// Asks for encryption.
const POSTGRES: Question = Question(&[0, 0, 0, 8, 4, 210, 22, 47]);
/// Asks which versions it speaks.
const KAFKA: Question = Question(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]);
/// Asks what it supports.
const CQL: Question = Question(&[4, 0, 0, 0, 5, 0, 0, 0, 0]);

impl Question {
    fn is_answered(self, address: SocketAddr, patience: Duration) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else {
            return false;
        };
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(self.0).is_ok() && stream.read(&mut [0; 64]).is_ok_and(|read| read > 0)
    }
}

/// What every server must be able to go through.
fn goes_through_everything(mut server: Server, question: Question) {
    let address = server.address();
    let proxy = Proxy::to(address).unwrap();
    let is_there = |patience| question.is_answered(address, patience);
    assert!(is_there(PATIENCE));

    server.pause();
    assert!(!is_there(SILENCE), "it is paused");
    server.resume();
    assert!(is_there(PATIENCE), "it goes on");

    server.kill().unwrap();
    assert!(!server.is_running());
    assert!(!is_there(SILENCE), "it is dead");
    server.restart().unwrap();
    assert_eq!(server.address(), address);
    assert!(
        question.is_answered(proxy.address(), PATIENCE),
        "the proxy finds it where it was"
    );

    proxy.swallow();
    assert!(!question.is_answered(proxy.address(), SILENCE), "the network is silent");
    assert!(is_there(PATIENCE), "the server is not");
    proxy.heal();
    assert!(question.is_answered(proxy.address(), PATIENCE));

    server.pause();
    server.stop().unwrap();
    assert!(!is_there(SILENCE), "it was resumed to be stopped");
}

#[test]
fn postgres_goes_through_everything() {
    let server = postgres::start(&postgres::Options::default()).unwrap();
    assert_eq!(
        server.url(),
        format!("postgres://cocotalk@{}/postgres", server.address())
    );
    goes_through_everything(server, POSTGRES);
}

#[test]
fn kafka_goes_through_everything() {
    let server = kafka::start(&kafka::Options::default()).unwrap();
    goes_through_everything(server, KAFKA);
}

#[test]
fn cassandra_goes_through_everything() {
    let server = cassandra::start(&cassandra::Options::default()).unwrap();
    goes_through_everything(server, CQL);
}

#[test]
fn clients_of_kafka_that_come_through_a_proxy_are_told_of_the_proxy() {
    let proxy = Proxy::new().unwrap();
    let options = kafka::Options {
        proxy_port: Some(proxy.address().port()),
        ..kafka::Options::default()
    };
    let server = kafka::start(&options).unwrap();
    proxy.aim(server.proxied_address().unwrap());
    assert_eq!(advertised_port(proxy.address()), proxy.address().port());
    assert_eq!(advertised_port(server.address()), server.address().port());
}

/// The port of the one broker, as clients of this address are told.
fn advertised_port(address: SocketAddr) -> u16 {
    // Metadata, version 4: no name of a client, no topics, none to be made.
    let request = [0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0, 0];
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    // The number of the question, a delay, how many brokers there are, the number of the first; then its host and its port.
    let host = usize::from(u16::from_be_bytes([answer[16], answer[17]]));
    let port = &answer[18 + host..22 + host];
    u16::try_from(u32::from_be_bytes(port.try_into().unwrap())).unwrap()
}

#[test]
fn a_kept_server_outlives_its_run_and_is_found_again() {
    let folder = tempfile::Builder::new().prefix("cocotalk-kept-").tempdir().unwrap();
    let options = postgres::Options {
        place: Place::Kept(folder.path().join("postgres")),
        ..postgres::Options::default()
    };
    pass_to_everybody(folder.path());
    let first = postgres::start(&options).unwrap();
    let address = first.address();
    drop(first);
    assert!(POSTGRES.is_answered(address, PATIENCE), "it runs on");
    let mut second = postgres::start(&options).unwrap();
    assert_eq!(second.address(), address);
    second.kill().unwrap();
    assert!(!POSTGRES.is_answered(address, SILENCE));
    let mut third = postgres::start(&options).unwrap();
    assert_eq!(third.address(), address, "it is started where it was");
    third.stop().unwrap();
}

/// The database may run as another user.
fn pass_to_everybody(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}
