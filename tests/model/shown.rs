//! What the API shows of the model: items, rooms, lists, members and frames, each as the whole JSON that is expected.

use serde_json::{Map, Value, json};

use crate::model::Model;
use crate::model::learned::{at, position};
use crate::model::room::{Item, Line, Message, Role, Room, Sight, What, Who};

/// So many characters of a text are its preview.
const PREVIEW: usize = 100;

fn preview(text: &str) -> String {
    text.chars().take(PREVIEW).collect()
}

/// Takes out what is null: such a field is left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}

impl Model {
    fn ids(&self, people: &[Who]) -> Vec<&str> {
        people.iter().map(|who| self.id(*who)).collect()
    }

    /// An item as a member sees it.
    pub(crate) fn item(&self, room: &Room, seq: u64, viewer: Who) -> Value {
        if !room.sees(viewer, seq) {
            return json!({"seq": seq, "kind": "hidden"});
        }
        let item = room.item(seq);
        let shown = self.bare_item(room, seq, item, room.unread_members(seq));
        let What::Message(message) = &item.what else {
            return shown;
        };
        let reply_to = message.reply_to.map(|answered| {
            let sees = room.sees(viewer, answered);
            if sees {
                self.answered(room, answered)
            } else {
                json!({"seq": answered})
            }
        });
        self.with_words(shown, message, reply_to.as_ref(), room.place, Some(viewer))
    }

    /// An item as frames carry it, as of now.
    pub(crate) fn item_for_everyone(&self, room: &Room, seq: u64) -> Value {
        let item = room.item(seq);
        let others = room.seats.keys().filter(|who| **who != item.author).count() as u64;
        match &item.what {
            What::Line(_) => self.bare_item(room, seq, item, 0),
            What::Message(message) => {
                let shown = self.bare_item(room, seq, item, others);
                let reply_to = message.reply_to.map(|answered| self.answered(room, answered));
                self.with_words(shown, message, reply_to.as_ref(), room.place, None)
            }
        }
    }

    fn bare_item(&self, room: &Room, seq: u64, item: &Item, unread_members: u64) -> Value {
        let mut shown = json!({
            "seq": seq,
            "author_id": self.id(item.author),
            "sent_at": at(room.place, item.version),
            "deleted": false,
            "reactions": [],
            "unread_member_count": unread_members,
        });
        match &item.what {
            What::Message(message) => {
                shown["kind"] = json!("text");
                shown["message_id"] = json!(message.id);
            }
            What::Line(Line {
                kind,
                members,
                name,
                role,
            }) => {
                shown["kind"] = json!(kind);
                shown["name"] = json!(name);
                shown["role"] = json!(role.map(Role::word));
                shown["members"] = if members.is_empty() {
                    Value::Null
                } else {
                    json!(self.ids(members))
                };
            }
        }
        without_nulls(shown)
    }

    /// What a message has beyond what is left of it when it is deleted.
    fn with_words(
        &self,
        mut shown: Value,
        message: &Message,
        reply_to: Option<&Value>,
        place: usize,
        viewer: Option<Who>,
    ) -> Value {
        if message.deleted {
            shown["deleted"] = json!(true);
            return shown;
        }
        shown["text"] = json!(message.text);
        shown["reply_to"] = json!(reply_to);
        shown["edited_at"] = message.edited.map_or(Value::Null, |version| at(place, version));
        let mentions = &message.mentions;
        shown["mentions"] = if mentions.is_empty() {
            Value::Null
        } else {
            json!(self.ids(mentions))
        };
        shown["reactions"] = reactions(message, viewer);
        without_nulls(shown)
    }

    /// An answered message as its reply shows it, as of now.
    fn answered(&self, room: &Room, seq: u64) -> Value {
        let message = room.message(seq);
        without_nulls(json!({
            "seq": seq,
            "message_id": message.id,
            "author_id": self.id(room.item(seq).author),
            "kind": "text",
            "preview": (!message.deleted).then(|| preview(&message.text)),
            "deleted": message.deleted,
        }))
    }

    /// A room as a member's list shows it.
    pub(crate) fn listed(&self, room: &Room, who: Who) -> Value {
        let own = room.own(who);
        let sample = room.sample().into_iter();
        let mut shown = json!({
            "room_id": room.id,
            "version": room.version(),
            "kind": if room.is_direct { "direct" } else { "group" },
            "member_count": room.seats.len(),
            "members_sample": sample.map(|who| json!({"user_id": self.id(who), "display_name": self.name(who)})).collect::<Vec<_>>(),
            "last_item": room.last_seen(who).map(|seq| self.last_item(room, seq)),
            "unread_count": room.unread(who),
            "last_seq": room.last_seq(),
            "read_seq": room.read(who),
            "muted_until": own.muted_until,
            "pinned": own.pinned,
            "alias": own.alias,
            "peer_id": room.is_direct.then(|| self.id(peer(room, who))),
        });
        shown = without_nulls(shown);
        shown["name"] = json!(room.name);
        shown
    }

