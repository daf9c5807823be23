//! The words in which the API speaks of rooms and the people in them.

use cocotalk_domain::room::{self, RoomKind};
use serde::Serialize;
use utoipa::ToSchema;

/// What kind of room it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomKind)]
pub enum Kind {
    /// Of one pair, or of one person with oneself.
    Direct,
    /// Of many.
    Group,
}

impl From<RoomKind> for Kind {
    fn from(kind: RoomKind) -> Self {
        match kind {
            RoomKind::Direct => Self::Direct,
            RoomKind::Group => Self::Group,
        }
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Talks, invites and renames as the settings say.
    Member,
    /// Also changes the settings and kicks members.
    Admin,
    /// Everything. A group has exactly one.
    Owner,
}

impl From<room::Role> for Role {
    fn from(role: room::Role) -> Self {
        match role {
            room::Role::Member => Self::Member,
            room::Role::Admin => Self::Admin,
            room::Role::Owner => Self::Owner,
        }
    }
}

/// Who may do something in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Every member.
    All,
    /// Owner and admins.
    Admins,
}

impl From<room::Who> for Who {
    fn from(who: room::Who) -> Self {
        match who {
            room::Who::All => Self::All,
            room::Who::Admins => Self::Admins,
        }
    }
}

/// What a group lets whom do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Settings {
    /// Who changes name, photo and notice.
    pub rename_by: Who,
    /// Who invites.
    pub invite_by: Who,
}

impl From<room::Settings> for Settings {
    fn from(settings: room::Settings) -> Self {
        Self {
            rename_by: settings.rename_by.into(),
            invite_by: settings.invite_by.into(),
        }
    }
}
