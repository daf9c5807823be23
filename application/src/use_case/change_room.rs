//! Change what a group is called, what it announces and who may do what.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::{Room, RoomCommand, RoomEvent, Who};
use cocotalk_domain::seat::Patch;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::{Notice, RoomName};
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, RoomAnswer, States, UseCase};

/// Several changes to a group at once: all of them, or none if one is refused.
#[derive(Clone, Debug)]
pub struct ChangeRoom {
    /// The room.
    pub room_id: RoomId,
    /// Who asks.
    pub by: UserId,
    /// The name.
    pub name: Patch<RoomName>,
    /// The notice.
    pub notice: Patch<Notice>,
    /// Who changes name, photo and notice.
    pub rename_by: Option<Who>,
    /// Who invites.
    pub invite_by: Option<Who>,
    /// When.
    pub at: Instant,
}

impl ChangeRoom {
    fn commands(&self) -> Vec<RoomCommand> {
        let (by, at) = (self.by, self.at);
        let mut commands = Vec::new();
        match self.name.clone() {
            Patch::Keep => {}
            Patch::Clear => commands.push(RoomCommand::Rename { by, name: None, at }),
            Patch::Set(name) => commands.push(RoomCommand::Rename {
                by,
                name: Some(name),
                at,
            }),
        }
        match self.notice.clone() {
            Patch::Keep => {}
            Patch::Clear => commands.push(RoomCommand::SetNotice { by, notice: None, at }),
            Patch::Set(notice) => commands.push(RoomCommand::SetNotice {
                by,
                notice: Some(notice),
                at,
            }),
        }
        if self.rename_by.is_some() || self.invite_by.is_some() {
            let (rename_by, invite_by) = (self.rename_by, self.invite_by);
            commands.push(RoomCommand::ChangeSettings {
                by,
                rename_by,
                invite_by,
                at,
            });
        }
        commands
    }

    fn events(&self, room: &Room) -> Result<Vec<RoomEvent>, Refusal> {
        room.member(self.by)?;
        let mut after = room.clone();
        let mut events = Vec::new();
        for command in self.commands() {
            for event in after.decide(command)? {
                after.evolve(&event);
                events.push(event);
            }
        }
        Ok(events)
    }
}

impl UseCase for ChangeRoom {
    fn name(&self) -> &'static str {
        "change_room"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = self.home();
        let events = self.events(on.room(stream))?;
        let answer = RoomAnswer {
            room_id: self.room_id,
            version: on.version(stream) + events.len() as u64,
        };
        Ok(Decision::of(stream, events, Answer::new(200, &answer)))
    }
}
