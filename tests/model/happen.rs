//! What follows from an act that is carried out: the state after it, and the events that people are told of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::{number, text};
use crate::model::Model;
use crate::model::act::{Act, Change};
use crate::model::room::{Allowed, Event, Item, Line, Mark, Message, Role, Room, Seat, What, Who};
use crate::model::shown;

impl Model {
    /// Carries an act out, as it was answered.
    pub(crate) fn happen(&mut self, by: Who, act: Act, answer: &Value) {
        match act {
            Act::OpenGroup { with, name } => self.open_group(by, &with, name, answer),
            Act::OpenDirect { with } => self.open_direct(by, with, answer),
            Act::Say {
                room,
                text: words,
                reply_to,
                mentions,
            } => {
                let reply_to = reply_to.and_then(|message| self.rooms[room].seq_of(&message));
                let message = Message {
                    id: text(&answer["message_id"]),
                    text: words,
                    reply_to,
                    mentions,
                    edited: None,
                    deleted: false,
                    reactions: BTreeMap::new(),
                };
                self.say(room, by, message, answer);
            }
            Act::Edit { room, message, text } => {
                let seq = self.message(room, &message);
                let version = self.rooms[room].version() + 1;
                let message = self.rooms[room].message_mut(seq);
                (message.text, message.edited) = (text, Some(version));
                assert_eq!(number(&answer["seq"]), seq);
                self.tell_of_item(room, "message.edited", seq);
            }
            Act::Delete { room, message } => {
                let seq = self.message(room, &message);
                let message = self.rooms[room].message_mut(seq);
                message.deleted = true;
                message.reactions.clear();
                self.tell_of_item(room, "message.deleted", seq);
            }
            Act::Hide { room, message } => {
                let seq = self.message(room, &message);
                let own = self.rooms[room].own_mut(by);
                own.hidden.insert(seq);
                own.told.push(json!({"hidden_seqs": [seq]}));
            }
            Act::React {
                room,
                message,
                emoji,
                puts,
            } => self.react(room, by, &message, puts.then_some(emoji)),
            Act::Read { room, seq } => self.mark(room, by, seq),
            Act::Prefer {
                room,
                muted_until,
                pinned,
                alias,
            } => {
                let own = self.rooms[room].own_mut(by);
                own.muted_until = muted_until.map_or(own.muted_until.take(), |until| until.map(str::to_owned));
                own.pinned = pinned.unwrap_or(own.pinned);
                own.alias = alias.unwrap_or(own.alias.take());
                let (muted_until, pinned, alias) = (&own.muted_until, own.pinned, &own.alias);
                let preferences = json!({"muted_until": muted_until, "pinned": pinned, "alias": alias});
                own.told.push(json!({"preferences": preferences}));
            }
            Act::Alter {
                room,
                name,
                notice,
                rename_by,
                invite_by,
            } => {
                self.name_it(room, by, name, notice);
                self.set(room, rename_by, invite_by);
            }
            Act::Invite { room, guests } if self.rooms[room].is_direct => {
                let with = [guests, self.rooms[room].seats.keys().copied().collect()].concat();
                self.open_group(by, &with, None, answer);
            }
            Act::Invite { room, guests } => self.invite(room, by, &guests),
            Act::Kick { room, whom } => self.kick(room, by, whom),
            Act::GiveRole { room, whom, role } => self.give_role(room, by, whom, role),
            Act::Leave { room } => self.leave(room, by),
        }
    }

    fn message(&self, room: usize, message: &str) -> u64 {
        self.rooms[room].seq_of(message).expect("it was decided on")
    }

    fn open_group(&mut self, by: Who, with: &[Who], name: Option<String>, answer: &Value) {
        let mut members = [with, &[by]].concat();
        members.sort_unstable();
        members.dedup();
        let seat = |who: Who| {
            let role = if who == by { Role::Owner } else { Role::Member };
            (
                who,
                Seat {
                    role,
                    joined: 1,
                    joined_version: 1,
                },
            )
        };
        let place = self.open(Room {
            id: text(&answer["room_id"]),
            name: name.clone(),
            seats: members.iter().copied().map(seat).collect(),
            ..Room::default()
        });
        members.retain(|who| *who != by);
        let line = Line {
            kind: "invited",
            members: members.clone(),
            ..Line::default()
        };
        let seq = self.rooms[place].add(by, What::Line(line));
        let item = self.item_for_everyone(&self.rooms[place], seq);
        let user_ids: Vec<&str> = [by].iter().chain(&members).map(|who| self.id(*who)).collect();
        let mut data = json!({"kind": "group", "owner_id": self.id(by), "user_ids": user_ids, "item": item});
        data.as_object_mut()
            .unwrap()
            .extend(name.map(|name| ("name".to_owned(), json!(name))));
        self.rooms[place].tell("room.created", data, Some(seq), None);
    }

