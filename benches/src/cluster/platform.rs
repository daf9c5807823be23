//! The whole platform on the real servers: an installation of its own, and processes as operators start them.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use cocotalk_infra::postgres::Settings;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use tempfile::TempDir;
use tokio::process::Command;

use super::ClusterArguments;
use super::stores::Servers;
use crate::child::{Running, SERVER_CONFIG};
use crate::http::{Answer, Call, HttpClient};
use crate::world::Room;

/// How long the read model may be behind after a load.
const CATCH_UP: Duration = Duration::from_mins(5);

/// An installation: schemas, topics and a keyspace that nobody else uses.
pub(crate) struct Platform {
    folder: TempDir,
    programs: PathBuf,
    /// Its database.
    pub(crate) database: Settings,
    /// Its topics and its keyspace are called after it.
    pub(crate) name: String,
    /// The brokers of the bus.
    pub(crate) kafka: String,
    /// The nodes of the CQL store.
    pub(crate) cql: Vec<String>,
}

impl Platform {
    /// A new one, with every schema in place.
    pub(crate) async fn install(arguments: &ClusterArguments, servers: &Servers) -> Result<Self> {
        let [kafka, cql] = [(&arguments.kafka, "--kafka"), (&arguments.cql, "--cql")]
            .map(|(given, flag)| given.clone().with_context(|| format!("this figure needs {flag}")));
        let program = std::env::current_exe().context("cannot find this program")?;
        let programs = program.parent().context("this program is in no folder")?;
        let platform = Self {
            folder: tempfile::Builder::new()
                .prefix("cocotalk-bench-")
                .tempdir_in(programs)?,
            programs: programs.to_owned(),
            database: Settings {
                url: servers.empty_database().await?.as_str().into(),
                ..Settings::default()
            },
            name: format!("bench_{:08x}", rand::random::<u32>()),
            kafka: kafka?,
            cql: cql?.split(',').map(str::to_owned).collect(),
        };
        fs::write(platform.config(), platform.configuration()).context("cannot write the configuration")?;
        let migrated = platform.command("cocotalk", &["migrate"]).output().await?;
        ensure!(
            migrated.status.success(),
            "the schemas cannot be made: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        Ok(platform)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("cocotalk.toml")
    }

    fn configuration(&self) -> String {
        let (name, folder) = (&self.name, self.folder.path().display().to_string());
        format!(
            "{SERVER_CONFIG}\
             [backend]\n\
             kind = \"cluster\"\n\
             [backend.cluster]\n\
             master_key_file = \"{folder}/master.key\"\n\
             [backend.cluster.postgres]\n\
             url = {:?}\n\
             [backend.cluster.kafka]\n\
             brokers = {:?}\n\
             events_topic = \"{name}.events\"\n\
             ephemeral_topic = \"{name}.ephemeral\"\n\
             group = \"{name}.projectors\"\n\
             [backend.cluster.cql]\n\
             nodes = {:?}\n\
             keyspace = \"{name}\"\n",
            self.database.url.expose(),
            self.kafka,
            self.cql,
        )
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).arg("--config").arg(self.config());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Starts a process of a role and waits until it is ready.
    pub(crate) async fn start(&self, role: &str) -> Result<Running> {
        let command = self.command(role, &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        Running::start(command, self.folder.path().join(format!("{role}.log"))).await
    }
}

/// The newest message of a room, as its first member sees it where everything up to `position` is shown.
pub(crate) fn newest(room: &Room, position: Option<HeaderValue>) -> Result<Call> {
    let uri = format!("/v1/rooms/{}/messages?limit=1", room.id).parse()?;
    let mut call = Call::get(uri, room.target(0).authorization);
    call.min_position = position;
    Ok(call)
}

/// Asks until the read model is as far as asked.
pub(crate) async fn until_shown(client: &mut HttpClient, call: &Call) -> Result<Answer> {
    let deadline = Instant::now() + CATCH_UP;
    loop {
        let answer = client.call(call).await?;
        match answer.status {
            StatusCode::OK => return Ok(answer),
            StatusCode::SERVICE_UNAVAILABLE if Instant::now() < deadline => {}
            status => bail!(
                "a query was answered {status}: {}",
                String::from_utf8_lossy(&answer.body)
            ),
        }
    }
}