    fn last_item(&self, room: &Room, seq: u64) -> Value {
        let item = room.item(seq);
        let (kind, words, deleted) = match &item.what {
            What::Message(message) if message.deleted => ("text", None, true),
            What::Message(message) => ("text", Some(preview(&message.text)), false),
            What::Line(line) => (line.kind, None, false),
        };
        json!({
            "seq": seq,
            "kind": kind,
            "preview": words,
            "author_id": self.id(item.author),
            "sent_at": at(room.place, item.version),
            "deleted": deleted,
        })
    }

    /// A room as a member is shown it.
    pub(crate) fn whole_room(&self, room: &Room, who: Who) -> Value {
        let mut shown = self.listed(room, who);
        let more = without_nulls(json!({
            "my_role": room.seats[&who].role.word(),
            "joined_seq": room.first(who),
            "notice": room.notice,
            "settings": settings(room),
        }));
        if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
            shown.extend(more);
        }
        shown
    }

    /// The rooms in a person's list, in no order.
    pub(crate) fn list(&self, who: Who) -> impl Iterator<Item = &Room> {
        let is_listed =
            move |room: &&Room| room.seats.contains_key(&who) && (!room.is_direct || room.last_seen(who).is_some());
        self.rooms.iter().filter(is_listed)
    }

    /// How far every member has read.
    pub(crate) fn members_read(&self, room: &Room) -> Value {
        let read = |who: &Who| json!({"user_id": self.id(*who), "read_seq": room.read(*who)});
        room.seats.keys().map(read).collect()
    }

    /// The members, whoever came first first.
    pub(crate) fn members(&self, room: &Room) -> Value {
        let member = |who: Who| {
            let seat = room.seats[&who];
            json!({
                "user_id": self.id(who),
                "display_name": self.name(who),
                "role": seat.role.word(),
                "joined_at": at(room.place, seat.joined_version),
                "read_seq": room.read(who),
            })
        };
        room.in_order().into_iter().map(member).collect()
    }
}

impl Room {
    /// The frame of an event for whoever sees so much of it, without what is known to be gone.
    pub(crate) fn frame(&self, version: u64, sight: Sight, gone: Gone) -> Value {
        let event = self.event(version);
        let mut data = event.data.clone();
        let is_message = event.kind == "message.sent" || event.kind == "message.edited";
        if is_message && gone != Gone::Nothing {
            without_what_is_gone(
                self,
                event.about.filter(|_| gone == Gone::Everything),
                event.answered,
                &mut data,
            );
        }
        if let (true, Sight::WithoutAnswered, Some(seq)) = (data["reply_to"].is_object(), sight, event.answered) {
            data["reply_to"] = json!({"seq": seq});
        }
        let (kind, data) = match sight {
            Sight::Version => ("room.changed", json!({})),
            Sight::WithoutAnswered | Sight::Whole => (event.kind, data),
        };
        json!({
            "op": "event",
            "type": kind,
            "room_id": self.id,
            "version": version,
            "position": position(self.place, version),
            "at": at(self.place, version),
            "data": data,
        })
    }
}

/// What a frame of a message is told without, of what was deleted since: a replay ends somewhere before now, and the message may
/// be deleted later than what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Nothing,
    Answered,
    Everything,
}

/// Who a direct room is with.
fn peer(room: &Room, who: Who) -> Who {
    room.seats.keys().copied().find(|other| *other != who).unwrap_or(who)
}

/// What a group lets whom do.
pub(crate) fn settings(room: &Room) -> Value {
    json!({"rename_by": room.rename_by.word(), "invite_by": room.invite_by.word()})
}

/// Reactions, the most frequent first, and of the same number in the order of their emoji.
pub(crate) fn reactions(message: &Message, viewer: Option<Who>) -> Value {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    message
        .reactions
        .values()
        .for_each(|emoji| *counts.entry(emoji).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reaction = |(emoji, count)| {
        let mine = viewer.map(|who| message.reactions.get(&who) == Some(&emoji));
        without_nulls(json!({"emoji": emoji, "count": count, "mine": mine}))
    };
    counts.into_iter().map(reaction).collect()
}

/// What a frame of a message keeps when that, or what it answers, is known to be deleted.
fn without_what_is_gone(room: &Room, about: Option<u64>, answered: Option<u64>, data: &mut Value) {
    let is_gone = |seq: Option<u64>| seq.is_some_and(|seq| room.message(seq).deleted);
    if is_gone(about) {
        let kept = |name: &String| !["text", "reply_to", "mentions", "edited_at"].contains(&name.as_str());
        let fields: Map<String, Value> = data.as_object().cloned().unwrap_or_default();
        *data = Value::Object(fields.into_iter().filter(|(name, _)| kept(name)).collect());
        data["deleted"] = json!(true);
        data["reactions"] = json!([]);
    } else if is_gone(answered) {
        data["reply_to"]["deleted"] = json!(true);
        data["reply_to"].as_object_mut().unwrap().remove("preview");
    }
}