    fn open_direct(&mut self, by: Who, with: Who, answer: &Value) {
        let seat = Seat {
            role: Role::Member,
            joined: 1,
            joined_version: 1,
        };
        let place = self.open(Room {
            id: text(&answer["room_id"]),
            is_direct: true,
            seats: [by, with].map(|who| (who, seat)).into(),
            ..Room::default()
        });
        let mut members = vec![by, with];
        members.dedup();
        let user_ids: Vec<&str> = members.iter().map(|who| self.id(*who)).collect();
        let data = json!({"kind": "direct", "user_ids": user_ids});
        self.rooms[place].tell("room.created", data, Some(1), None);
    }

    fn say(&mut self, room: usize, by: Who, message: Message, answer: &Value) {
        let answered = message.reply_to;
        let seq = self.rooms[room].add(by, What::Message(message));
        self.rooms[room].own_mut(by).read = seq;
        assert_eq!(number(&answer["seq"]), seq, "{answer}");
        let data = self.item_for_everyone(&self.rooms[room], seq);
        self.rooms[room].tell("message.sent", data, Some(seq), answered);
    }

    /// Tells of a message as it is now.
    fn tell_of_item(&mut self, room: usize, kind: &'static str, seq: u64) {
        let data = self.item_for_everyone(&self.rooms[room], seq);
        let message = self.rooms[room].message(seq);
        let answered = message.reply_to.filter(|_| !message.deleted);
        self.rooms[room].tell(kind, data, Some(seq), answered);
    }

    fn react(&mut self, room: usize, by: Who, message: &str, emoji: Option<&'static str>) {
        let seq = self.message(room, message);
        let message = self.rooms[room].message_mut(seq);
        match emoji {
            Some(emoji) => drop(message.reactions.insert(by, emoji)),
            None => drop(message.reactions.remove(&by)),
        }
        let data = json!({
            "seq": seq,
            "message_id": self.rooms[room].message(seq).id,
            "user_id": self.id(by),
            "emoji": emoji,
            "reactions": shown::reactions(self.rooms[room].message(seq), None),
        });
        self.rooms[room].tell("reaction.changed", data, Some(seq), None);
    }

    fn mark(&mut self, room: usize, by: Who, seq: u64) {
        let room = &mut self.rooms[room];
        let read = seq.min(room.last_seq());
        room.own_mut(by).read = read;
        room.marks.push(Mark {
            whose: by,
            read,
            unread: room.unread(by),
            audience: room.seats.keys().copied().collect(),
            is_left_behind: false,
        });
    }

    fn name_it(&mut self, room: usize, by: Who, name: Change<String>, notice: Change<String>) {
        if let Some(name) = name.filter(|name| *name != self.rooms[room].name) {
            self.rooms[room].name.clone_from(&name);
            self.line(
                room,
                by,
                "renamed",
                "room.changed",
                Line {
                    name,
                    ..Line::default()
                },
                |line, item| json!({"name": line.name, "item": item}),
            );
        }
        if let Some(notice) = notice.filter(|notice| *notice != self.rooms[room].notice) {
            self.rooms[room].notice.clone_from(&notice);
            let line = Line {
                name: notice,
                ..Line::default()
            };
            self.line(
                room,
                by,
                "notice",
                "room.changed",
                line,
                |line, item| json!({"notice": line.name, "item": item}),
            );
        }
    }

    fn set(&mut self, room: usize, rename_by: Option<Allowed>, invite_by: Option<Allowed>) {
        let room = &mut self.rooms[room];
        if room.settings_change(rename_by, invite_by) {
            room.rename_by = rename_by.unwrap_or(room.rename_by);
            room.invite_by = invite_by.unwrap_or(room.invite_by);
            let data = json!({"settings": shown::settings(room)});
            room.tell("room.changed", data, None, None);
        }
    }

