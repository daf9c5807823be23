//! Why a room refuses.

use crate::id::UserId;

/// One variant per rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// There is no such room, it is closed, or the asker is no member of it: a stranger learns nothing.
    #[error("no such room")]
    NoSuchRoom,
    /// The new id is taken.
    #[error("the room is open already")]
    AlreadyOpen,
    /// A direct room has no name, no roles, no guests.
    #[error("only a group can do this")]
    OnlyInGroups,
    /// The settings or the member's role do not allow it.
    #[error("the room's settings or this member's role do not let them do it")]
    NotAllowed,
    /// Somebody is named who is not in the room.
    #[error("no such member")]
    NoSuchMember,
    /// A group always has an owner: they give the role away, they do not lay it down.
    #[error("the owner stays the owner until they hand the group over")]
    OwnerStays,
    /// A group is created with more people.
    #[error("a group has at least {min} members")]
    TooFewMembers {
        /// The fewest, creator included.
        min: usize,
    },
    /// The group would be too large.
    #[error("a group has at most {max} members")]
    TooManyMembers {
        /// The most.
        max: usize,
    },
    /// Unknown, erased, or a block either way.
    #[error("some of these people cannot be invited")]
    CannotBeInvited {
        /// Who.
        user_ids: Vec<UserId>,
    },
    /// Somebody is mentioned who is no member.
    #[error("some of the people mentioned are no members")]
    MentionsNoMember {
        /// Who.
        user_ids: Vec<UserId>,
    },
    /// The message is not in this room, or not one that the asker may see.
    #[error("no such message")]
    NoSuchMessage,
    /// The message was deleted for everyone: nothing more happens to it.
    #[error("the message was deleted")]
    MessageDeleted,
    /// Its author had their time to change it.
    #[error("a message is changed by its author within {seconds} seconds")]
    MessageTooOld {
        /// How long.
        seconds: u64,
    },
    /// A message has so many kinds of reactions and no more.
    #[error("a message has at most {max} kinds of reactions")]
    TooManyReactions {
        /// The most.
        max: usize,
    },
    /// The other person of a direct room was erased.
    #[error("the recipient is gone")]
    RecipientGone,
}

impl RoomError {
    /// The stable word for this refusal, as clients see it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchRoom => "room_not_found",
            Self::AlreadyOpen => "room_exists",
            Self::OnlyInGroups => "only_in_groups",
            Self::NotAllowed => "not_allowed",
            Self::NoSuchMember => "member_not_found",
            Self::OwnerStays => "owner_must_hand_over",
            Self::TooFewMembers { .. } => "too_few_members",
            Self::TooManyMembers { .. } => "too_many_members",
            Self::CannotBeInvited { .. } => "cannot_be_invited",
            Self::MentionsNoMember { .. } => "mentions_no_member",
            Self::NoSuchMessage => "message_not_found",
            Self::MessageDeleted => "message_deleted",
            Self::MessageTooOld { .. } => "message_too_old",
            Self::TooManyReactions { .. } => "too_many_reactions",
            Self::RecipientGone => "recipient_gone",
        }
    }
}
