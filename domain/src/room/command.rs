//! What somebody can ask of a room.

use crate::id::{MessageId, RoomId, UserId};
use crate::room::{MessageFacts, Role, RoomError, Who};
use crate::sealed::Sealed;
use crate::text::{Emoji, Notice, RoomName};
use crate::time::Instant;

/// A command, complete: ids and instants were stamped at the edge, and what the room cannot know rides along.
#[derive(Clone, Debug)]
pub enum RoomCommand {
    /// Open the direct room of `by` and `peer` (who may be the same). Opening it again changes nothing.
    OpenDirect {
        /// `RoomId::direct(by, peer)`.
        room_id: RoomId,
        /// Who asks.
        by: UserId,
        /// With whom.
        peer: UserId,
        /// When.
        at: Instant,
    },
    /// Open a group owned by `by`.
    OpenGroup {
        /// A new id.
        room_id: RoomId,
        /// Who asks, and will own it.
        by: UserId,
        /// Who comes along.
        invitation: Invitation,
        /// What it is called.
        name: Option<RoomName>,
        /// When.
        at: Instant,
    },
    /// Let people into a group. Those already in it are passed over.
    Invite {
        /// Who asks.
        by: UserId,
        /// Who comes.
        invitation: Invitation,
        /// When.
        at: Instant,
    },
    /// Leave a group.
    Leave {
        /// Who goes.
        by: UserId,
        /// When.
        at: Instant,
    },
    /// Take somebody out of a group.
    Kick {
        /// Who asks.
        by: UserId,
        /// Who goes.
        user_id: UserId,
        /// When.
        at: Instant,
    },
    /// Give a member of a group another role; `Owner` hands the group over.
    GiveRole {
        /// Who asks.
        by: UserId,
        /// Whose role.
        user_id: UserId,
        /// The role afterwards.
        role: Role,
        /// When.
        at: Instant,
    },
    /// Give a group another name, or none.
    Rename {
        /// Who asks.
        by: UserId,
        /// The new name.
        name: Option<RoomName>,
        /// When.
        at: Instant,
    },
    /// Put up a notice, or take it down.
    SetNotice {
        /// Who asks.
        by: UserId,
        /// The new notice.
        notice: Option<Notice>,
        /// When.
        at: Instant,
    },
    /// Change who may do what.
    ChangeSettings {
        /// Who asks.
        by: UserId,
        /// Who renames, if that changes.
        rename_by: Option<Who>,
        /// Who invites, if that changes.
        invite_by: Option<Who>,
        /// When.
        at: Instant,
    },
    /// Say something.
    Send {
        /// Who says it.
        by: UserId,
        /// A new id.
        message_id: MessageId,
        /// The text, sealed whole.
        body: Sealed,
        /// Its first characters sealed apart, if it has more than a preview.
        preview: Option<Sealed>,
        /// Who is mentioned.
        mentions: Vec<UserId>,
        /// What it answers.
        reply_to: Option<Box<MessageFacts>>,
        /// When.
        at: Instant,
    },
    /// Put a message of one's own in other words.
    Edit {
        /// Who asks.
        by: UserId,
        /// The message.
        message: Box<MessageFacts>,
        /// The new text, sealed whole.
        body: Sealed,
        /// Its first characters sealed apart, if it has more than a preview.
        preview: Option<Sealed>,
        /// How long after it was said, seconds.
        within_s: u64,
        /// When.
        at: Instant,
    },
    /// Delete a message for everyone.
    Delete {
        /// Who asks.
        by: UserId,
        /// The message.
        message: Box<MessageFacts>,
        /// How long after it was said its author may, seconds.
        within_s: u64,
        /// When.
        at: Instant,
    },
    /// React to a message, otherwise than before, or take it back.
    React {
        /// Who.
        by: UserId,
        /// The message.
        message: Box<MessageFacts>,
        /// With what; `None` takes it back.
        emoji: Option<Emoji>,
        /// Most kinds of reactions on a message.
        max_kinds: usize,
        /// When.
        at: Instant,
    },
}

/// The people an invitation names, and what the directory says of them.
#[derive(Clone, Debug, Default)]
pub struct Invitation {
    /// Everybody named, in the order and as often as they were named.
    pub user_ids: Vec<UserId>,
    /// Those of them who cannot be invited: unknown, erased, or a block either way. The asker cannot tell which.
    pub refused: Vec<UserId>,
    /// Fewest members of the room afterwards (creation only).
    pub min_members: usize,
    /// Most members of the room afterwards.
    pub max_members: usize,
}

impl Invitation {
    /// The refusal, if any of those who cannot be invited is not `there` already and so passed over.
    pub(super) fn check(&self, there: impl Fn(UserId) -> bool) -> Result<(), RoomError> {
        let user_ids: Vec<UserId> = self.refused.iter().copied().filter(|user| !there(*user)).collect();
        if user_ids.is_empty() {
            Ok(())
        } else {
            Err(RoomError::CannotBeInvited { user_ids })
        }
    }
}
