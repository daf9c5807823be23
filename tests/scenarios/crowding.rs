//! Clients that only take up room: thousands that say nothing, and those that say it as slowly as they can. They get what is
//! theirs and no more: the others are served meanwhile, they themselves are sent away, and memory stays what it was.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::iter;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::harness::NO_RATES;
use crate::harness::client::{PATIENCE, number};
use crate::harness::raw::Raw;
use crate::harness::socket::Socket;
use crate::stage::Stage;

/// Sockets that never say hello.
const IDLE: usize = 10_000;
/// How many are opened at the same time.
const AT_ONCE: usize = 200;
/// What all of them may take of memory, bytes: 16 KiB each, and what the process takes anyway.
const ROOM: u64 = 256 * 1024 * 1024;

/// Somebody else on this machine: not the address from which everybody else of these tests asks.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Longest that whoever does not crowd may wait.
const PROMPT: Duration = Duration::from_secs(2);

/// A connection from elsewhere.
async fn from_elsewhere(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((ELSEWHERE, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// A socket that was opened by hand and then left alone.
async fn idle(address: SocketAddr) -> TcpStream {
    let mut stream = from_elsewhere(address).await;
    let upgrade = format!(
        "GET /v1/live HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    read.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101", "{answer:?}");
    stream
}

/// Reads to the end, which must come, and returns what was said until then.
async fn end_of(mut stream: TcpStream, deadline: Instant) -> Vec<u8> {
    let mut rest = Vec::new();
    // Ended in order or cut off: either is the end.
    let end = timeout_at(deadline, stream.read_to_end(&mut rest)).await;
    drop(end.expect("it is sent away in time"));
    rest
}

/// The code of the close frame that follows the rest of the head.
fn close_code(rest: &[u8]) -> Option<u16> {
    let head = rest.windows(4).position(|end| end == b"\r\n\r\n")?;
    match rest.get(head + 4..)? {
        [0x88, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sockets_that_never_say_hello_are_sent_away() {
    let stage = Stage::with_config(&format!("{NO_RATES}[live]\nhello_timeout_ms = 3000\n"));
    let api = stage.api();
    let [mina, boram, _] = api.three().await;
    let room = mina.direct(&boram).await;
    let mut awake = Socket::open(&boram).await;
    let before = stage.memory_bytes();

    let all: Vec<_> = iter((0..IDLE).map(|_| idle(api.query_address())))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(all.len(), IDLE);
    let taken = stage.memory_bytes().saturating_sub(before);
    // Whoever is in is not disturbed, neither is who needs no socket, and others are let in.
    timeout(PROMPT, Socket::open(&mina))
        .await
        .expect("there is room for others")
        .ping()
        .await;
    mina.say(&room, "다들 어디 갔지?").await;
    awake.event("message.sent", &room).await;
    assert!(taken < ROOM, "{IDLE} silent sockets took {taken} bytes");

    let deadline = Instant::now() + PATIENCE;
    let ended = join_all(all.into_iter().map(|stream| end_of(stream, deadline))).await;
    let told = |code| ended.iter().filter(|rest| close_code(rest) == Some(code)).count();
    let (in_vain, too_many) = (told(4001), told(4011));
    assert!(
        in_vain >= 100 && too_many >= 100,
        "{in_vain} waited, {too_many} were too many"
    );
    assert_eq!(in_vain + too_many, IDLE, "each is told why");
    // There is room for everybody again.
    let mut late = Socket::open(&mina).await;
    late.ping().await;
    awake.ping().await;
    assert_eq!(stage.loud_lines(), [""; 0]);
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for() {
    let stage = Stage::with_config(&format!("{NO_RATES}[http]\nrequest_timeout_ms = 2000\n"));
    let mina = stage.api().person("mina").await;
    let room = mina.direct(&mina).await;
    let before = mina.room(&room).await;
    let path = format!("/v1/rooms/{room}/messages");
    let request = || {
        Raw::request(mina.api.command_address(), "POST", &path)
            .header("authorization", &format!("Bearer {}", mina.token))
            .header("content-type", "application/json")
    };
    for raw in [
        request().header("content-length", "1000"),
        request().header("transfer-encoding", "chunked"),
    ] {
        // The rest never comes.
        raw.begun("4\r\n{\"te").await.refused(408, "body_too_slow");
    }
    assert_eq!(mina.room(&room).await, before);
    assert_eq!(stage.loud_lines(), [""; 0]);
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_and_delays_nobody() {
    let stage = Stage::with_config(&format!("{NO_RATES}[http]\nhead_timeout_ms = 2000\n"));
    let api = stage.api();
    let mina = api.person("mina").await;
    let room = mina.direct(&mina).await;
    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(api.command_address()).await.unwrap();
        stream
            .write_all(b"POST /v1/rooms HTTP/1.1\r\nhost: a\r\nx-slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    mina.say(&room, "빨리").await;
    // One that goes on letter by letter is no better off than one that is silent.
    let deadline = Instant::now() + PATIENCE;
    let (mut reader, mut writer) = slow.pop().unwrap().into_split();
    let dripping = async {
        while writer.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let cut = async {
        let mut rest = Vec::new();
        drop(reader.read_to_end(&mut rest).await);
    };
    timeout(PATIENCE, async {
        tokio::select! { () = dripping => {}, () = cut => {} }
    })
    .await
    .expect("it is cut off");
    join_all(slow.into_iter().map(|stream| end_of(stream, deadline))).await;
    assert_eq!(stage.loud_lines(), [""; 0]);
}

/// A kept connection may wait for its next request, but not while it says it.
#[tokio::test]
async fn a_kept_connection_may_wait_but_not_drip() {
    let stage = Stage::with_config("[http]\nhead_timeout_ms = 1000\n");
    let address = stage.api().query_address();
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut asked = async |pause: Duration| {
        tokio::time::sleep(pause).await;
        kept.write_all(format!("GET /v1/limits HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = vec![0; 4_096];
        let read = timeout(PATIENCE, kept.read(&mut answer)).await;
        let length = read.expect("an answer in time").unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{:?}", &answer[..length]);
    };
    asked(Duration::ZERO).await;
    asked(Duration::from_millis(1_500)).await;
    kept.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: a").await.unwrap();
    let begun = Instant::now();
    end_of(kept, begun + PATIENCE).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_holds_its_share_of_connections_and_no_more() {
    let stage = Stage::with_config(&format!(
        "max_connections = 400\n[http]\nhead_timeout_ms = 5000\nmax_connections_per_network = 100\n{NO_RATES}"
    ));
    let api = stage.api();
    let mina = api.person("mina").await;
    let room = mina.direct(&mina).await;
    let before = stage.memory_bytes();
    let mut slow = Vec::new();
    for _ in 0..1_000 {
        for address in [api.command_address(), api.query_address()] {
            let mut stream = from_elsewhere(address).await;
            // It may have been sent away already.
            drop(
                stream
                    .write_all(b"POST /v1/rooms HTTP/1.1\r\nhost: a\r\nx-slow: ")
                    .await,
            );
            slow.push(stream);
        }
    }
    for number in 0..20 {
        let served = async {
            mina.say(&room, &format!("{number}번째 말")).await;
            mina.rooms().await;
            Socket::open(&mina).await.ping().await;
        };
        timeout(PROMPT, served).await.expect("others are served");
    }
    let taken = stage.memory_bytes().saturating_sub(before);
    assert!(taken < ROOM, "they took {taken} bytes");
    let deadline = Instant::now() + PATIENCE;
    let ended = join_all(slow.into_iter().map(|stream| end_of(stream, deadline))).await;
    let told: Vec<_> = ended.iter().filter(|rest| !rest.is_empty()).collect();
    assert!(
        (1_500..=1_900).contains(&told.len()),
        "{} of {} were told",
        told.len(),
        ended.len()
    );
    for rest in told {
        let answer = String::from_utf8_lossy(rest);
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"code\":\"busy\""),
            "{answer}"
        );
        assert!(answer.contains("retry-after: "), "{answer}");
    }
    assert_eq!(stage.loud_lines(), [""; 0]);
}

/// The largest bodies that are read at all, many at once: what they take is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_of_nonsense_take_no_more_than_there_is() {
    let stage = Stage::new();
    let mina = stage.api().person("mina").await;
    let room = mina.direct(&mina).await;
    let seq = number(&mina.room(&room).await["last_seq"]);
    let (before, path) = (stage.memory_bytes(), format!("/v1/rooms/{room}/messages"));
    let list = format!(
        r#"{{"kind": "text", "text": "a", "surprise": [1{}]}}"#,
        ",1".repeat(120_000)
    );
    let deep = format!(r#"{{"kind": "text", "text": "a", "surprise": {}"#, "[".repeat(250_000));
    let long = json!({"kind": "text", "text": "a".repeat(250_000)}).to_string();
    let calls = (0..600).map(|number| {
        let body = [&list, &deep, &long][number % 3].clone();
        let call = mina.call("POST", path.clone()).raw(body);
        call.header("content-type", "application/json").send()
    });
    let replies: Vec<_> = iter(calls).buffer_unordered(50).collect().await;
    for reply in &replies {
        assert!([400, 422].contains(&reply.status), "{reply}");
        assert!(reply.body.len() < 4_096, "{reply}");
    }
    let taken = stage.memory_bytes().saturating_sub(before);
    assert!(taken < ROOM, "they took {taken} bytes");
    assert_eq!(number(&mina.room(&room).await["last_seq"]), seq);
}
