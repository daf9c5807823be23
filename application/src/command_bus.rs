//! The command bus: runs use cases against the log, many at a time, each as if it were alone.
//!
//! One lane per slice. A lane takes what waits and decides the commands of one aggregate in arrival order, each on the
//! state its predecessor left; then one append makes all of it durable and everybody is answered. There is no timer: while
//! one batch is being written the next one gathers. What loses a race is decided again under lock, so that nobody ever sees
//! a conflict; a refusal is given only for a new key and on current state. `docs/adr/` says why.

mod batch;
mod cache;
mod facts;
mod lane;
mod load;
mod second_try;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_domain::stream::{Slice, StreamId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::directory::Directory;
use crate::error::StoreError;
use crate::metrics::{COMMAND_SECONDS, QUEUE_DEPTH};
use crate::port::event_log::{CommandKey, EventLog, LogReader, Metadata};
use crate::position::Position;
use crate::use_case::{Answer, Decision, Refusal, States, UseCase};
use batch::Batch;
use facts::facts;
use lane::Lane;
use load::load;

/// A use case with who asks and how a retry is recognised.
pub struct Command {
    /// Whose command and which.
    pub key: CommandKey,
    /// The fingerprint of the request.
    pub request_mac: [u8; 32],
    /// Where its events come from.
    pub metadata: Arc<Metadata>,
    /// What is to be done.
    pub use_case: Box<dyn UseCase>,
}

/// A command that was carried out, or had nothing to change.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What the caller is told.
    pub answer: Answer,
    /// Where it landed: a query that waits for this position sees it.
    pub position: Position,
    /// Whether it had been carried out before, by an earlier request with the same key.
    pub replayed: bool,
}

/// A command that was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// A rule said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too many commands wait already.
    #[error("too many commands wait already")]
    Busy,
    /// The log cannot be written or read now. Whether the command was carried out is not known: ask again with its key.
    #[error("the event log is not available")]
    Unavailable(#[source] Arc<StoreError>),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

impl CommandError {
    const fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::KeyReused => "key_reused",
            Self::Busy => "busy",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Runs commands.
///
/// - What is `Accepted` is durable, and is there once however often it was asked for with the same key.
/// - Commands of one aggregate are decided in some order, each on what the one before it left.
/// - A refusal was decided on the newest state, and its key is free again.
/// - A dropped call may or may not be carried out.
#[async_trait]
pub trait CommandBus: Send + Sync + 'static {
    /// Runs one command.
    async fn execute(&self, command: Command) -> Result<Accepted, CommandError>;
}

/// Bounds of the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSettings {
    /// Commands that may wait in one lane before more are told to come back (1,024: half a second at full speed).
    pub lane_queue: usize,
    /// Commands decided in one batch at most (256).
    pub batch_commands: usize,
    /// Events in one batch at most (512: larger ones win nothing and make everybody wait longer).
    pub batch_events: usize,
    /// Weight of the aggregates that one lane keeps: a room weighs its members, everything else one (20,000).
    pub cache_weight: usize,
    /// Weight of the messages whose facts one lane keeps: a message weighs one, and one for each reaction (512).
    pub facts_weight: usize,
    /// Events of a stream after which its state is snapshot again (500).
    pub snapshot_every: u64,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            lane_queue: 1_024,
            batch_commands: 256,
            batch_events: 512,
            cache_weight: 20_000,
            facts_weight: 512,
            snapshot_every: 500,
        }
    }
}

type Reply = oneshot::Sender<Result<Accepted, CommandError>>;

/// A command that waits for its answer.
struct Waiting {
    command: Command,
    reply: Reply,
    /// Whoever sent the same command again while it waited: carried out once, answered to all.
    again: Vec<Reply>,
}

impl Waiting {
    /// Whether the other one is the same command, sent again.
    fn is_repeated_by(&self, other: &Self) -> bool {
        self.command.key == other.command.key && self.command.request_mac == other.command.request_mac
    }

