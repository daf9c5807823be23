//! A state kept and loaded again is the state.

use std::sync::atomic::Ordering;

use cocotalk_application::command_bus::BusSettings;
use cocotalk_application::contract::support::{at, stream_events};
use cocotalk_application::use_case::AnyState;
use cocotalk_application::use_case::change_room::ChangeRoom;
use cocotalk_application::use_case::send_message::SendMessage;
use cocotalk_domain::room::{Room, Who};
use cocotalk_domain::seat::Patch;
use cocotalk_domain::stream::StreamId;

use crate::stage::{Ground, command, invite, leave, said, send, sent};

/// Whatever is asked of it.
pub(crate) async fn a_state_from_a_snapshot_decides_as_a_whole_one(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let settings = BusSettings {
        snapshot_every: 10,
        ..BusSettings::default()
    };
    let node = ground.node_with(settings.clone());
    let people = node.people(5).await;
    let (owner, gone, guest) = (people[0], people[2], people[4]);
    let room_id = node.group(&people[..4]).await;
    for round in 0..100 {
        node.accepted(command(send(room_id, people[round % 2]))).await;
        if round == 30 {
            node.accepted(command(leave(room_id, gone))).await;
        }
        if round == 60 {
            node.accepted(command(ChangeRoom {
                room_id,
                by: owner,
                name: Patch::Keep,
                notice: Patch::Keep,
                rename_by: None,
                invite_by: Some(Who::Admins),
                at: at(9),
            }))
            .await;
        }
    }
    // Every snapshot that was begun is kept when it has ended.
    node.end().await;

    let stream = StreamId::Room(room_id);
    let snapshot = ground
        .log
        .snapshot(&stream, Room::STATE_VERSION)
        .await
        .expect("it can be read");
    let snapshot = snapshot.expect("there is one");
    let history = stream_events(&*ground.log, stream).await;
    assert!(history.len() as u64 - snapshot.sequence < 10, "{}", snapshot.sequence);
    let mut whole = AnyState::new(&stream);
    for recorded in &history[..snapshot.sequence as usize] {
        whole.evolve(recorded.event.as_ref().expect("it can be read"));
    }
    assert_eq!(AnyState::from_bytes(&stream, &snapshot.state), Some(whole));

    let node = ground.node_with(settings);
    assert_eq!(node.refused(command(send(room_id, gone))).await, "room_not_found");
    assert_eq!(node.log.snapshots_found.load(Ordering::Acquire), 1);
    assert!(
        node.log.events_loaded.load(Ordering::Acquire) < 10,
        "the snapshot saved reading"
    );
    assert_eq!(
        node.refused(command(invite(room_id, people[1], guest))).await,
        "not_allowed"
    );
    let of_the_gone = SendMessage {
        mentions: vec![gone],
        ..send(room_id, owner)
    };
    assert_eq!(node.refused(command(of_the_gone)).await, "mentions_no_member");
    let told = sent(&node.accepted(command(send(room_id, people[3]))).await);
    // The opening, one who left, and one hundred messages are before it.
    assert_eq!((told.seq, told.version), (103, history.len() as u64 + 1));
    node.accepted(command(invite(room_id, owner, guest))).await;
    node.accepted(command(send(room_id, guest))).await;
    assert_eq!(said(&*ground.log, room_id).await.len(), 102);
}
