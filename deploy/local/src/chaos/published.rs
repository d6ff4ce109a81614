//! What a broker was given, as the audit has read it.

use std::collections::HashMap;
use std::fmt;

use anyhow::Context as _;
use clima_proto::event::CheckedEvent;
use clima_proto::id::TweetId;

use super::ledger::Packed;

/// Where in a broker a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a partition of Kafka's topic.
    Record { partition: u8, offset: u32 },
    /// In the order in which RabbitMQ delivered it to the audit, counted from 1.
    Message(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { partition, offset } => {
                write!(f, "in partition {partition} at offset {offset}")
            }
            Self::Message(number) => write!(f, "as message {number} of the audit queue"),
        }
    }
}

/// A tweet as a broker was given it, and where it is for the first time: with the id 40 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) tweet: Packed,
    pub(super) place: Place,
}

/// What a broker was given: tweets by id, and how many records there were.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) tweets: HashMap<TweetId, Given>,
    pub(super) records: u64,
}

impl Published {
    /// Takes a record in, which must be an event.
    pub(super) fn add(&mut self, record: &[u8], place: Place) -> anyhow::Result<()> {
        let event = CheckedEvent::decode(record).context("a record is no event")?;
        let tweet = Packed {
            municipality: event.tweet.municipality as u8,
            weather: event.tweet.weather as u8,
            temperature: event.tweet.temperature,
            humidity: event.tweet.humidity,
        };
        self.records += 1;
        self.tweets
            .entry(event.id)
            .or_insert(Given { tweet, place });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    use clima_proto::event;
    use clima_proto::wethertweet::WeatherTweetRequest;
    use prost::Message as _;

    #[test]
    fn a_tweet_that_is_published_again_stays_where_it_was_first() {
        let tweet = WeatherTweetRequest {
            municipality: 1,
            temperature: -5,
            humidity: 50,
            weather: 3,
        };
        let id = TweetId::from_parts(&[1; 16], 7).unwrap();
        let record = event::new(id, tweet, SystemTime::now()).encode_to_vec();
        let mut published = Published::default();
        published.add(&record, Place::Message(1)).unwrap();
        published.add(&record, Place::Message(2)).unwrap();
        assert_eq!((published.records, published.tweets.len()), (2, 1));
        assert_eq!(published.tweets[&id].place, Place::Message(1));
        assert_eq!(published.tweets[&id].tweet, Packed::from(tweet));
        assert!(published.add(b"poison", Place::Message(3)).is_err());
    }

    #[test]
    fn a_tweet_takes_forty_bytes() {
        assert!(size_of::<(TweetId, Given)>() <= 40);
    }
}
