//! A crowd: senders that repeat whatever was not answered, watchers that resume whatever was cut, and what must be true after
//! all that, whichever processes were killed or cut off meanwhile.

pub(crate) mod check;
pub(crate) mod load;
pub(crate) mod watch;

use futures_util::future::join_all;

use crate::harness::client::Api;
use crate::harness::person::Person;

const ROOMS: usize = 8;
const SENDERS: usize = 32;
const WATCHERS: usize = 3;

/// Who is there and where.
pub(crate) struct World {
    pub(crate) senders: Vec<Person>,
    pub(crate) watchers: Vec<Person>,
    pub(crate) rooms: Vec<String>,
}

impl World {
    /// Every watcher is in every room, every sender in two of them.
    pub(crate) async fn settle(api: &Api) -> Self {
        let (senders, watchers) = (api.people(SENDERS).await, api.people(WATCHERS).await);
        let open = |number: usize| {
            let here = senders
                .iter()
                .enumerate()
                .filter(move |(index, _)| rooms_of(*index).contains(&number));
            let members: Vec<_> = here.map(|(_, sender)| sender).chain(&watchers[1..]).collect();
            let owner = &watchers[0];
            async move { owner.group(&members).await }
        };
        let rooms = join_all((0..ROOMS).map(open)).await;
        Self {
            senders,
            watchers,
            rooms,
        }
    }

    /// The same people elsewhere.
    pub(crate) fn at(&self, api: &Api) -> Self {
        let moved = |people: &[Person]| people.iter().map(|person| person.at(api)).collect();
        Self {
            senders: moved(&self.senders),
            watchers: moved(&self.watchers),
            rooms: self.rooms.clone(),
        }
    }

    /// The rooms this sender posts into.
    pub(crate) fn rooms_of(&self, sender: usize) -> [String; 2] {
        rooms_of(sender).map(|number| self.rooms[number].clone())
    }
}

fn rooms_of(sender: usize) -> [usize; 2] {
    [sender % ROOMS, (sender + 1) % ROOMS]
}