    /// Answers; whoever asked may have gone, and then nobody is told.
    fn answer(self, result: Result<Accepted, CommandError>) {
        for reply in self.again {
            drop(reply.send(result.clone().map(|accepted| Accepted {
                replayed: true,
                ..accepted
            })));
        }
        drop(self.reply.send(result));
    }
}

/// What every lane needs.
struct Context {
    log: Arc<dyn EventLog>,
    directory: Directory,
    settings: BusSettings,
    tasks: TaskTracker,
}

impl Context {
    /// Decides a command on the states of a batch; those that are missing are loaded through `reader` first.
    async fn decide(
        &self,
        batch: &mut Batch,
        waiting: &Waiting,
        writes: &[StreamId],
        reads: &[StreamId],
        reader: &dyn LogReader,
    ) -> Result<Result<Decision, Refusal>, StoreError> {
        let use_case = &waiting.command.use_case;
        for stream in writes.iter().chain(reads) {
            if !batch.states.contains_key(stream) {
                batch.states.insert(*stream, load(&*self.log, reader, stream).await?);
            }
        }
        let present = match use_case.people() {
            [] => HashSet::new(),
            people => self.directory.present(reader, people).await?,
        };
        let facts = match use_case.message() {
            None => None,
            Some(message) => facts(batch, reader, use_case.home(), message).await?,
        };
        Ok(use_case.decide(&States {
            loaded: &batch.states,
            present: &present,
            facts: facts.as_ref(),
        }))
    }
}

/// The bus over the lanes of this process.
pub struct LaneBus {
    lanes: Vec<mpsc::Sender<Waiting>>,
}

impl LaneBus {
    /// Starts the lanes as tasks of `tasks`. They end when what waits is done, after `stop` or when the bus is dropped.
    pub fn start(log: Arc<dyn EventLog>, settings: BusSettings, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let context = Arc::new(Context {
            log,
            directory: Directory::default(),
            settings,
            tasks: tasks.clone(),
        });
        let lanes = Slice::all().map(|slice| {
            let (sender, receiver) = mpsc::channel(context.settings.lane_queue);
            tasks.spawn(Lane::new(Arc::clone(&context), slice, receiver).run(stop.clone()));
            sender
        });
        Self { lanes: lanes.collect() }
    }

    fn enqueue(&self, command: Command) -> Result<oneshot::Receiver<Result<Accepted, CommandError>>, CommandError> {
        let (reply, answer) = oneshot::channel();
        let lane = &self.lanes[command.use_case.home().slice().index()];
        lane.try_send(Waiting {
            command,
            reply,
            again: Vec::new(),
        })
        .map_err(|_| CommandError::Busy)?;
        Ok(answer)
    }
}

/// A command that waits or is being decided; counted while somebody waits for it.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!(QUEUE_DEPTH).increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(QUEUE_DEPTH).decrement(1.0);
    }
}

#[async_trait]
impl CommandBus for LaneBus {
    async fn execute(&self, command: Command) -> Result<Accepted, CommandError> {
        let (started, _counted) = (Instant::now(), Counted::new());
        let use_case = command.use_case.name();
        let span = tracing::debug_span!(
            "command",
            use_case,
            command.id = %command.key.command_id,
            trace.id = command.metadata.trace_id().map(tracing::field::display),
            trace.parent = command.metadata.trace_parent().map(tracing::field::display),
            trace.place = command.metadata.command_place().map(tracing::field::display),
            outcome = tracing::field::Empty,
        );
        let result = async {
            // A lane that is gone answers nobody: the process is ending.
            self.enqueue(command)?.await.unwrap_or(Err(CommandError::Busy))
        }
        .instrument(span.clone())
        .await;
        let outcome = match &result {
            Ok(accepted) if accepted.replayed => "replayed",
            Ok(_) => "accepted",
            Err(error) => error.outcome(),
        };
        span.record("outcome", outcome);
        metrics::histogram!(COMMAND_SECONDS, "use_case" => use_case, "outcome" => outcome)
            .record(started.elapsed().as_secs_f64());
        result
    }
}
