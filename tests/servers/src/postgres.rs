//! PostgreSQL.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::folder::{Folder, Place};
use crate::handshake;
use crate::need::{self, Need};
use crate::port::loopback;
use crate::server::{Launch, Server};

/// What root runs it as: it refuses to be root.
const USER: &str = "postgres";

/// Clients are sent away and everything is written down.
pub(crate) const STOP: Signal = Signal::INT;

/// The default of 128 MB is for a server that should start anywhere; its manual advises a quarter of the memory.
const SHARED_BUFFERS: &str = "shared_buffers=256MB";

/// How it is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its data is.
    pub place: Place,
    /// How many clients it takes (300: all the processes of a test that starts two of each role, several times over).
    pub max_connections: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            place: Place::Fresh,
            max_connections: 300,
        }
    }
}

/// Gets what it needs.
pub fn install() -> anyhow::Result<()> {
    need::ensure(&[Need::Postgres])
}

/// Starts it with a superuser `cocotalk`, who needs no password.
pub fn start(options: &Options) -> anyhow::Result<Server> {
    install()?;
    let folder = Folder::open(&options.place, "postgres")?;
    let [port] = folder.ports()?;
    let bin = need::postgres_bin().context("PostgreSQL was there a moment ago")?;
    let user = user()?;
    let data = folder.path().join("data");
    // Written last by `initdb`: a folder without it was never finished.
    if !data.join("global/pg_control").exists() {
        init(&bin.join("initdb"), &data, user, &folder)?;
    }
    let mut arguments = vec!["-D".into(), data.into_os_string()];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={}", options.max_connections),
        SHARED_BUFFERS.to_owned(),
    ] {
        arguments.extend(["-c".into(), setting.into()]);
    }
    let address = loopback(port);
    let launch = Launch {
        name: "PostgreSQL",
        program: bin.join("postgres"),
        arguments,
        user,
        address,
        greet: handshake::postgres::greet,
        stop: STOP,
        start_deadline: Duration::from_mins(1),
        stop_deadline: Duration::from_secs(30),
    };
    let url = format!("postgres://cocotalk@{address}/postgres");
    Server::start(launch, url, None, folder)
}

fn init(program: &Path, data: &Path, user: Option<(u32, u32)>, folder: &Folder) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(data);
    fs::create_dir(data)?;
    let log = File::create(folder.log_file())?;
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).arg("-D").arg(data);
    command.args([
        "-A",
        "trust",
        "-U",
        "cocotalk",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]);
    command.current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    if let Some((user, group)) = user {
        chown(data, Some(user), Some(group)).context("cannot give the data away")?;
        command.uid(user).gid(group);
    }
    let status = command.status().context("cannot start `timeout`")?;
    if !status.success() {
        let said = fs::read_to_string(folder.log_file()).unwrap_or_default();
        bail!("`initdb` ended with {status}; it said:\n{}", said.trim());
    }
    Ok(())
}

/// Who runs it, if not we.
fn user() -> anyhow::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let id = |flag| {
        let number = need::said("id", &[flag, USER])?;
        number.parse::<u32>().ok()
    };
    let user = id("-u").zip(id("-g"));
    user.map(Some)
        .with_context(|| format!("PostgreSQL does not run as root, and there is no user `{USER}`"))
}
