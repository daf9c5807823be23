//! Several people in several rooms do anything in any order, beside a model of the rules that is small enough to be read, while
//! what serves them is restarted and killed; everything that anybody is shown must be what the model says.
//!
//! - `room`: a room as plain data, and what follows from it. `decide`: which acts the rules refuse. `happen`: what the others
//!   change. `shown`: what queries and frames tell of it.
//! - `act`: an act and its call. `choose`: any of them, by chance.
//! - `insist`: a command is repeated with its key until it is answered, so that the model knows what happened.
//! - `look`, `ears`: what queries show and sockets tell, held against the model. `learned`: what only the server knows.
//! - `storm`: many acts at once while something is stopped or killed. `walk`: the whole.

mod act;
mod choose;
mod decide;
mod diary;
mod ears;
mod happen;
mod insist;
mod learned;
mod look;
mod room;
mod shown;
mod storm;
mod walk;

use crate::harness::person::Person;
use crate::model::room::{Room, Who};
pub(crate) use storm::{Fault, Ground, SILENCE};
pub(crate) use walk::everybody_sees_what_the_rules_say;

/// Who there is, by place and in the order of their ids, and every room that ever was.
#[derive(Default)]
struct Model {
    /// Id and name of each.
    people: Vec<(String, String)>,
    rooms: Vec<Room>,
}

impl Model {
    /// These people, and no room yet.
    fn of(people: &[Person]) -> Self {
        let people = people.iter().map(|person| (person.id.clone(), person.name.clone()));
        Self {
            people: people.collect(),
            rooms: Vec::new(),
        }
    }

    fn id(&self, who: Who) -> &str {
        &self.people[who].0
    }

    fn name(&self, who: Who) -> &str {
        &self.people[who].1
    }

    fn who(&self, id: &str) -> Option<Who> {
        self.people.iter().position(|(other, _)| other == id)
    }

    /// The direct room of two people, if it was opened.
    fn direct(&self, one: Who, other: Who) -> Option<&Room> {
        let pair = std::collections::BTreeSet::from([one, other]);
        let is_theirs = |room: &&Room| room.is_direct && room.seats.keys().eq(&pair);
        self.rooms.iter().find(is_theirs)
    }

    fn room(&self, id: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| room.id == id)
    }

    /// Adds a room, and gives its place.
    fn open(&mut self, room: Room) -> usize {
        let place = self.rooms.len();
        self.rooms.push(Room { place, ..room });
        place
    }
}
