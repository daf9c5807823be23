//! People, rooms and messages to look at: `--demo` fills an empty store with them through the ordinary commands.
//!
//! What is said is in `demo/rooms.toml`; this carries it out, step by step. The idempotency key of a step follows from the
//! whole script and the step's number, so a fill that was interrupted is repeated from its beginning and nothing happens
//! twice; a store that anything else was written to first is left alone.

mod script;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::routing::get;
use axum::{Json, Router};
use cocotalk_application::command_bus::{Accepted, Command, CommandBus};
use cocotalk_application::directory::owner;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{CommandKey, EventLog, Metadata};
use cocotalk_application::sealing::{Sealing, hmac};
use cocotalk_application::use_case::change_room::ChangeRoom;
use cocotalk_application::use_case::invite::Invite;
use cocotalk_application::use_case::leave::Leave;
use cocotalk_application::use_case::mark_read::MarkRead;
use cocotalk_application::use_case::open_direct::OpenDirect;
use cocotalk_application::use_case::open_group::OpenGroup;
use cocotalk_application::use_case::register::{Register, claim_id};
use cocotalk_application::use_case::send_message::{SendMessage, SentAnswer};
use cocotalk_application::use_case::{RoomAnswer, UseCase};
use cocotalk_domain::claim::ClaimKind;
use cocotalk_domain::id::{CommandId, MessageId, RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::number::Seq;
use cocotalk_domain::seat::Patch;
use cocotalk_domain::stream::ClaimId;
use cocotalk_domain::text::{DisplayName, Handle, MessageText, RoomName};
use cocotalk_edge::client::LoopbackOnly;
use cocotalk_edge::door::Door;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use script::{Person, Room, Script, Step};

/// The namespace of the idempotency keys of demo steps.
const STEPS: Uuid = Uuid::from_u128(0x3d0c_57a1_8e42_4b6f_9a17_c0c0_7a1c_0002);

/// Somebody to sign in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoPerson {
    /// Who.
    pub user_id: UserId,
    /// The name to sign in with.
    pub handle: String,
    /// The name that others see.
    pub display_name: String,
}

/// `GET /v1/dev/people`: whom the console offers to sign in as; nothing, where there is no demo.
pub fn router(door: Arc<Door>, people: &[DemoPerson]) -> Router {
    if people.is_empty() {
        return Router::new();
    }
    let shown =
        |DemoPerson {
             user_id,
             handle,
             display_name,
         }: &DemoPerson| { json!({"user_id": user_id, "handle": handle, "display_name": display_name}) };
    let items: Vec<_> = people.iter().map(shown).collect();
    let people = async move |_: LoopbackOnly| Json(json!({"items": items}));
    Router::new().route("/v1/dev/people", get(people)).with_state(door)
}

/// What a fill is carried out with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// The log that is filled.
    pub log: &'a dyn EventLog,
    /// The way in.
    pub bus: &'a dyn CommandBus,
    /// Seals what is said.
    pub sealing: &'a Sealing,
    /// Stamps it.
    pub clock: &'a dyn Clock,
    /// The pepper of claims.
    pub pepper: &'a [u8; 32],
    /// The limits in force.
    pub limits: &'a Limits,
}

/// Fills an empty store, or goes on where an earlier fill stopped; a finished one is left as it is. `None`, and nothing
/// written, where the store was begun with anything else.
///
/// # Errors
/// Whatever a command was refused for or could not be carried out for; the fill can be repeated.
pub async fn fill(tools: Tools<'_>) -> anyhow::Result<Option<Vec<DemoPerson>>> {
    let (script, keys) = (Script::load()?, Uuid::new_v5(&STEPS, script::TEXT.as_bytes()));
    let mut filling = Filling {
        tools,
        keys,
        steps: 0,
        people: HashMap::new(),
    };
    let empty = tools.log.heads().await?.iter().all(|head| *head == 0);
    if !empty && !filling.was_begun(&script).await? {
        return Ok(None);
    }
    let mut people = Vec::new();
    for person in script.people {
        people.push(filling.register(person).await?);
    }
    for room in script.rooms {
        filling.room(&room).await?;
    }
    Ok(Some(people))
}

