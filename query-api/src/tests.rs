//! What holds for all queries together.

mod outage;
mod partial;

use cocotalk_domain::id::RoomId;

/// What can be asked about a room.
const DOORS: [&str; 4] = ["", "/members", "/messages", "/changes?after_version=0"];

fn path(room: RoomId, door: &str) -> String {
    format!("/v1/rooms/{room}{door}")
}
