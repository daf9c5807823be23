//! Whether a server answers: the first words of each protocol, spoken by hand so that this crate needs no client.

pub(crate) mod cql;
pub(crate) mod kafka;
pub(crate) mod postgres;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// How long a server may take for an answer. One that is still starting is asked again.
const ANSWER: Duration = Duration::from_secs(5);
/// More than any answer to these questions is long; what claims to be longer is no such answer.
const MOST_BYTES: usize = 1 << 20;

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, ANSWER).with_context(|| format!("no connection to {address}"))?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// So many bytes.
fn read(stream: &mut impl Read, length: usize) -> anyhow::Result<Vec<u8>> {
    ensure!(length <= MOST_BYTES, "an answer of {length} bytes");
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).context("no whole answer")?;
    Ok(bytes)
}

/// A length of four bytes, which most protocols begin a message with.
fn read_length(stream: &mut impl Read) -> anyhow::Result<usize> {
    let bytes = read(stream, 4)?;
    let length = i32::from_be_bytes(bytes.try_into().expect("four bytes were read"));
    usize::try_from(length).context("a negative length")
}

/// A number of four bytes at this place.
fn number_at(bytes: &[u8], place: usize) -> anyhow::Result<i32> {
    let bytes = bytes.get(place..place + 4).context("too short an answer")?;
    Ok(i32::from_be_bytes(bytes.try_into().expect("the range is four long")))
}
