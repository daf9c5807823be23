//! Kafka's protocol: which versions it speaks, and which brokers there are.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use anyhow::ensure;

use super::{connect, number_at, read, read_length};

/// Asks for the brokers.
const METADATA: (i16, i16) = (3, 4);
/// Asks for the versions of requests.
const API_VERSIONS: (i16, i16) = (18, 0);
/// Stands at the head of our requests and of the answers to them.
const CORRELATION: i32 = 7;

/// Asks what it speaks, and for a broker that has registered.
pub(crate) fn greet(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    let versions = ask(&mut stream, API_VERSIONS, &[])?;
    ensure!(versions.starts_with(&[0, 0]), "it does not say what it speaks");
    // No topics, and none to be made.
    let metadata = ask(&mut stream, METADATA, &[0, 0, 0, 0, 0])?;
    // How long we were held back comes first, then how many brokers there are.
    ensure!(number_at(&metadata, 4)? > 0, "no broker has registered");
    Ok(())
}

fn ask(stream: &mut TcpStream, (key, version): (i16, i16), body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut request = [key.to_be_bytes(), version.to_be_bytes()].concat();
    request.extend(CORRELATION.to_be_bytes());
    // No name of a client.
    request.extend((-1_i16).to_be_bytes());
    request.extend(body);
    let length = i32::try_from(request.len()).expect("these requests are short");
    stream.write_all(&[&length.to_be_bytes(), request.as_slice()].concat())?;
    let length = read_length(stream)?;
    let answer = read(stream, length)?;
    ensure!(number_at(&answer, 0)? == CORRELATION, "an answer to another question");
    Ok(answer[4..].to_vec())
}
