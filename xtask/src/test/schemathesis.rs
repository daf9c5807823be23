//! The described API, asked by a tool that knows nothing but the description: thousands of requests that it makes from the
//! schemas, good ones and bad ones, alone and in sequence. No answer may be a 5xx, or one that is not described.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::up::part::Part;
use crate::{process, tools, workspace};

/// What it runs, as one would type it.
pub(crate) const ABOUT: &str = "schemathesis run <the one process>/v1/openapi.json, as tests/schemathesis says";

const FOLDER: &str = "tests/schemathesis";
/// What it reads: its configuration, and a check of our own.
const CONFIG: &str = "schemathesis.toml";
const CHECKS: &str = "checks.py";
/// What is there to be asked about.
const PEOPLE: usize = 5;
/// Whoever asks leaves some of them on the way.
const GROUPS: usize = 12;
const MESSAGES: usize = 39;
/// Longest that the tool may take, seconds. It takes about one minute.
const TOOL_SECONDS: &str = "300";
/// Longest that one of our own requests may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the one process on an empty folder, puts a few things into it, and lets the tool loose on it.
pub(crate) fn check(features: &[&str]) -> anyhow::Result<()> {
    let program = tools::SCHEMATHESIS.ensure()?;
    // Built as the tests are, so that it is there already.
    let mut build = workspace::cargo();
    build.args(["build", "--locked", "--bin", "cocotalk"]).args(features);
    process::run(&mut build)?;
    let folder = tempfile::Builder::new().prefix("cocotalk-schemathesis-").tempdir()?;
    let settings = folder.path().join("cocotalk.toml");
    fs::write(&settings, server_settings(folder.path()))?;
    // Its end is seen by whoever asks it something.
    let (events, _ended) = channel();
    let binary = workspace::target_dir()?.join("debug/cocotalk");
    let server = Part::start("cocotalk", &binary, &settings, &events)?;
    let outcome = ask(&server, &program, folder.path());
    server.stop().and(outcome)
}

fn server_settings(folder: &Path) -> String {
    let data = folder.join("data").display().to_string();
    format!(
        "[limits.rate]\ncommands_per_minute = 0\nqueries_per_minute = 0\nframes_per_minute = 0\n\
         [backend.embedded]\nfolder = {data:?}\n"
    )
}

fn ask(server: &Part, program: &Path, folder: &Path) -> anyhow::Result<()> {
    let address = public_address(&server.ready()?)?;
    let world = World::make(address)?;
    for (name, ids) in [
        ("rooms", &world.rooms),
        ("people", &world.people),
        ("messages", &world.messages),
        ("positions", &world.positions),
    ] {
        fs::write(folder.join(format!("{name}.txt")), dictionary(ids))?;
    }
    for name in [CONFIG, CHECKS] {
        let file = workspace::root().join(FOLDER).join(name);
        fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {FOLDER}/{name}"))?;
    }
    let mut command = Command::new("timeout");
    command.arg(TOOL_SECONDS).arg(program);
    // It leaves its notes where it runs.
    command.current_dir(folder).arg("--config-file").arg(CONFIG);
    command.args(["run", &format!("http://{address}/v1/openapi.json"), "--no-color"]);
    process::run(command.env("COCOTALK_TOKEN", &world.token))
}

/// Where clients connect, from the line that says that the server is ready.
fn public_address(ready: &str) -> anyhow::Result<SocketAddr> {
    let address = ready
        .split_once("http://")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let address = address.with_context(|| format!("no address in {ready:?}"))?;
    address.parse().with_context(|| format!("{address} is no address"))
}

/// Ids as the tool reads them: one a line, quoted.
fn dictionary(ids: &[String]) -> String {
    ids.iter().flat_map(|id| ["\"", id, "\"\n"]).collect()
}

/// A few things that are there.
struct World {
    /// Of the person who asks.
    token: String,
    people: Vec<String>,
    rooms: Vec<String>,
    messages: Vec<String>,
    /// Where the messages landed in the log.
    positions: Vec<String>,
}

impl World {
    fn make(address: SocketAddr) -> anyhow::Result<Self> {
        let (mut people, mut tokens) = (Vec::new(), Vec::new());
        for number in 0..PEOPLE {
            let account = json!({"handle": format!("person{number}"), "display_name": format!("사람 {number}")});
            let made = post(address, "/v1/dev/accounts", None, &account)?;
            people.push(text(&made.body, "user_id")?);
            tokens.push(text(&made.body, "access_token")?);
        }
        let token = tokens.swap_remove(0);
        let open = |room: Value| text(&post(address, "/v1/rooms", Some(&token), &room)?.body, "room_id");
        let group = |_| open(json!({"kind": "group", "user_ids": people[1..], "name": "주말 등산"}));
        let mut rooms: Vec<String> = (0..GROUPS).map(group).collect::<anyhow::Result<_>>()?;
        rooms.push(open(json!({"kind": "direct", "user_id": people[1]}))?);
        let say = |number| {
            let path = format!("/v1/rooms/{}/messages", rooms[number % rooms.len()]);
            let said = json!({"kind": "text", "text": format!("{number}시에 만나요")});
            let said = post(address, &path, Some(&token), &said)?;
            Ok((text(&said.body, "message_id")?, said.position))
        };
        let said = (1..=MESSAGES).map(say).collect::<anyhow::Result<Vec<_>>>()?;
        let (messages, positions) = said.into_iter().unzip();
        Ok(Self {
            token,
            people,
            rooms,
            messages,
            positions,
        })
    }
}

fn text(answer: &Value, field: &str) -> anyhow::Result<String> {
    let text = answer[field].as_str();
    text.map(str::to_owned)
        .with_context(|| format!("no {field} in {answer}"))
}

/// What a command is answered.
struct Answer {
    body: Value,
    position: String,
}

/// One command, and the answer to it; any refusal is an error.
fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Answer> {
    let (body, token) = (
        body.to_string(),
        token.map(|token| format!("authorization: Bearer {token}\r\n")),
    );
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n{}\
         content-length: {}\r\n\r\n{body}",
        token.unwrap_or_default(),
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("{path} was not answered"))?;
    ensure!(head.starts_with("HTTP/1.1 2"), "{path} was refused: {answer}");
    let position = head.lines().find_map(|line| line.strip_prefix("x-position: "));
    Ok(Answer {
        body: serde_json::from_str(body).with_context(|| format!("{path} answered {body:?}"))?,
        position: position
            .with_context(|| format!("{path} did not say where it landed"))?
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_clients() {
        let line = "cocotalk is ready: http://127.0.0.1:8080 (admin http://127.0.0.1:9090)";
        assert_eq!(public_address(line).unwrap().port(), 8080);
        assert!(public_address("cocotalk is ready").is_err());
    }

    #[test]
    fn ids_are_quoted_one_a_line() {
        let ids = ["a", "b"].map(str::to_owned);
        assert_eq!(dictionary(&ids), "\"a\"\n\"b\"\n");
    }
}
