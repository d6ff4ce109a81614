//! Packs events into the argument of one function call.

use std::collections::HashMap;

use clima_proto::event::CheckedEvent;
use clima_proto::id::Source;

use super::keys::{BLOCK, Keys};

/// Most tweets of one call; the function refuses more. Valkey serves nobody else during a call, and this
/// many take about 4 ms.
pub(super) const MAX_TWEETS: usize = 2_000;

/// Bytes per tweet (`RECORD` in count/argument.lua).
const RECORD: usize = 20;

/// At most [`MAX_TWEETS`] tweets, as the function wants them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Every seen block that a tweet is in, once.
    pub(super) seen: Vec<String>,
    /// One record per tweet.
    pub(super) records: Vec<u8>,
}

impl Batch {
    pub(super) fn pack(keys: &Keys, events: &[CheckedEvent]) -> Self {
        debug_assert!(events.len() <= MAX_TWEETS);
        let mut batch = Self {
            seen: Vec::new(),
            records: Vec::with_capacity(events.len() * RECORD),
        };
        let mut numbers = HashMap::new();
        for event in events {
            let source = event.id.source();
            let block = event.id.sequence() / BLOCK;
            let number = *numbers
                .entry((source, block))
                .or_insert_with(|| batch.add_block(keys, source, block));
            batch.add_tweet(number, event);
        }
        batch
    }

    /// Adds a seen block and returns its number, from 1 as Lua counts.
    fn add_block(&mut self, keys: &Keys, source: Source, block: u64) -> u16 {
        self.seen.push(keys.seen(source, block));
        // No more blocks than tweets.
        self.seen.len() as u16
    }

    fn add_tweet(&mut self, block: u16, event: &CheckedEvent) {
        let tweet = &event.tweet;
        let bit = (event.id.sequence() % BLOCK) as u16;
        self.records.extend(block.to_be_bytes());
        self.records.extend(bit.to_be_bytes());
        self.records.extend([
            tweet.municipality as u8,
            tweet.weather as u8,
            tweet.temperature.cast_unsigned(),
            tweet.humidity,
        ]);
        self.records.extend(event.received_at.seconds.to_be_bytes());
        self.records.extend(event.received_at.nanos.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use clima_proto::event::ReceivedAt;
    use clima_proto::id::TweetId;
    use clima_proto::tweet::Tweet;
    use clima_proto::wethertweet::{Municipalities, Weathers};

    use super::super::keys::Broker;
    use super::*;

    fn event(source: u8, sequence: u64) -> CheckedEvent {
        CheckedEvent {
            id: TweetId::from_parts(&[source; 16], sequence).unwrap(),
            tweet: Tweet {
                municipality: Municipalities::Chinautla,
                weather: Weathers::Cloudy,
                temperature: -2,
                humidity: 99,
            },
            received_at: ReceivedAt {
                seconds: 0x0102_0304_0506,
                nanos: 7,
            },
        }
    }

    #[test]
    fn a_record_is_what_the_function_unpacks() {
        let batch = Batch::pack(&Keys::new(Broker::Kafka), &[event(1, 65_536 + 0x0a0b)]);
        assert_eq!(
            batch.records,
            [
                0, 1, 0x0a, 0x0b, 4, 2, 0xfe, 99, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 7
            ]
        );
        assert_eq!(batch.seen.len(), 1);
        assert!(batch.seen[0].ends_with(":1"));
    }

    #[test]
    fn a_block_is_named_once_however_often_it_is_used() {
        let events = [event(1, 0), event(2, 0), event(1, 65_535), event(1, 65_536)];
        let batch = Batch::pack(&Keys::new(Broker::Kafka), &events);
        assert_eq!(batch.seen.len(), 3);
        let numbers: Vec<_> = batch.records.chunks(RECORD).map(|r| r[1]).collect();
        assert_eq!(numbers, [1, 2, 1, 3]);
    }
}
