//! What queries show, held against the model.

use futures_util::future::join_all;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use crate::harness::client::{list, number, text};
use crate::harness::person::Person;
use crate::model::Model;
use crate::model::insist::{Tally, insist};
use crate::model::learned::Learned;
use crate::model::room::{Room, Sight, Who};
use crate::model::shown::Gone;

/// Somebody who looks at what there is.
pub(crate) struct Look<'a> {
    pub(crate) people: &'a [Person],
    pub(crate) model: &'a Model,
    pub(crate) learned: &'a mut Learned,
    pub(crate) tally: &'a Tally,
    pub(crate) rng: &'a mut StdRng,
}

impl Look<'_> {
    /// Reads what is there after everything that was done.
    async fn see(&self, who: Who, path: &str) -> Value {
        insist(who, &self.people[who].get(path).fresh(), self.tally)
            .await
            .is(200)
    }

    /// Everybody's list.
    pub(crate) async fn at_lists(&mut self) {
        let lists = (0..self.people.len()).map(|who| self.see(who, "/v1/rooms?limit=100"));
        let lists = join_all(lists).await;
        for (who, shown) in lists.iter().enumerate() {
            self.at_list(who, shown);
        }
    }

    fn at_list(&mut self, who: Who, shown: &Value) {
        let name = self.model.name(who);
        let mut expected = Vec::new();
        for room in self.model.list(who) {
            let of_room = self.model.listed(room, who);
            let item = list(&shown["items"])
                .iter()
                .find(|item| item["room_id"] == room.id.as_str());
            let item = item.unwrap_or_else(|| panic!("{name} misses {of_room} in {shown}"));
            self.learned.assert(|| format!("{name} in their list"), &of_room, item);
            expected.push(self.learned.filled(&of_room));
        }
        // The newest activity first, and of the same instant the larger id.
        expected.sort_by_key(|room| std::cmp::Reverse((text(&room["last_item"]["sent_at"]), text(&room["room_id"]))));
        let mine = self.model.rooms.iter().filter(|room| room.seats.contains_key(&who));
        let total: u64 = mine.map(|room| room.unread(who)).sum();
        let expected = json!({"items": expected, "next_cursor": null, "total_unread": total});
        self.learned.assert(|| format!("the list of {name}"), &expected, shown);
    }

    /// Every room, by everybody.
    pub(crate) async fn at_everything(&mut self) {
        self.at_lists().await;
        for place in 0..self.model.rooms.len() {
            self.at_room(place).await;
        }
    }

    /// A room, by its members and by somebody who is none.
    async fn at_room(&mut self, place: usize) {
        let room = &self.model.rooms[place];
        for who in room.seats.keys() {
            self.at_room_of(room, *who).await;
        }
        let strangers: Vec<Who> = (0..self.people.len())
            .filter(|who| !room.seats.contains_key(who))
            .collect();
        if let Some(stranger) = strangers.choose(self.rng) {
            for path in ["", "/members", "/messages", "/changes?after_version=0"] {
                let call = self.people[*stranger]
                    .get(format!("/v1/rooms/{}{path}", room.id))
                    .fresh();
                insist(*stranger, &call, self.tally)
                    .await
                    .refused(404, "room_not_found");
            }
        }
    }

    /// A room, by one of its members.
    pub(crate) async fn at_somebody_in(&mut self, place: Option<usize>) {
        let Some(room) = place.map(|place| &self.model.rooms[place]) else {
            return;
        };
        let members: Vec<Who> = room.seats.keys().copied().collect();
        if let Some(who) = members.choose(self.rng) {
            self.at_room_of(room, *who).await;
        }
    }

    /// All that one member is shown of a room.
    async fn at_room_of(&mut self, room: &Room, who: Who) {
        let path = format!("/v1/rooms/{}", room.id);
        let after = self.rng.random_range(0..=room.version());
        let (members_path, changes_path) = (
            format!("{path}/members"),
            format!("{path}/changes?after_version={after}"),
        );
        let shown = self.see(who, &path).await;
        let (members, told) = (self.see(who, &members_path).await, self.see(who, &changes_path).await);
        let name = self.model.name(who);
        self.learned.assert(
            || format!("{name} at {path}"),
            &self.model.whole_room(room, who),
            &shown,
        );
        let expected = json!({"items": self.model.members(room)});
        self.learned
            .assert(|| format!("{name} at the members of {}", room.id), &expected, &members);
        let expected = json!({"items": changes(room, who, after), "version": room.version()});
        self.learned
            .assert(|| format!("{name} at {changes_path}"), &expected, &told);
        self.at_timeline(room, who).await;
    }

    /// The timeline, page by page.
    async fn at_timeline(&mut self, room: &Room, who: Who) {
        let (first, last) = (room.first(who), room.last_seq());
        // Not more than a few pages.
        let limit = self.rng.random_range((last / 4).clamp(1, 100)..=100);
        let (mut after, mut latest) = (0, String::new());
        loop {
            let path = format!("/v1/rooms/{}/messages?after={after}&limit={limit}", room.id);
            let page = self.see(who, &path).await;
            let start = first.max(after + 1);
            let end = last.min(start + limit - 1);
            let items: Vec<Value> = (start..=end).map(|seq| self.model.item(room, seq, who)).collect();
            let expected = json!({
                "items": items,
                "has_before": start > first && first <= last,
                "has_after": end < last,
                "members_read": self.model.members_read(room),
            });
            let name = self.model.name(who);
            self.learned.assert(|| format!("{name} at {path}"), &expected, &page);
            for sent_at in list(&page["items"]).iter().filter_map(|item| item["sent_at"].as_str()) {
                assert!(*latest <= *sent_at, "{name}: time falls along seq: {page}");
                sent_at.clone_into(&mut latest);
            }
            let Some(newest) = list(&page["items"]).last().filter(|_| end < last) else {
                return;
            };
            after = number(&newest["seq"]);
        }
    }
}

/// The frames of every event since a version. They end at the head: what is deleted in them is told without words.
fn changes(room: &Room, who: Who, after: u64) -> Vec<Value> {
    let frame = |version: u64| {
        let event = room.event(version);
        let is_before_my_time = event.about.is_none() && version < room.seats[&who].joined_version;
        let sight = if is_before_my_time {
            Sight::Version
        } else {
            room.sight(who, event.about, event.answered)
        };
        room.frame(version, sight, Gone::Everything)
    };
    (after + 1..=room.version()).map(frame).collect()
}
