//! The proxy in front of a server that says everything back.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// Says back what it hears, on every connection, until the test ends.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut back = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether what is said comes back.
fn answers(stream: &mut TcpStream) -> bool {
    let mut heard = [0; 5];
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut heard).is_ok() && &heard == b"hello"
}

/// Whether the other side has ended it.
fn is_ended(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn everything_passes_and_is_counted() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream));
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(is_ended(&mut stream), "an end is passed on");
    let counters = proxy.counters();
    assert_eq!((counters.connections, counters.bytes, counters.cuts), (1, 10, 0));
}

#[test]
fn much_passes_whole() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut writing = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(&copy).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    writer.join().unwrap();
    assert!(heard == sent, "{} bytes", heard.len());
}

#[test]
fn a_cut_ends_connections_and_new_ones_pass() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream));
    proxy.cut();
    assert!(is_ended(&mut stream));
    assert!(answers(&mut connect(&proxy)));
    assert_eq!(proxy.counters().cuts, 1);
}

#[test]
fn refusal_is_for_new_connections_only() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut before = connect(&proxy);
    assert!(answers(&mut before));
    proxy.refuse();
    assert!(is_ended(&mut connect(&proxy)));
    assert!(answers(&mut before));
    proxy.heal();
    assert!(answers(&mut connect(&proxy)));
    assert!(answers(&mut before), "nothing was lost on it");
}

#[test]
fn without_a_server_connections_are_refused() {
    let proxy = Proxy::new().unwrap();
    assert!(is_ended(&mut connect(&proxy)));
    proxy.aim(echo());
    assert!(answers(&mut connect(&proxy)));
}

#[test]
fn what_swallows_is_silent_until_it_is_healed() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut before = connect(&proxy);
    assert!(answers(&mut before));
    proxy.swallow();
    let mut after = connect(&proxy);
    for stream in [&mut before, &mut after] {
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(b"hello").unwrap();
        let error = stream.read(&mut [0; 16]).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "neither an answer nor an end"
        );
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    proxy.heal();
    assert!(is_ended(&mut before), "it lost what was said");
    assert!(is_ended(&mut after), "it has no server");
    assert!(answers(&mut connect(&proxy)));
}

#[test]
fn a_delay_is_kept_in_both_directions_and_healed() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.delay(Delay {
        base_ms: 60,
        jitter_ms: 20,
        seed: 1,
    });
    let started = Instant::now();
    assert!(answers(&mut stream));
    assert!(
        started.elapsed() >= Duration::from_millis(120),
        "{:?}",
        started.elapsed()
    );
    proxy.heal();
    let started = Instant::now();
    assert!(answers(&mut stream));
    assert!(
        started.elapsed() < Duration::from_millis(120),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_delayed_connection_is_cut_at_once() {
    let proxy = Proxy::to(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream));
    proxy.delay(Delay {
        base_ms: 60_000,
        ..Delay::default()
    });
    stream.write_all(b"hello").unwrap();
    proxy.cut();
    let started = Instant::now();
    assert!(is_ended(&mut stream));
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_seed_determines_the_jitter() {
    let sequence = |mut state| -> Vec<u64> { (0..4).map(|_| next_random(&mut state) % 100).collect() };
    assert_eq!(sequence(7), sequence(7));
    assert_ne!(sequence(7), sequence(8));
}
