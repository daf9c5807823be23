//! What the errors of stores and of the command bus become.

use cocotalk_application::command_bus::CommandError;
use cocotalk_application::error::StoreError;

use super::{Code, Problem};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable { .. } => Code::StorageUnavailable,
            StoreError::Corrupt { .. } => Code::InternalError,
        };
        Self::new(code).caused_by(error)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::KeyReused => Self::new(Code::IdempotencyKeyReused),
            CommandError::Busy => Self::new(Code::Busy),
            CommandError::Unavailable(error) => Self::from(&*error),
        }
    }
}
