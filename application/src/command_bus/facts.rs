//! What is known of single messages, which no state of an aggregate holds: kept beside the states, complete up to a version
//! of the message's room, and brought up to date by the few events about that message since.

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::MessageId;
use cocotalk_domain::room::MessageFacts;
use cocotalk_domain::stream::StreamId;

use super::batch::Batch;
use super::cache::Weigh;
use crate::error::StoreError;
use crate::metrics::FACT_READS;
use crate::port::event_log::{LogReader, PAGE_EVENTS};

/// What is known of a message.
pub(super) struct Known {
    pub(super) facts: MessageFacts,
    /// Every event about it up to this version of its room is in the facts; in a batch, so is what the batch has decided.
    pub(super) version: u64,
}

impl Known {
    /// The stream that the message stands in.
    pub(super) const fn stream(&self) -> StreamId {
        StreamId::Room(self.facts.room_id)
    }
}

impl Weigh for Known {
    fn weight(&self) -> usize {
        self.facts.weight()
    }
}

/// The facts of a message of the room `home` as this batch has left it, with what it answers as that is now; none if there
/// is no such message in it.
///
/// Read after the state of the room: were they newer than that, whatever is decided on both would lose its race.
pub(super) async fn facts(
    batch: &mut Batch,
    reader: &dyn LogReader,
    home: StreamId,
    message: MessageId,
) -> Result<Option<MessageFacts>, StoreError> {
    let Some(facts) = known(batch, reader, home, message).await? else {
        return Ok(None);
    };
    let answered = match &facts.reply_to {
        Some(reply_to) => known(batch, reader, home, reply_to.message_id).await?,
        None => None,
    };
    Ok(Some(facts.answering(answered.as_ref())))
}

async fn known(
    batch: &mut Batch,
    reader: &dyn LogReader,
    home: StreamId,
    message: MessageId,
) -> Result<Option<MessageFacts>, StoreError> {
    let committed = batch.committed(&home);
    let (mut facts, mut version) = match batch.facts.remove(&message) {
        Some(known) => (Some(known.facts), known.version),
        None => (None, 0),
    };
    if facts.is_none() || version < committed {
        metrics::counter!(FACT_READS).increment(1);
        loop {
            let events = reader.about(message.0, version).await?;
            let page = events.len();
            for recorded in events {
                if let AnyEvent::Room(event) = recorded.event? {
                    facts = MessageFacts::after(facts, &event);
                }
                version = recorded.sequence;
            }
            if page < PAGE_EVENTS {
                break;
            }
        }
    }
    // A message of another room is none of this one.
    let Some(facts) = facts.filter(|facts| StreamId::Room(facts.room_id) == home) else {
        return Ok(None);
    };
    let version = version.max(committed);
    batch.facts.insert(
        message,
        Known {
            facts: facts.clone(),
            version,
        },
    );
    Ok(Some(facts))
}
