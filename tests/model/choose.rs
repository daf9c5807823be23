//! Any act of anybody, by chance: mostly what the rules let them do, now and then what they do not.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::model::Model;
use crate::model::act::Act;
use crate::model::room::{Allowed, Message, Role, Room, Who};

/// Rooms that are opened at most: more are only more of the same.
const ROOMS: usize = 12;
/// So many of the newest messages are what people mostly talk about.
const RECENT: usize = 8;
const EMOJI: [&str; 4] = ["👍", "❤\u{fe0f}", "😂", "🎉"];
const MUTES: [Option<&str>; 4] = [
    None,
    Some("2099-12-31T15:00:00.000Z"),
    Some("2098-01-01T00:00:00.000Z"),
    Some("2020-01-01T00:00:00.000Z"),
];

impl Model {
    /// An act anywhere.
    pub(crate) fn anything(&self, rng: &mut StdRng) -> (Who, Act) {
        let may_open = self.rooms.len() < ROOMS;
        let place = self.rooms.choose(rng).map(|room| room.place);
        match (rng.random_range(0..100), place) {
            (0..8, _) | (_, None) if may_open => {
                let with = (0..rng.random_range(2..4)).map(|_| self.anybody(rng)).collect();
                let name = rng.random_bool(0.5).then(|| "이층 모임".to_owned());
                (self.anybody(rng), Act::OpenGroup { with, name })
            }
            (8..16, _) => {
                let (by, with) = (self.anybody(rng), self.anybody(rng));
                if may_open || self.direct(by, with).is_some() {
                    (by, Act::OpenDirect { with })
                } else {
                    self.anything(rng)
                }
            }
            (16..18, Some(place)) if may_open => {
                let guests = vec![self.anybody(rng), self.anybody(rng)];
                (
                    self.somebody(&self.rooms[place], rng),
                    Act::Invite { room: place, guests },
                )
            }
            (_, Some(place)) => self.anything_in(place, rng),
            (_, None) => self.anything(rng),
        }
    }

    /// An act in one room, on nothing that is not of that room.
    pub(crate) fn anything_in(&self, place: usize, rng: &mut StdRng) -> (Who, Act) {
        let here = &self.rooms[place];
        let by = self.somebody(here, rng);
        let room = place;
        let act = match rng.random_range(0..100) {
            0..32 => return (by, self.saying(here, rng)),
            32..40 => {
                let (author, message) = self.some_message(here, rng);
                let by = if rng.random_bool(0.7) { author } else { by };
                return (
                    by,
                    Act::Edit {
                        room,
                        message,
                        text: words(rng),
                    },
                );
            }
            40..47 => {
                let (author, message) = self.some_message(here, rng);
                let by = if rng.random_bool(0.5) { author } else { by };
                return (by, Act::Delete { room, message });
            }
            47..53 => Act::Hide {
                room,
                message: self.some_message(here, rng).1,
            },
            53..62 => Act::React {
                room,
                message: self.some_message(here, rng).1,
                emoji: some_emoji(rng),
                puts: true,
            },
            62..67 => return taking_back(here, rng).unwrap_or_else(|| self.taking_back_nothing(here, by, rng)),
            67..78 => {
                let from = if rng.random_bool(0.6) {
                    here.last_seq().saturating_sub(3)
                } else {
                    0
                };
                let seq = rng.random_range(from..=here.last_seq() + 2);
                Act::Read { room, seq }
            }
            78..82 => Act::Prefer {
                room,
                muted_until: rng.random_bool(0.4).then(|| MUTES.choose(rng).copied().flatten()),
                pinned: rng.random_bool(0.5).then(|| rng.random_bool(0.5)),
                alias: rng
                    .random_bool(0.4)
                    .then(|| rng.random_bool(0.7).then(|| words(rng).chars().take(20).collect())),
            },
            82..87 => Act::Alter {
                room,
                name: rng
                    .random_bool(0.5)
                    .then(|| rng.random_bool(0.8).then(|| number(rng, "이름"))),
                notice: rng
                    .random_bool(0.4)
                    .then(|| rng.random_bool(0.8).then(|| number(rng, "공지"))),
                rename_by: allowed(rng),
                invite_by: allowed(rng),
            },
            87..91 if !here.is_direct => Act::Invite {
                room,
                guests: vec![self.anybody(rng), self.anybody(rng)],
            },
            91..94 => Act::Leave { room },
            94..96 => Act::Kick {
                room,
                whom: self.somebody(here, rng),
            },
            96..98 => {
                let role = *[Role::Member, Role::Admin, Role::Admin, Role::Owner]
                    .choose(rng)
                    .unwrap();
                return (
                    here.owner().unwrap_or(by),
                    Act::GiveRole {
                        room,
                        whom: self.somebody(here, rng),
                        role,
                    },
                );
            }
            98 => Act::GiveRole {
                room,
                whom: self.somebody(here, rng),
                role: Role::Admin,
            },
            _ => {
                return (
                    here.owner().unwrap_or(by),
                    Act::Kick {
                        room,
                        whom: self.somebody(here, rng),
                    },
                );
            }
        };
        (by, act)
    }

