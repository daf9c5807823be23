//! The script against the real bus and a real store.

use cocotalk_application::command_bus::{BusSettings, LaneBus};
use cocotalk_application::row::RoomRow;
use cocotalk_domain::stream::Slice;
use cocotalk_infra::open::{BackendSettings, LogPorts, ViewPorts, open};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::role::Role;

/// A store in a folder of its own, with everything that a fill needs.
struct World {
    store: LogPorts,
    views: ViewPorts,
    clock: Arc<dyn Clock>,
    bus: LaneBus,
    sealing: Sealing,
    limits: Limits,
    tasks: TaskTracker,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = BackendSettings::default();
        settings.embedded.folder = folder.path().to_owned();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let opened = Box::pin(open(
            &settings,
            Role::All.parts(),
            cocotalk_projectors::all(),
            &tasks,
            stop.clone(),
        ));
        let opened = opened.await.unwrap();
        let (store, views) = (opened.log.unwrap(), opened.views.unwrap());
        Self {
            bus: LaneBus::start(Arc::clone(&store.log), BusSettings::default(), &tasks, &stop),
            sealing: Sealing::new(Arc::clone(&store.keys)),
            limits: Limits::default(),
            store,
            views,
            clock: opened.clock,
            tasks,
            stop,
            _folder: folder,
        }
    }

    /// Lets the store finish before its folder goes.
    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn tools(&self) -> Tools<'_> {
        Tools {
            log: &*self.store.log,
            bus: &self.bus,
            sealing: &self.sealing,
            clock: &*self.clock,
            pepper: &[7; 32],
            limits: &self.limits,
        }
    }

    /// How many events of each kind the store has.
    async fn events(&self) -> HashMap<&'static str, usize> {
        let mut counts = HashMap::new();
        for slice in Slice::all() {
            for recorded in self.store.log.read_slice(slice, 0).await.unwrap() {
                *counts.entry(recorded.event.unwrap().name()).or_default() += 1;
            }
        }
        counts
    }
}

#[tokio::test]
async fn an_empty_store_is_filled_once() {
    let world = World::new().await;
    let people = fill(world.tools()).await.unwrap().expect("an empty store is filled");
    let script = Script::load().unwrap();
    let said = script
        .rooms
        .iter()
        .flat_map(|room| &room.steps)
        .filter(|step| matches!(step, Step::Say { .. }));
    let events = world.events().await;
    assert_eq!(events["account.registered"], script.people.len());
    assert_eq!(events["room.opened"], script.rooms.len());
    assert_eq!(events["room.message_sent"], said.count());
    assert_eq!((events["room.renamed"], events["room.member_left"]), (1, 1));

    let minji = people[0].user_id;
    let rooms = world.views.reads.user_rooms(minji).await.unwrap();
    assert_eq!(
        rooms.len(),
        script.rooms.iter().filter(|room| room.has("minji_kim")).count()
    );

    assert_eq!(fill(world.tools()).await.unwrap(), Some(people));
    assert_eq!(world.events().await, events);
    world.end().await;
}

#[tokio::test]
async fn an_interrupted_fill_is_gone_on_with() {
    let whole = World::new().await;
    fill(whole.tools()).await.unwrap();

    let mut world = World::new().await;
    world.limits.group_create_members = 4;
    fill(world.tools())
        .await
        .expect_err("one group of the script has five members");
    let begun = world.events().await;
    assert!(begun["room.message_sent"] > 0);
    world.limits = Limits::default();
    assert!(fill(world.tools()).await.unwrap().is_some());
    assert_eq!(world.events().await, whole.events().await);
    world.end().await;
    whole.end().await;
}

#[tokio::test]
async fn a_store_begun_with_anything_else_is_left_alone() {
    let world = World::new().await;
    let tools = world.tools();
    let mut other = Filling {
        tools,
        keys: Uuid::nil(),
        steps: 0,
        people: HashMap::new(),
    };
    let stranger = Person {
        handle: "minji_kim".to_owned(),
        display_name: "민지".to_owned(),
    };
    other.register(stranger).await.unwrap();
    let before = world.events().await;
    assert_eq!(fill(tools).await.unwrap(), None);
    assert_eq!(world.events().await, before);
    world.end().await;
}

#[tokio::test]
async fn some_messages_stay_unread() {
    let world = World::new().await;
    let people = fill(world.tools()).await.unwrap().expect("an empty store is filled");
    let reads = &world.views.reads;
    let mut without_unread = Vec::new();
    for person in people {
        let ids: Vec<_> = reads
            .user_rooms(person.user_id)
            .await
            .unwrap()
            .iter()
            .map(|room| room.room_id)
            .collect();
        let read = reads.user_reads(person.user_id).await.unwrap();
        let read: HashMap<_, _> = read.iter().map(|read| (read.room_id, read.read_cnt)).collect();
        let rooms = reads.rooms(&ids).await.unwrap();
        let unread = |room: &RoomRow| {
            room.last
                .as_ref()
                .is_some_and(|last| Some(&last.cnt) > read.get(&room.room_id))
        };
        if !rooms.values().any(unread) {
            without_unread.push(person.handle);
        }
    }
    assert!(without_unread.len() < 2, "{without_unread:?} have nothing to read");
    world.end().await;
}

#[test]
fn whoever_is_mentioned_is_named() {
    let script = Script::load().unwrap();
    let names: HashMap<_, _> = script
        .people
        .iter()
        .map(|person| (&person.handle, &person.display_name))
        .collect();
    for step in script.rooms.iter().flat_map(|room| &room.steps) {
        if let Step::Say { says, mentions, .. } = step {
            let is_named = |handle| says.contains(&format!("@{}", names[handle]));
            assert!(mentions.iter().all(is_named), "{says}");
            assert_eq!(says.matches('@').count(), mentions.len(), "{says}");
        }
    }
}

impl Room {
    /// Whether somebody is ever in it.
    fn has(&self, handle: &str) -> bool {
        let invited =
            |step: &Step| matches!(step, Step::Invite { invites, .. } if invites.iter().any(|one| one == handle));
        self.members.iter().any(|member| member == handle) || self.steps.iter().any(invited)
    }
}
