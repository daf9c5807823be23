//! The native protocol of Cassandra and ScyllaDB, version 4.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use anyhow::{bail, ensure};

use super::{connect, number_at, read};

const ERROR: u8 = 0;
const STARTUP: u8 = 1;
const READY: u8 = 2;
const OPTIONS: u8 = 5;
const SUPPORTED: u8 = 6;
const QUERY: u8 = 7;
const RESULT: u8 = 8;

/// Asks what it supports, begins a session and reads a row of the node's own.
pub(crate) fn greet(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    ask(&mut stream, OPTIONS, &[], SUPPORTED)?;
    let options = [&1_i16.to_be_bytes()[..], &text("CQL_VERSION"), &text("3.0.0")].concat();
    ask(&mut stream, STARTUP, &options, READY)?;
    let statement = b"SELECT release_version FROM system.local";
    let length = i32::try_from(statement.len()).expect("the statement is short");
    // Consistency ONE, no flags.
    let query = [&length.to_be_bytes()[..], statement, &[0, 1, 0]].concat();
    ask(&mut stream, QUERY, &query, RESULT)
}

fn ask(stream: &mut TcpStream, question: u8, body: &[u8], expected: u8) -> anyhow::Result<()> {
    let length = i32::try_from(body.len()).expect("these requests are short");
    let head = [4, 0, 0, 0, question];
    stream.write_all(&[&head[..], &length.to_be_bytes(), body].concat())?;
    let head = read(stream, 9)?;
    let length = usize::try_from(number_at(&head, 5)?)?;
    let answer = read(stream, length)?;
    if head[4] == ERROR {
        bail!("{}", String::from_utf8_lossy(&answer));
    }
    ensure!(head[4] == expected, "answer {} to question {question}", head[4]);
    Ok(())
}

fn text(value: &str) -> Vec<u8> {
    let length = i16::try_from(value.len()).expect("these words are short");
    [&length.to_be_bytes(), value.as_bytes()].concat()
}
