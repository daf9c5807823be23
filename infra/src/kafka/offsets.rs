//! Where partitions begin and end: one question for all of them.

use cocotalk_application::error::StoreError;
use cocotalk_domain::stream::SLICES;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::{BUS, Settings, unavailable};

/// One offset for each partition of a topic.
pub(super) type Offsets = [i64; SLICES];

/// Where the next record of every partition will be. Blocks.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &Settings,
    topic: &str,
) -> Result<Offsets, StoreError> {
    look_up(consumer, settings, topic, Offset::End)
}

/// Where the oldest record of every partition is. Blocks.
pub(super) fn beginnings<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &Settings,
    topic: &str,
) -> Result<Offsets, StoreError> {
    look_up(consumer, settings, topic, Offset::Beginning)
}

/// The question for the offset at an instant takes these two as instants as well, and is the only one for many partitions.
fn look_up<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &Settings,
    topic: &str,
    which: Offset,
) -> Result<Offsets, StoreError> {
    let asked = list(topic, |_| which)?;
    let answer = consumer.offsets_for_times(asked, settings.request());
    let answer = answer.map_err(|error| of_topic(topic, error))?;
    let mut offsets = [0; SLICES];
    for element in answer.elements() {
        element.error().map_err(|error| of_topic(topic, error))?;
        let Offset::Offset(offset) = element.offset() else {
            let why = format!("partition {} of {topic} has no offset", element.partition());
            return Err(StoreError::unavailable(BUS, why));
        };
        offsets[element.partition() as usize] = offset;
    }
    Ok(offsets)
}

/// Every partition of a topic with an offset.
pub(super) fn list(topic: &str, offset: impl Fn(usize) -> Offset) -> Result<TopicPartitionList, StoreError> {
    let mut list = TopicPartitionList::with_capacity(SLICES);
    for partition in 0..SLICES {
        list.add_partition_offset(topic, partition as i32, offset(partition))
            .map_err(unavailable)?;
    }
    Ok(list)
}

/// An error that may come from there being no such topic, or one with fewer partitions.
fn of_topic(topic: &str, error: KafkaError) -> StoreError {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition,
        ) => {
            let why = format!("the topic {topic} is not there with {SLICES} partitions: run `cocotalk migrate`");
            StoreError::corrupt(BUS, why)
        }
        Some(_) | None => unavailable(error),
    }
}
