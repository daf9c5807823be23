//! A seat: one person's private side of one room. Nobody else sees a trace of it, but for how far they have read.
//!
//! # Rules
//! - The read position only moves forward and never past the room's newest item.
//! - Leaving a direct room raises the floor: what was before stays hidden, and the room comes back with the next message.
//! - What they hide is gone for them alone, and for good.
//! - Mute, pin and alias are the person's own; what does not change is no event.

pub mod command;
pub mod error;
pub mod event;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::number::{Cnt, Seq};
use crate::sealed::Sealed;
use crate::time::Instant;
pub use command::{Patch, SeatCommand};
pub use error::SeatError;
pub use event::SeatEvent;

/// The state of a seat. An untouched one is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    read_seq: Seq,
    floor_seq: Seq,
    floor_cnt: Cnt,
    muted_until: Option<Instant>,
    pinned_at: Option<Instant>,
    alias: Option<Sealed>,
    hidden: BTreeSet<Seq>,
}

impl Seat {
    /// The version of this state's shape in snapshots: raised whenever a change makes the same events give other bytes.
    pub const STATE_VERSION: u32 = 2;

    /// What happens when `command` meets this state: the events, none where there is nothing to do, or a refusal.
    pub fn decide(&self, command: SeatCommand) -> Result<Vec<SeatEvent>, SeatError> {
        match command {
            SeatCommand::MarkRead {
                room_id,
                user_id,
                seq,
                cnt,
                known_seq,
                at,
            } => {
                if seq <= self.read_seq.max(known_seq) {
                    return Ok(Vec::new());
                }
                Ok(vec![SeatEvent::ReadAdvanced(event::ReadAdvanced {
                    room_id,
                    user_id,
                    read_seq: seq,
                    read_cnt: cnt,
                    hidden: self.hidden_after(seq),
                    at,
                })])
            }
            SeatCommand::Hide {
                room_id,
                user_id,
                seq,
                max,
                at,
            } => {
                if self.hidden.contains(&seq) {
                    return Ok(Vec::new());
                }
                if self.hidden.len() >= max {
                    return Err(SeatError::TooManyHidden { max });
                }
                Ok(vec![SeatEvent::MessageHidden(event::MessageHidden {
                    room_id,
                    user_id,
                    seq,
                    last_hidden: self.hidden.last().map_or(seq, |last| seq.max(*last)),
                    at,
                })])
            }
            SeatCommand::LeaveDirect {
                room_id,
                user_id,
                last_seq,
                last_cnt,
                at,
            } => {
                let floor_seq = last_seq.next();
                if floor_seq <= self.floor_seq || last_seq == Seq(0) {
                    return Ok(Vec::new());
                }
                Ok(vec![SeatEvent::FloorRaised(event::FloorRaised {
                    room_id,
                    user_id,
                    floor_seq,
                    floor_cnt: last_cnt,
                    at,
                })])
            }
            SeatCommand::SetPreferences {
                room_id,
                user_id,
                muted_until,
                pinned,
                alias,
                at,
            } => {
                if matches!(muted_until, Patch::Set(until) if until <= at) {
                    return Err(SeatError::MutedIntoThePast);
                }
                let after = self.preferences_after(muted_until, pinned, alias, at);
                if after == (self.muted_until, self.pinned_at, self.alias.clone()) {
                    return Ok(Vec::new());
                }
                let (muted_until, pinned_at, alias) = after;
                Ok(vec![SeatEvent::PreferencesSet(event::PreferencesSet {
                    room_id,
                    user_id,
                    muted_until,
                    pinned_at,
                    alias,
                    at,
                })])
            }
        }
    }

    /// The state after `event`. Total: what was written happened.
    pub fn evolve(&mut self, event: &SeatEvent) {
        match event {
            SeatEvent::ReadAdvanced(e) => self.read_seq = self.read_seq.max(e.read_seq),
            SeatEvent::FloorRaised(e) => {
                self.floor_seq = e.floor_seq;
                self.floor_cnt = e.floor_cnt;
            }
            SeatEvent::MessageHidden(e) => drop(self.hidden.insert(e.seq)),
            SeatEvent::PreferencesSet(e) => {
                self.muted_until = e.muted_until;
                self.pinned_at = e.pinned_at;
                self.alias.clone_from(&e.alias);
            }
        }
    }

    /// The first item that this person may see in a direct room that they left; zero if they never did.
    pub const fn floor_seq(&self) -> Seq {
        self.floor_seq
    }

    /// Whether they may see an item that everybody who was there may see: not what they left behind, nor what they hid.
    pub fn sees(&self, seq: Seq) -> bool {
        seq >= self.floor_seq && !self.hidden.contains(&seq)
    }

    /// How many messages after an item they have hidden, of those that they did not leave behind.
    fn hidden_after(&self, seq: Seq) -> u64 {
        self.hidden.range(seq.next().max(self.floor_seq)..).count() as u64
    }

    /// How many messages they have hidden.
    pub fn hidden(&self) -> usize {
        self.hidden.len()
    }

    /// How far they marked.
    pub const fn read_seq(&self) -> Seq {
        self.read_seq
    }

    fn preferences_after(
        &self,
        muted_until: Patch<Instant>,
        pinned: Option<bool>,
        alias: Patch<Sealed>,
        at: Instant,
    ) -> (Option<Instant>, Option<Instant>, Option<Sealed>) {
        let pinned_at = match pinned {
            None => self.pinned_at,
            Some(true) => self.pinned_at.or(Some(at)),
            Some(false) => None,
        };
        (
            muted_until.over(self.muted_until),
            pinned_at,
            alias.over(self.alias.clone()),
        )
    }
}

crate::aggregate!(Seat, SeatCommand, SeatEvent, SeatError, "seat");
