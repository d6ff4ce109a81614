//! The record that travels between our processes and rests in the brokers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use prost_types::Timestamp;

use crate::clima::v1::TweetEvent;
use crate::id::{IdError, TweetId};
use crate::tweet::{Tweet, Violation};
use crate::wethertweet::WeatherTweetRequest;

/// The `schema_version` that this build writes, and the newest that it understands.
pub const SCHEMA_VERSION: u32 = 1;

/// An event that has been checked: a valid id, a valid tweet, a valid time, a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedEvent {
    /// The identity: an id is counted once.
    pub id: TweetId,
    /// What was reported.
    pub tweet: Tweet,
    /// When the first of our processes received it.
    pub received_at: ReceivedAt,
}

/// Time since the Unix epoch, between 1970 and 9999 as a proto `Timestamp` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceivedAt {
    /// Whole seconds, 0 to 253,402,300,799.
    pub seconds: u64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

/// Last second that a proto `Timestamp` may hold: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Why a record is not an event that can be counted.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The bytes are not a `TweetEvent`.
    #[error("not a TweetEvent")]
    Malformed(#[source] prost::DecodeError),
    /// The id breaks a rule.
    #[error("invalid id: {0}")]
    Id(IdError),
    /// There is no tweet in the event.
    #[error("no tweet")]
    NoTweet,
    /// The tweet breaks a rule.
    #[error("invalid tweet: {}", join(.0))]
    Tweet(Vec<Violation>),
    /// The time of reception is missing or no `Timestamp`.
    #[error("invalid received_at")]
    ReceivedAt,
    /// The version is 0, which no writer of ours ever wrote.
    #[error("no schema_version")]
    NoSchemaVersion,
    /// The event was written by a newer build. It is not poison: it must wait for a newer consumer.
    #[error("schema_version {version} is newer than {newest}, the newest known")]
    NewerSchema {
        /// The event's.
        version: u32,
        /// The newest that is known here.
        newest: u32,
    },
}

impl EventError {
    /// True when no build will ever be able to count the record.
    pub fn is_poison(&self) -> bool {
        !matches!(self, Self::NewerSchema { .. })
    }
}

fn join(violations: &[Violation]) -> String {
    let texts: Vec<_> = violations.iter().map(Violation::to_string).collect();
    texts.join("; ")
}

impl CheckedEvent {
    /// Reads a record of a broker.
    ///
    /// # Errors
    ///
    /// Any [`EventError`].
    pub fn decode(record: &[u8]) -> Result<Self, EventError> {
        Self::decode_up_to(SCHEMA_VERSION, record)
    }

    /// The same, for a build whose newest version is `newest`.
    ///
    /// # Errors
    ///
    /// Any [`EventError`].
    pub fn decode_up_to(newest: u32, record: &[u8]) -> Result<Self, EventError> {
        let event = TweetEvent::decode(record).map_err(EventError::Malformed)?;
        Self::check_up_to(newest, &event)
    }

    /// Checks an event.
    ///
    /// # Errors
    ///
    /// Any [`EventError`] but `Malformed`. A newer version wins over every other fault, since the rules may
    /// have changed with it.
    pub fn check(event: &TweetEvent) -> Result<Self, EventError> {
        Self::check_up_to(SCHEMA_VERSION, event)
    }

    fn check_up_to(newest: u32, event: &TweetEvent) -> Result<Self, EventError> {
        match event.schema_version {
            0 => return Err(EventError::NoSchemaVersion),
            version if version > newest => {
                return Err(EventError::NewerSchema { version, newest });
            }
            _ => {}
        }
        let id = TweetId::from_parts(&event.source, event.sequence).map_err(EventError::Id)?;
        let tweet = event.tweet.as_ref().ok_or(EventError::NoTweet)?;
        let tweet = Tweet::check(tweet).map_err(EventError::Tweet)?;
        let received_at = event
            .received_at
            .as_ref()
            .and_then(ReceivedAt::from_timestamp)
            .ok_or(EventError::ReceivedAt)?;
        Ok(Self {
            id,
            tweet,
            received_at,
        })
    }
}

impl ReceivedAt {
    /// Time from then to `now`; zero where `now` is earlier, since clocks of two machines differ.
    pub fn age(self, now: SystemTime) -> Duration {
        let then = UNIX_EPOCH + Duration::new(self.seconds, self.nanos);
        now.duration_since(then).unwrap_or_default()
    }

    fn from_timestamp(timestamp: &Timestamp) -> Option<Self> {
        let seconds = u64::try_from(timestamp.seconds).ok()?;
        let nanos = u32::try_from(timestamp.nanos).ok()?;
        (seconds <= LAST_SECOND && nanos < 1_000_000_000).then_some(Self { seconds, nanos })
    }
}

/// The event of a tweet that was received `now` and has been given `id`.
pub fn new(id: TweetId, tweet: WeatherTweetRequest, now: SystemTime) -> TweetEvent {
    // A clock before 1970 reads as 1970: the time only orders the last values shown.
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    TweetEvent {
        source: id.source().as_bytes().to_vec(),
        sequence: id.sequence(),
        tweet: Some(tweet),
        received_at: Some(Timestamp {
            seconds: since_epoch.as_secs().min(LAST_SECOND).cast_signed(),
            nanos: since_epoch.subsec_nanos().cast_signed(),
        }),
        schema_version: SCHEMA_VERSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> TweetEvent {
        let id = TweetId::from_parts(&[7; 16], 9).unwrap();
        let tweet = WeatherTweetRequest {
            municipality: 4,
            temperature: -3,
            humidity: 80,
            weather: 2,
        };
        new(id, tweet, UNIX_EPOCH + Duration::new(1_700_000_000, 5))
    }

    #[test]
    fn an_event_that_we_write_is_one_that_we_read() {
        let read = CheckedEvent::decode(&event().encode_to_vec()).unwrap();
        assert_eq!(read.id, TweetId::from_parts(&[7; 16], 9).unwrap());
        assert_eq!(
            (read.received_at.seconds, read.received_at.nanos),
            (1_700_000_000, 5)
        );
        assert_eq!((read.tweet.temperature, read.tweet.humidity), (-3, 80));
    }

    #[test]
    fn each_broken_part_is_poison() {
        type Break = fn(&mut TweetEvent);
        let broken: [(&str, Break); 6] = [
            ("invalid id", |e| e.source.truncate(3)),
            ("invalid id", |e| e.sequence = 1 << 48),
            ("no tweet", |e| e.tweet = None),
            ("invalid tweet", |e| {
                e.tweet.as_mut().unwrap().humidity = 101
            }),
            ("invalid received_at", |e| e.received_at = None),
            ("no schema_version", |e| e.schema_version = 0),
        ];
        for (text, break_it) in broken {
            let mut event = event();
            break_it(&mut event);
            let error = CheckedEvent::check(&event).unwrap_err();
            assert!(error.to_string().starts_with(text), "{error}");
            assert!(error.is_poison());
        }
        assert!(CheckedEvent::decode(b"no event").unwrap_err().is_poison());
    }

    #[test]
    fn a_newer_version_is_not_poison_whatever_else_is_wrong_with_it() {
        let newer = TweetEvent {
            schema_version: SCHEMA_VERSION + 1,
            ..TweetEvent::default()
        };
        assert!(!CheckedEvent::check(&newer).unwrap_err().is_poison());
    }
}
