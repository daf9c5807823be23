//! Everything that the topic of events keeps, for whoever compares it with the log.

use std::sync::Arc;
use std::time::Instant;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::outbox::LogRecord;
use cocotalk_domain::stream::SLICES;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;

use super::client::{self, NAP, Plain};
use super::health::Health;
use super::{BUS, Settings, late, offsets, record, unavailable};

/// What each partition keeps at this moment, in the order in which it lies there, repetitions included. All of it is in memory
/// at once: this is for comparing, not for following.
///
/// # Errors
/// `Unavailable` where the bus cannot be read or says nothing for too long, `Corrupt` where a record is none of ours.
pub async fn kept(settings: &Settings) -> Result<Vec<Vec<LogRecord>>, StoreError> {
    let settings = settings.clone();
    let reading = tokio::task::spawn_blocking(move || blocking(&settings));
    reading.await.map_err(|error| StoreError::unavailable(BUS, error))?
}

fn blocking(settings: &Settings) -> Result<Vec<Vec<LogRecord>>, StoreError> {
    let health = Arc::new(Health::new("compare"));
    let consumer: BaseConsumer<Plain> = client::consumer(settings, &health)
        .set("enable.partition.eof", "true")
        .set("statistics.interval.ms", "0")
        .create_with_context(Plain(Arc::clone(&health)))
        .map_err(unavailable)?;
    let topic = &settings.events_topic;
    let (low, high) = (
        offsets::beginnings(&consumer, settings, topic)?,
        offsets::ends(&consumer, settings, topic)?,
    );
    let everything = offsets::list(topic, |partition| Offset::Offset(low[partition]))?;
    consumer.assign(&everything).map_err(unavailable)?;
    let mut kept = vec![Vec::new(); SLICES];
    let mut unread: Vec<bool> = low.iter().zip(&high).map(|(low, high)| low < high).collect();
    let mut heard = Instant::now();
    while unread.contains(&true) {
        if heard.elapsed() > settings.request() {
            return Err(late("reading everything"));
        }
        match consumer.poll(NAP) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let partition = message.partition() as usize;
                // What came after it was asked where the partition ends is left for the next time.
                if message.offset() < high[partition] {
                    let record = record::log_record(&message).map_err(|why| StoreError::corrupt(BUS, why))?;
                    kept[partition].push(record);
                }
                unread[partition] &= message.offset() + 1 < high[partition];
            }
            // Less was there than the offsets let expect: what is not there cannot be read.
            Some(Err(KafkaError::PartitionEOF(partition))) => unread[partition as usize] = false,
            // The driver tries again by itself, as long as there is time.
            Some(Err(_)) | None => {}
        }
    }
    Ok(kept)
}