    fn saying(&self, room: &Room, rng: &mut StdRng) -> Act {
        let mentions = |rng: &mut StdRng| -> Vec<Who> {
            let members: Vec<Who> = room.seats.keys().copied().collect();
            let stranger = rng.random_bool(0.2).then(|| self.anybody(rng));
            let mut mentions: Vec<Who> = members.choose(rng).copied().into_iter().chain(stranger).collect();
            mentions.dedup();
            mentions
        };
        Act::Say {
            room: room.place,
            text: words(rng),
            reply_to: rng.random_bool(0.3).then(|| self.some_message(room, rng).1),
            mentions: if rng.random_bool(0.2) {
                mentions(rng)
            } else {
                Vec::new()
            },
        }
    }

    fn taking_back_nothing(&self, room: &Room, by: Who, rng: &mut StdRng) -> (Who, Act) {
        let act = Act::React {
            room: room.place,
            message: self.some_message(room, rng).1,
            emoji: some_emoji(rng),
            puts: false,
        };
        (by, act)
    }

    fn anybody(&self, rng: &mut StdRng) -> Who {
        rng.random_range(0..self.people.len())
    }

    /// Somebody in the room, now and then anybody.
    fn somebody(&self, room: &Room, rng: &mut StdRng) -> Who {
        let members: Vec<Who> = room.seats.keys().copied().collect();
        match members.choose(rng) {
            Some(member) if rng.random_bool(0.93) => *member,
            Some(_) | None => self.anybody(rng),
        }
    }

    /// A message of the room and its author, mostly a new one; now and then one that is not there.
    fn some_message(&self, room: &Room, rng: &mut StdRng) -> (Who, String) {
        let messages: Vec<(Who, &str)> = room
            .messages()
            .map(|(_, author, message)| (author, message.id.as_str()))
            .collect();
        let recent = &messages[messages.len().saturating_sub(RECENT)..];
        let among = if rng.random_bool(0.7) { recent } else { &messages[..] };
        match among.choose(rng) {
            Some((author, message)) if rng.random_bool(0.96) => (*author, (*message).to_owned()),
            Some(_) | None => {
                let id = uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string();
                (self.somebody(room, rng), id)
            }
        }
    }
}

/// Mostly, somebody takes a reaction back that is there.
fn taking_back(room: &Room, rng: &mut StdRng) -> Option<(Who, Act)> {
    let of = |message: &Message| -> Vec<(Who, String, &'static str)> {
        let reactions = message.reactions.iter();
        reactions
            .map(|(who, emoji)| (*who, message.id.clone(), *emoji))
            .collect()
    };
    let there: Vec<_> = room.messages().flat_map(|(_, _, message)| of(message)).collect();
    let (by, message, emoji) = there.choose(rng).cloned()?;
    if rng.random_bool(0.3) {
        return None;
    }
    let (room, puts) = (room.place, false);
    Some((
        by,
        Act::React {
            room,
            message,
            emoji,
            puts,
        },
    ))
}

fn some_emoji(rng: &mut StdRng) -> &'static str {
    EMOJI.choose(rng).copied().expect("there are some")
}

fn allowed(rng: &mut StdRng) -> Option<Allowed> {
    rng.random_bool(0.15).then(|| {
        if rng.random_bool(0.6) {
            Allowed::All
        } else {
            Allowed::Admins
        }
    })
}

fn number(rng: &mut StdRng, word: &str) -> String {
    format!("{word} {}", rng.random_range(0..4))
}

/// Some words, now and then more than a preview has.
fn words(rng: &mut StdRng) -> String {
    let long = if rng.random_bool(0.1) {
        rng.random_range(80..140)
    } else {
        rng.random_range(0..6)
    };
    format!("글 {} {}", rng.random_range(0..100_000), "ㅋ".repeat(long))
        .trim_end()
        .to_owned()
}