/// A fill under way.
struct Filling<'a> {
    tools: Tools<'a>,
    /// The namespace of the keys: that of this very script.
    keys: Uuid,
    /// Steps so far.
    steps: u64,
    people: HashMap<String, UserId>,
}

/// The idempotency key of a step.
fn step_id(keys: Uuid, step: u64) -> CommandId {
    CommandId(Uuid::new_v5(&keys, &step.to_be_bytes()))
}

/// What later steps of a room refer to.
struct Scene {
    room_id: RoomId,
    last_seq: Seq,
    labels: HashMap<String, MessageId>,
}

impl Filling<'_> {
    /// Whether the first step of this script was carried out in this store: the rest may be missing, but none of it is
    /// anybody else's.
    async fn was_begun(&self, script: &Script) -> anyhow::Result<bool> {
        let Some(first) = script.people.first() else {
            return Ok(false);
        };
        let key = CommandKey {
            actor: Uuid::from_bytes(self.claim(first)?.0),
            command_id: step_id(self.keys, 0),
        };
        Ok(self.tools.log.probe(Some(key), &[], &[]).await?.command.is_some())
    }

    fn claim(&self, person: &Person) -> anyhow::Result<ClaimId> {
        let handle = Handle::parse(&person.handle, self.tools.limits)?;
        Ok(claim_id(self.tools.pepper, ClaimKind::Handle, handle.as_str()))
    }

    fn next_step(&mut self) -> CommandId {
        let id = step_id(self.keys, self.steps);
        self.steps += 1;
        id
    }

    async fn register(&mut self, person: Person) -> anyhow::Result<DemoPerson> {
        let Tools {
            log,
            sealing,
            clock,
            pepper,
            limits,
            ..
        } = self.tools;
        let Person { handle, display_name } = &person;
        DisplayName::parse(display_name, limits).with_context(|| format!("the name of {handle}"))?;
        let claim = self.claim(&person)?;
        let key = CommandKey {
            actor: Uuid::from_bytes(claim.0),
            command_id: self.next_step(),
        };
        let user_id = if let Some(registered) = owner(log, claim).await? {
            registered
        } else {
            let user_id = UserId(clock.new_id());
            let profile = json!({"handle": handle, "display_name": display_name}).to_string();
            let register = Register {
                user_id,
                handle: claim,
                profile: sealing.create(user_id).await?.seal(&profile),
                at: clock.now(),
            };
            let mac = hmac(pepper, key.command_id.0.as_bytes());
            let accepted = self.execute(key, mac, Box::new(register)).await;
            accepted.with_context(|| format!("registering {handle}"))?;
            user_id
        };
        self.people.insert(handle.clone(), user_id);
        Ok(DemoPerson {
            user_id,
            handle: person.handle,
            display_name: person.display_name,
        })
    }

    async fn room(&mut self, room: &Room) -> anyhow::Result<()> {
        let opener = room.members.first().context("a room has members")?;
        let mut scene = self
            .open(room)
            .await
            .with_context(|| format!("opening a room of {opener}"))?;
        for step in &room.steps {
            self.step(&mut scene, step)
                .await
                .with_context(|| format!("carrying out {step:?}"))?;
        }
        Ok(())
    }

    async fn open(&mut self, room: &Room) -> anyhow::Result<Scene> {
        let Tools { clock, limits, .. } = self.tools;
        let members = self.users(&room.members)?;
        let (by, at) = (members[0], clock.now());
        let open: Box<dyn UseCase> = match members[..] {
            [me] => Box::new(OpenDirect::new(me, me, at)),
            [me, peer] => Box::new(OpenDirect::new(me, peer, at)),
            _ => {
                let (min_members, max_members) = OpenGroup::bounds(limits);
                Box::new(OpenGroup {
                    room_id: RoomId(clock.new_id()),
                    by,
                    user_ids: members[1..].to_vec(),
                    name: room
                        .name
                        .as_deref()
                        .map(|name| RoomName::parse(name, limits))
                        .transpose()?,
                    min_members,
                    max_members,
                    at,
                })
            }
        };
        let room_id = self.command::<RoomAnswer>(by, open).await?.room_id;
        Ok(Scene {
            room_id,
            last_seq: Seq(0),
            labels: HashMap::new(),
        })
    }

    async fn step(&mut self, scene: &mut Scene, step: &Step) -> anyhow::Result<()> {
        let Tools { clock, limits, .. } = self.tools;
        let (room_id, at) = (scene.room_id, clock.now());
        match step {
            Step::Say {
                by,
                says,
                mentions,
                label,
                answers,
            } => {
                let by = self.user(by)?;
                let text = MessageText::parse(says, limits)?;
                let key = self.tools.sealing.key(by).await?.context("the author has no key")?;
                let message = SendMessage {
                    room_id,
                    message_id: MessageId(clock.new_id()),
                    by,
                    body: key.seal(text.as_str()),
                    preview: text.preview().map(|preview| key.seal(preview)),
                    mentions: self.users(mentions)?,
                    reply_to: answers.as_ref().map(|label| scene.message(label)).transpose()?,
                    at,
                };
                let sent = self.command::<SentAnswer>(by, Box::new(message)).await?;
                scene.last_seq = Seq(sent.seq);
                if let Some(label) = label {
                    scene.labels.insert(label.clone(), sent.message_id);
                }
            }
            Step::Invite { by, invites } => {
                let (by, user_ids) = (self.user(by)?, self.users(invites)?);
                let (min_members, max_members) = (limits.group_min_members, limits.group_max_members);
                let new_room_id = RoomId(clock.new_id());
                let invite = Invite {
                    room_id,
                    new_room_id,
                    by,
                    user_ids,
                    min_members,
                    max_created: limits.group_create_members,
                    max_members,
                    at,
                };
                self.command::<RoomAnswer>(by, Box::new(invite)).await?;
            }
            Step::Rename { by, renames } => {
                let (by, name) = (self.user(by)?, Patch::Set(RoomName::parse(renames, limits)?));
                let (notice, rename_by, invite_by) = (Patch::Keep, None, None);
                let change = ChangeRoom {
                    room_id,
                    by,
                    name,
                    notice,
                    rename_by,
                    invite_by,
                    at,
                };
                self.command::<RoomAnswer>(by, Box::new(change)).await?;
            }
            Step::Leave { leaves } => {
                let by = self.user(leaves)?;
                self.command::<()>(by, Box::new(Leave { room_id, by, at })).await?;
            }
            Step::Read { read_by } => {
                for by in self.users(read_by)? {
                    let seq = scene.last_seq;
                    self.command::<()>(by, Box::new(MarkRead { room_id, by, seq, at }))
                        .await?;
                }
            }
        }
        Ok(())
    }

    fn user(&self, handle: &str) -> anyhow::Result<UserId> {
        self.people
            .get(handle)
            .copied()
            .with_context(|| format!("the script has no {handle}"))
    }

    fn users(&self, handles: &[String]) -> anyhow::Result<Vec<UserId>> {
        handles.iter().map(|handle| self.user(handle)).collect()
    }

    /// The next step, by somebody who is registered.
    async fn command<A: DeserializeOwned>(&mut self, by: UserId, use_case: Box<dyn UseCase>) -> anyhow::Result<A> {
        let key = CommandKey {
            actor: by.0,
            command_id: self.next_step(),
        };
        let data_key = self.tools.sealing.key(by).await?.context("who acts has no key")?;
        let accepted = self
            .execute(key, data_key.request_mac(key.command_id.0.as_bytes()), use_case)
            .await?;
        let body = accepted.answer.body.get();
        serde_json::from_str(body).with_context(|| format!("an answer that was not expected: {body}"))
    }

    /// Carries a step out. Its key names it whole, so the key is the fingerprint of the request too.
    async fn execute(
        &self,
        key: CommandKey,
        request_mac: [u8; 32],
        use_case: Box<dyn UseCase>,
    ) -> anyhow::Result<Accepted> {
        let metadata = Arc::new(Metadata {
            actor: key.actor.to_string(),
            command_id: key.command_id.to_string(),
            ..Metadata::default()
        });
        Ok(self
            .tools
            .bus
            .execute(Command {
                key,
                request_mac,
                metadata,
                use_case,
            })
            .await?)
    }
}

impl Scene {
    fn message(&self, label: &str) -> anyhow::Result<MessageId> {
        self.labels
            .get(label)
            .copied()
            .with_context(|| format!("no earlier message is called {label}"))
    }
}