    fn invite(&mut self, room: usize, by: Who, guests: &[Who]) {
        let here = &mut self.rooms[room];
        let mut new: Vec<Who> = guests
            .iter()
            .copied()
            .filter(|guest| !here.seats.contains_key(guest))
            .collect();
        new.sort_unstable();
        new.dedup();
        let (joined, joined_version) = (here.last_seq() + 1, here.version() + 1);
        let seat = Seat {
            role: Role::Member,
            joined,
            joined_version,
        };
        here.seats.extend(new.iter().map(|guest| (*guest, seat)));
        self.about_members(room, by, "invited", "member.joined", new, None);
    }

    fn kick(&mut self, room: usize, by: Who, whom: Who) {
        self.about_members(room, by, "kicked", "member.kicked", vec![whom], None);
        self.rooms[room].seats.remove(&whom);
    }

    fn give_role(&mut self, room: usize, by: Who, whom: Who, role: Role) {
        self.rooms[room].take_role(whom, role);
        self.about_members(room, by, "role_changed", "member.role_changed", vec![whom], Some(role));
        if role == Role::Owner {
            self.follow(room, by, Role::Admin);
        }
    }

    fn leave(&mut self, room: usize, by: Who) {
        if self.rooms[room].is_direct {
            let floor = self.rooms[room].last_seq() + 1;
            let own = self.rooms[room].own_mut(by);
            own.floor = floor;
            own.told.push(json!({}));
            let mine = self.rooms[room].marks.iter_mut().filter(|mark| mark.whose == by);
            mine.for_each(|mark| mark.is_left_behind = true);
            return;
        }
        let was_owner = self.rooms[room].owner() == Some(by);
        self.about_members(room, by, "left", "member.left", vec![by], None);
        self.rooms[room].seats.remove(&by);
        match self.rooms[room].heir() {
            None => self.rooms[room].tell("room.closed", json!({}), None, None),
            Some(heir) if was_owner => self.follow(room, heir, Role::Owner),
            Some(_) => {}
        }
    }

    /// Somebody's role changes because of somebody else's: no line tells of it.
    fn follow(&mut self, room: usize, who: Who, role: Role) {
        self.rooms[room].take_role(who, role);
        let data = json!({"user_ids": [self.id(who)], "role": role.word()});
        self.rooms[room].tell("member.role_changed", data, None, None);
    }

    fn about_members(
        &mut self,
        room: usize,
        by: Who,
        line: &'static str,
        kind: &'static str,
        members: Vec<Who>,
        role: Option<Role>,
    ) {
        let user_ids: Vec<String> = members.iter().map(|who| self.id(*who).to_owned()).collect();
        let line_of = Line {
            members,
            role,
            ..Line::default()
        };
        self.line(room, by, line, kind, line_of, |line, item| {
            let mut data = json!({"user_ids": user_ids, "item": item});
            data.as_object_mut()
                .unwrap()
                .extend(line.role.map(|role| ("role".to_owned(), json!(role.word()))));
            data
        });
    }

    /// Adds a line, and tells of it with what `data` makes of the line and its item.
    fn line(
        &mut self,
        room: usize,
        by: Who,
        line_kind: &'static str,
        kind: &'static str,
        line: Line,
        data: impl Fn(&Line, Value) -> Value,
    ) {
        let line = Line {
            kind: line_kind,
            ..line
        };
        let seq = self.rooms[room].add(by, What::Line(line.clone()));
        let item = self.item_for_everyone(&self.rooms[room], seq);
        self.rooms[room].tell(kind, data(&line, item), Some(seq), None);
    }
}

impl Room {
    /// Adds the item of the next event.
    fn add(&mut self, author: Who, what: What) -> u64 {
        let version = self.version() + 1;
        self.items.push(Item { author, what, version });
        self.last_seq()
    }

    /// Tells the next event to everybody who is there.
    fn tell(&mut self, kind: &'static str, data: Value, about: Option<u64>, answered: Option<u64>) {
        let sight = |who: &Who| (*who, self.sight(*who, about, answered));
        let audience = self.seats.keys().map(sight).collect();
        self.events.push(Event {
            kind,
            data,
            about,
            answered,
            audience,
        });
    }

    fn take_role(&mut self, who: Who, role: Role) {
        self.seats.get_mut(&who).expect("it was decided on").role = role;
    }

    /// Whether a change of the settings changes something.
    pub(crate) fn settings_change(&self, rename_by: Option<Allowed>, invite_by: Option<Allowed>) -> bool {
        rename_by.is_some_and(|by| by != self.rename_by) || invite_by.is_some_and(|by| by != self.invite_by)
    }
}
