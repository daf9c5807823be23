//! Queries that must not be older than a position wait here until the projections they read have come that far.
//!
//! While somebody waits, one of those who wait asks the read model, at most every 20 ms, and tells the others. No task of its
//! own does it: where nobody waits nothing runs, and a caller who goes away just stops asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::position::Position;
use cocotalk_domain::stream::SLICES;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// Longest wait for a position.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks at the checkpoints of a projection.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a query reads: the projections that must have come far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// Timelines, room heads, everybody's rooms and every room's members.
    Rooms,
    /// How far everybody has read.
    Reads,
    /// Who people are.
    People,
}

impl Projection {
    /// Every projection that queries read.
    pub(crate) const ALL: [Self; 3] = [Self::Rooms, Self::Reads, Self::People];

    /// Its name in the read model.
    const fn name(self) -> &'static str {
        match self {
            Self::Rooms => "rooms",
            Self::Reads => "reads",
            Self::People => "people",
        }
    }
}

/// Why a query does not get an answer as new as it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Behind {
    /// The projections have not come that far in time.
    #[error("the read model is behind")]
    ReadModel,
    /// They cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far the projections have come, as far as anybody here has looked.
pub struct Checkpoints {
    model: Arc<dyn ReadModel>,
    looks: [Look; Projection::ALL.len()],
}

/// What is known of one projection.
struct Look {
    name: &'static str,
    known: watch::Sender<[u64; SLICES]>,
    /// How many looks have begun.
    begun: AtomicU64,
    /// The last looks. Whoever asks holds it, and nobody holds it while they wait for anything else.
    asked: Mutex<Asked>,
}

/// The last looks at one projection.
#[derive(Default)]
struct Asked {
    /// When the last one began.
    at: Option<Instant>,
    /// The number of the last one that was answered.
    answered: u64,
}

impl Checkpoints {
    /// Of this read model.
    pub fn new(model: Arc<dyn ReadModel>) -> Self {
        let looks = Projection::ALL.map(|projection| Look {
            name: projection.name(),
            known: watch::Sender::new([0; SLICES]),
            begun: AtomicU64::new(0),
            asked: Mutex::default(),
        });
        Self { model, looks }
    }

    /// Waits until all of `projections` have passed `position`.
    pub async fn reach(&self, position: &Position, projections: &[Projection]) -> Result<(), Behind> {
        self.reach_within(PATIENCE, position, projections).await
    }

    /// The same with another patience.
    pub(crate) async fn reach_within(
        &self,
        patience: Duration,
        position: &Position,
        projections: &[Projection],
    ) -> Result<(), Behind> {
        if position.is_empty() {
            return Ok(());
        }
        let reached = projections
            .iter()
            .map(|projection| self.looks[*projection as usize].reach(&*self.model, position));
        match tokio::time::timeout(patience, futures_util::future::try_join_all(reached)).await {
            Ok(reached) => Ok(reached.map(drop)?),
            Err(_) => Err(Behind::ReadModel),
        }
    }

    /// How far a projection has come, asked now or later, never before. Those who ask at the same time ask together.
    pub(crate) async fn now(&self, projection: Projection) -> Result<[u64; SLICES], StoreError> {
        self.looks[projection as usize].now(&*self.model).await
    }
}

