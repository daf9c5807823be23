//! The figures: what each is called, what it measures, and where its code is.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::bench::Bench;
use crate::report::Row;

mod full_list;
mod full_page;
mod full_room;
mod latency;
mod memory;
pub(crate) mod peers;
mod reads;
mod room_size;
mod sends;
mod socket_memory;
mod start_time;
mod under_writes;
pub(crate) mod write_amplification;

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Sends in many rooms against the baseline.
    SendsMany,
    /// Sends in one room against the baseline and against many rooms.
    SendsOne,
    /// What a long room costs a command.
    RoomSize,
    /// What a large room costs a message.
    WriteAmplification,
    /// What a large store costs a start.
    StartTime,
    /// What an idle socket costs in memory.
    SocketMemory,
    /// The peer's load with the others offline.
    PeerOffline,
    /// The peer's load with ten online in each room.
    PeerOnline,
    /// The peer's load in one room of ten.
    PeerOneRoom,
    /// The peer's load in one room of 64, all online.
    PeerHotRoom,
    /// One client alone.
    Lone,
    /// From send to delivery.
    Delivery,
    /// Pages of history.
    History,
    /// The list of rooms.
    List,
    /// Statements of a page and of a list.
    Statements,
    /// CPU of a send.
    Cpu,
    /// A room of the most members and a million messages.
    FullRoom,
    /// A list of 500 rooms.
    FullList,
    /// A page that was changed ten thousand times.
    FullPage,
    /// History and lists while their rooms are written to.
    ReadsUnderWrites,
    /// Memory under a load that goes on.
    MemoryFlat,
}

impl Figure {
    /// Its name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SendsMany => "sends-many",
            Self::SendsOne => "sends-one",
            Self::RoomSize => "room-size",
            Self::WriteAmplification => "write-amplification",
            Self::StartTime => "start-time",
            Self::SocketMemory => "socket-memory",
            Self::PeerOffline => "peer-offline",
            Self::PeerOnline => "peer-online",
            Self::PeerOneRoom => "peer-one-room",
            Self::PeerHotRoom => "peer-hot-room",
            Self::Lone => "lone",
            Self::Delivery => "delivery",
            Self::History => "history",
            Self::List => "list",
            Self::Statements => "statements",
            Self::Cpu => "cpu",
            Self::FullRoom => "full-room",
            Self::FullList => "full-list",
            Self::FullPage => "full-page",
            Self::ReadsUnderWrites => "reads-under-writes",
            Self::MemoryFlat => "memory-flat",
        }
    }

    /// One line about it.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::SendsMany => "durable sends/s, 64 connections, 64 rooms, against the framework baseline",
            Self::SendsOne => "the same in one room, against the baseline and against many rooms",
            Self::RoomSize => "command time in a room of 100,000 messages over one of 100, warm and cold",
            Self::WriteAmplification => "read-table writes per message in a room of 3,000 over one of 3",
            Self::StartTime => "start to ready with 1,000,000 events in the store, and with 10,000",
            Self::SocketMemory => "resident memory of the server per idle socket",
            Self::PeerOffline => "sends/s over 64 rooms of ten, others offline, against the durable peer",
            Self::PeerOnline => "sends/s over 64 rooms, ten members online in each, every delivery checked",
            Self::PeerOneRoom => "sends/s in one room of ten",
            Self::PeerHotRoom => "sends/s in one room of 64, all online and sending, every delivery checked",
            Self::Lone => "ack time of one client alone",
            Self::Delivery => "send to delivery at 200 messages/s",
            Self::History => "pages of 50 messages, four readers",
            Self::List => "lists of 200 rooms, four readers",
            Self::Statements => "statements per page of history and per list, which must not follow the items",
            Self::Cpu => "server CPU per 1,000 sends, others offline and ten online",
            Self::FullRoom => {
                "pages, view, changes and sends in a room of 3,000 with 1,000,000 messages over small ones"
            }
            Self::FullList => "a list of 500 rooms over lists of 200 and 20",
            Self::FullPage => "a page of 50 with 10,000 edits and reactions over a plain one",
            Self::ReadsUnderWrites => "pages and lists, four readers, while their rooms are written to",
            Self::MemoryFlat => "resident memory over ten minutes of everything",
        }
    }

    /// Measures it.
    pub(crate) async fn measure(self, bench: &mut Bench) -> Result<Vec<Row>> {
        match self {
            Self::SendsMany => sends::many(bench).await,
            Self::SendsOne => sends::one(bench).await,
            Self::RoomSize => room_size::measure(bench).await,
            Self::WriteAmplification => write_amplification::measure(bench).await,
            Self::StartTime => start_time::measure(bench).await,
            Self::SocketMemory => socket_memory::measure(bench).await,
            Self::PeerOffline => peers::measure(bench, self.name(), peers::OFFLINE, 4_291.0).await,
            Self::PeerOnline => peers::measure(bench, self.name(), peers::ONLINE, 1_900.0).await,
            Self::PeerOneRoom => peers::measure(bench, self.name(), peers::ONE_ROOM, 4_253.0).await,
            Self::PeerHotRoom => peers::measure(bench, self.name(), peers::HOT_ROOM, 953.0).await,
            Self::Lone => latency::lone(bench).await,
            Self::Delivery => latency::delivery(bench).await,
            Self::History => reads::history(bench).await,
            Self::List => reads::list(bench).await,
            Self::Statements => reads::statements(bench).await,
            Self::Cpu => peers::cpu(bench).await,
            Self::FullRoom => full_room::measure(bench).await,
            Self::FullList => full_list::measure(bench).await,
            Self::FullPage => full_page::measure(bench).await,
            Self::ReadsUnderWrites => under_writes::measure(bench).await,
            Self::MemoryFlat => memory::measure(bench).await,
        }
    }
}

/// Prints every figure with its line.
pub(crate) fn print_list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for figure in Figure::value_variants() {
        writeln!(out, "{:20} {}", figure.name(), figure.about()).context("cannot print the list")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_command_line_use_one_name() {
        for figure in Figure::value_variants() {
            assert_eq!(figure.to_possible_value().unwrap().get_name(), figure.name());
        }
    }
}
