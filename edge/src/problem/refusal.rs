//! What each rule of the domain becomes when it refuses: a rule refused is 409, except where it is about a field (422), about
//! what the asker may not do (403), or about what is not there for them (404).

use cocotalk_application::use_case::Refusal;
use cocotalk_domain::account::AccountError;
use cocotalk_domain::claim::{ClaimError, ClaimKind};
use cocotalk_domain::id::UserId;
use cocotalk_domain::room::RoomError;
use cocotalk_domain::seat::SeatError;

use super::{Code, FieldError, Problem};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Room(error) => error.into(),
            Refusal::Seat(error) => error.into(),
            Refusal::Account(error) => error.into(),
            Refusal::Claim(error) => error.into(),
            Refusal::NoSuchPerson(_) => Self::new(Code::UserNotFound).detail("there is no such person"),
        }
    }
}

impl From<RoomError> for Problem {
    fn from(error: RoomError) -> Self {
        let detail = error.to_string();
        let code = match &error {
            RoomError::NoSuchRoom => Code::RoomNotFound,
            RoomError::AlreadyOpen => Code::RoomExists,
            RoomError::OnlyInGroups => Code::OnlyInGroups,
            RoomError::NotAllowed => Code::NotAllowed,
            RoomError::NoSuchMember => Code::MemberNotFound,
            RoomError::OwnerStays => Code::OwnerMustHandOver,
            RoomError::TooFewMembers { .. } => Code::TooFewMembers,
            RoomError::TooManyMembers { .. } => Code::TooManyMembers,
            RoomError::CannotBeInvited { .. } => Code::CannotBeInvited,
            RoomError::MentionsNoMember { .. } => Code::MentionsNoMember,
            RoomError::NoSuchMessage => Code::MessageNotFound,
            RoomError::MessageDeleted => Code::MessageDeleted,
            RoomError::MessageTooOld { .. } => Code::MessageTooOld,
            RoomError::TooManyReactions { .. } => Code::TooManyReactions,
            RoomError::RecipientGone => Code::RecipientGone,
        };
        let errors = match error {
            RoomError::CannotBeInvited { user_ids } => about(user_ids, "/user_ids", code, "cannot be invited"),
            RoomError::MentionsNoMember { user_ids } => about(user_ids, "/mentions", code, "no member of the room"),
            RoomError::TooFewMembers { .. } | RoomError::TooManyMembers { .. } => {
                vec![FieldError::new("/user_ids", code.as_str(), detail.clone())]
            }
            RoomError::NoSuchRoom
            | RoomError::AlreadyOpen
            | RoomError::OnlyInGroups
            | RoomError::NotAllowed
            | RoomError::NoSuchMember
            | RoomError::OwnerStays
            | RoomError::NoSuchMessage
            | RoomError::MessageDeleted
            | RoomError::MessageTooOld { .. }
            | RoomError::TooManyReactions { .. }
            | RoomError::RecipientGone => Vec::new(),
        };
        errors.into_iter().fold(Self::new(code).detail(detail), Self::and_field)
    }
}

/// One entry a person; [`Problem::locate`] says where each stands.
fn about(user_ids: Vec<UserId>, pointer: &str, code: Code, detail: &str) -> Vec<FieldError> {
    let entry = |user| FieldError {
        about: Some(user),
        ..FieldError::new(pointer, code.as_str(), detail)
    };
    user_ids.into_iter().map(entry).collect()
}

impl From<SeatError> for Problem {
    fn from(error: SeatError) -> Self {
        match error {
            SeatError::MutedIntoThePast => {
                let (code, detail) = (Code::NotInTheFuture, error.to_string());
                Self::new(code)
                    .and_field(FieldError::new("/muted_until", code.as_str(), detail.clone()))
                    .detail(detail)
            }
            SeatError::TooManyHidden { .. } => Self::new(Code::TooManyHidden).detail(error.to_string()),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::AlreadyRegistered => Self::new(Code::AccountExists).detail(error.to_string()),
        }
    }
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Taken(ClaimKind::Handle) => Self::new(Code::HandleTaken).detail(error.to_string()),
        }
    }
}