impl Look {
    async fn reach(&self, model: &dyn ReadModel, position: &Position) -> Result<(), StoreError> {
        let since = Instant::now();
        let mut known = self.known.subscribe();
        while !position.reached_by(&known.borrow_and_update()) {
            let due = self.ask_if_due(model, since).await?;
            tokio::select! {
                // It cannot be closed: its sender is ours.
                _ = known.changed() => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
        Ok(())
    }

    /// Asks, unless somebody has done so since the caller began to wait and the next look is not due yet. When that is.
    async fn ask_if_due(&self, model: &dyn ReadModel, since: Instant) -> Result<Instant, StoreError> {
        let mut asked = self.asked.lock().await;
        match asked.at.filter(|at| *at >= since).map(|at| at + LOOK_EVERY) {
            Some(due) if due > Instant::now() => Ok(due),
            Some(_) | None => Ok(self.ask(model, &mut asked).await? + LOOK_EVERY),
        }
    }

    async fn now(&self, model: &dyn ReadModel) -> Result<[u64; SLICES], StoreError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut asked = self.asked.lock().await;
        if asked.answered <= before {
            self.ask(model, &mut asked).await?;
        }
        Ok(*self.known.borrow())
    }

    /// Asks. When it was asked.
    async fn ask(&self, model: &dyn ReadModel, asked: &mut Asked) -> Result<Instant, StoreError> {
        let (number, at) = (self.begun.fetch_add(1, Ordering::SeqCst) + 1, Instant::now());
        asked.at = Some(at);
        let checkpoints = model.checkpoints(self.name).await?;
        asked.answered = number;
        self.known.send_if_modified(|known| {
            let newer = *known != checkpoints;
            *known = checkpoints;
            newer
        });
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::future::join_all;
    use serde_json::json;
    use tokio::time::Instant;

    use crate::testing::{Api, column};

    #[tokio::test(start_paused = true)]
    async fn a_query_sees_the_command_whose_position_it_names() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.say(room, mina, "안녕");
        let position = api.world.position(room);
        let since = Instant::now();
        let rooms = api.get_at(jun, "/v1/rooms", &[&position]).await.ok();
        assert_eq!(column(&rooms, "last_seq"), [1]);
        assert_eq!(since.elapsed(), Duration::ZERO, "what is there is answered at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_position_that_does_not_come_is_answered_with_try_later() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.hold();
        api.world.say(room, mina, "안녕");
        let position = api.world.position(room);
        for door in ["", "/members", "/messages", "/changes?after_version=0"] {
            let since = Instant::now();
            let answer = api.get_at(jun, &format!("/v1/rooms/{room}{door}"), &[&position]).await;
            assert_eq!(answer.refused(503), "read_model_behind", "{door}");
            assert_eq!(answer.headers["retry-after"], "1");
            assert_eq!(since.elapsed(), Duration::from_millis(500));
        }
        api.get(jun, "/v1/rooms").await.ok();
    }

    #[tokio::test(start_paused = true)]
    async fn a_position_that_comes_in_time_is_waited_for() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.hold();
        api.world.say(room, mina, "안녕");
        let position = api.world.position(room);
        let world = Arc::clone(&api.world);
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            world.release();
        };
        let since = Instant::now();
        let positions = [position.as_str()];
        let (answer, ()) = tokio::join!(api.get_at(jun, "/v1/rooms", &positions), later);
        assert_eq!(column(&answer.ok(), "last_seq"), [1]);
        assert!(since.elapsed() <= Duration::from_millis(320), "{:?}", since.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_ask_together() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.hold();
        api.world.say(room, mina, "안녕");
        let position = api.world.position(room);
        let path = format!("/v1/rooms/{room}/changes?after_version=0");
        api.world.statements();
        let positions = [position.as_str()];
        let answers = join_all((0..50).map(|_| api.get_at(jun, &path, &positions))).await;
        for answer in answers {
            answer.refused(503);
        }
        let asked = api.world.statements();
        assert!((20..=30).contains(&asked), "{asked} times in 500 ms, for 50 who waited");
    }

    #[tokio::test(start_paused = true)]
    async fn several_positions_are_one() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let rooms = [api.world.direct(mina, jun), api.world.direct(mina, hana)];
        let reached: Vec<String> = rooms.iter().map(|room| api.world.position(*room)).collect();
        api.world.hold();
        api.world.say(rooms[1], mina, "안녕");
        let future = api.world.position(rooms[1]);
        let all = reached.join(",");
        api.get_at(mina, "/v1/rooms", &[&all]).await.ok();
        api.get_at(mina, "/v1/rooms", &[&reached[0], &reached[1]]).await.ok();
        let joined = format!("{all},{future}");
        for positions in [vec![joined.as_str()], vec![all.as_str(), future.as_str()]] {
            api.get_at(mina, "/v1/rooms", &positions).await.refused(503);
        }
    }

    #[tokio::test]
    async fn a_position_that_is_none_is_refused() {
        let api = Api::new();
        let [mina, ..] = api.world.three();
        for position in ["soon", "1", "1:", ":1", "99:1", "-1:1", "1:1;2:2"] {
            let answer = api.get_at(mina, "/v1/rooms", &[position]).await;
            assert_eq!(answer.refused(422), "invalid_position", "{position}");
        }
        assert_eq!(api.get(mina, "/v1/rooms").await.ok()["items"], json!([]));
    }
}
