//! PostgreSQL's frontend and backend protocol, version 3.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use anyhow::{bail, ensure};

use super::{connect, read, read_length};

/// Logs in and asks for a row.
pub(crate) fn greet(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    let mut hello = 196_608_i32.to_be_bytes().to_vec();
    hello.extend(b"user\0cocotalk\0database\0postgres\0\0");
    stream.write_all(&with_length(&hello))?;
    until_ready(&mut stream)?;
    stream.write_all(b"Q")?;
    stream.write_all(&with_length(b"select 1\0"))?;
    ensure!(until_ready(&mut stream)?, "a query brought no row");
    stream.write_all(b"X")?;
    stream.write_all(&with_length(b""))?;
    Ok(())
}

/// Reads until the server waits for us, and whether a row was among what it said.
fn until_ready(stream: &mut TcpStream) -> anyhow::Result<bool> {
    let mut had_row = false;
    loop {
        let kind = read(stream, 1)?[0];
        let length = read_length(stream)?;
        let body = read(stream, length.saturating_sub(4))?;
        match kind {
            b'Z' => return Ok(had_row),
            b'D' => had_row = true,
            b'E' => bail!("{}", String::from_utf8_lossy(&body).replace('\0', " ")),
            b'R' => ensure!(body == [0; 4], "it wants a password"),
            _ => {}
        }
    }
}

/// The length counts itself.
fn with_length(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).expect("these messages are short");
    [&length.to_be_bytes(), body].concat()
}
