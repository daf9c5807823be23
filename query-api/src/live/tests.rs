//! What clients say over a socket becomes commands.

use std::sync::Mutex;

use async_trait::async_trait;
use cocotalk_application::command_bus::{Command, CommandBus, CommandError};
use cocotalk_application::port::event_log::Metadata;
use cocotalk_application::position::Position;
use cocotalk_application::sealing::Sealing;
use cocotalk_application::use_case::Answer as Answered;
use cocotalk_application::use_case::send_message::SentAnswer;
use cocotalk_domain::id::{MessageId, SessionId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::stream::Slice;
use serde_json::json;

use super::client_frame::ClientFrame;
use super::*;
use crate::checkpoints::Checkpoints;
use crate::testing::{NOW, World, door, user};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const KEY: &str = "0198c0de-7a1c-7000-8000-00000000000a";

/// Notes where commands come from, and says that they were carried out.
#[derive(Default)]
struct Bus(Mutex<Vec<Arc<Metadata>>>);

#[async_trait]
impl CommandBus for Bus {
    async fn execute(&self, command: Command) -> Result<Accepted, CommandError> {
        self.0.lock().unwrap().push(command.metadata);
        let answer = SentAnswer {
            room_id: RoomId::from_u128(1),
            message_id: MessageId::from_u128(2),
            seq: 3,
            version: 4,
            sent_at: NOW,
        };
        Ok(Accepted {
            answer: Answered::new(201, &answer),
            position: Position::at(Slice::new(0).unwrap(), 5),
            replayed: false,
        })
    }
}

/// The sockets of a world, over a bus that only notes.
async fn live() -> (Live, Arc<Bus>) {
    let (world, bus) = (Arc::new(World::default()), Arc::new(Bus::default()));
    let sealing = Arc::new(Sealing::new(Arc::<World>::clone(&world)));
    let ports = HubPorts {
        log: Arc::<World>::clone(&world),
        feed: Arc::<World>::clone(&world),
        ephemeral: Arc::<World>::clone(&world),
        reads: Arc::<World>::clone(&world),
        checkpoints: Arc::new(Checkpoints::new(Arc::<World>::clone(&world))),
        sealing: Arc::clone(&sealing),
        clock: Arc::<World>::clone(&world),
    };
    let (hub, _feed) = Hub::open(ports, LiveSettings::default()).await.unwrap();
    let live = Live {
        hub,
        commands: Arc::new(Commands {
            bus: Arc::<Bus>::clone(&bus),
            sealing,
            clock: Arc::<World>::clone(&world),
            limits: Arc::new(Limits::default()),
        }),
        door: door(&world, 0, &[]),
        frames: Limiter::per_minute(0),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        handshakes: Handshakes::new(&LiveSettings::default()),
    };
    (live, bus)
}

/// The trace that a message is sent with whose frame has this more in it.
async fn trace_of(more: serde_json::Value) -> Option<String> {
    let (live, bus) = live().await;
    let token = live.door.tokens.issue(user(1), SessionId::from_u128(1), NOW);
    let identity = live.identify(Some(&token)).unwrap();
    let message = json!({"kind": "text", "text": "소켓으로"});
    let mut frame = json!({"op": "send", "room_id": RoomId::from_u128(1), "idempotency_key": KEY, "message": message});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let ClientFrame::Send(send) = ClientFrame::parse(&frame.to_string()).unwrap() else {
        panic!("it is a send");
    };
    live.try_send(identity, &send).await.unwrap();
    let seen = bus.0.lock().unwrap();
    assert_eq!((seen.len(), seen[0].command_id.as_str()), (1, KEY));
    seen[0].traceparent.clone()
}

#[tokio::test]
async fn a_message_over_the_socket_keeps_the_trace_that_it_brought_along() {
    assert_eq!(trace_of(json!({"traceparent": TRACE})).await.as_deref(), Some(TRACE));
    assert_eq!(trace_of(json!({})).await, None);
    assert_eq!(trace_of(json!({"traceparent": null})).await, None);
    assert_eq!(
        trace_of(json!({"traceparent": "00-nonsense"})).await,
        None,
        "it is passed over, as in a header"
    );
}
