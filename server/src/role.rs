//! What a process does: everything, or one part of it among others like it.

use cocotalk_infra::open::{BackendSettings, Part};

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process.
    All,
    /// Takes commands.
    CommandApi,
    /// Answers queries and holds the live sockets.
    QueryApi,
    /// Carries what is committed from the log to the bus.
    Relay,
    /// Makes the read model from what the bus brings.
    Projectors,
}

impl Role {
    /// Its name: that of its binary, and the first word of its ready line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "cocotalk",
            Self::CommandApi => "command-api",
            Self::QueryApi => "query-api",
            Self::Relay => "relay",
            Self::Projectors => "projectors",
        }
    }

    /// What it needs of the backend.
    pub const fn parts(self) -> &'static [Part] {
        match self {
            Self::All => &[Part::Commands, Part::Queries, Part::Relay, Part::Projectors],
            Self::CommandApi => &[Part::Commands],
            Self::QueryApi => &[Part::Queries],
            Self::Relay => &[Part::Relay],
            Self::Projectors => &[Part::Projectors],
        }
    }

    /// Whether it has projectors, which can be paused. Those of the embedded store are its writer.
    pub const fn projects(self, backend: &BackendSettings) -> bool {
        match self {
            Self::All | Self::Projectors => backend.is_shared(),
            Self::CommandApi | Self::QueryApi | Self::Relay => false,
        }
    }

    /// Whether it takes commands over HTTP.
    pub const fn takes_commands(self) -> bool {
        match self {
            Self::All | Self::CommandApi => true,
            Self::QueryApi | Self::Relay | Self::Projectors => false,
        }
    }

    /// Whether clients connect to it.
    pub const fn serves_clients(self) -> bool {
        match self {
            Self::All | Self::CommandApi | Self::QueryApi => true,
            Self::Relay | Self::Projectors => false,
        }
    }
}
