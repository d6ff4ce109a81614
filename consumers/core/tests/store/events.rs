//! Tweets to count.

use clima_proto::event::{CheckedEvent, ReceivedAt};
use clima_proto::id::{SEQUENCE_LIMIT, TweetId};
use clima_proto::tweet::{HUMIDITY, TEMPERATURE, Tweet};
use clima_proto::wethertweet::{Municipalities, Weathers};
use rand::RngExt as _;
use rand::rngs::StdRng;

pub(crate) const MUNICIPALITIES: [Municipalities; 4] = [
    Municipalities::Mixco,
    Municipalities::Guatemala,
    Municipalities::Amatitlan,
    Municipalities::Chinautla,
];

pub(crate) const WEATHERS: [Weathers; 4] = [
    Weathers::Sunny,
    Weathers::Cloudy,
    Weathers::Rainy,
    Weathers::Foggy,
];

/// The key of the first block that [`events`] are remembered in.
pub(crate) const SEEN: &str = "clima:{kafka}:seen:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a:0";

/// The key of another one.
pub(crate) fn seen(block: &str) -> String {
    format!("{}:{block}", SEEN.trim_end_matches(":0"))
}

pub(crate) fn event(sequence: u64) -> CheckedEvent {
    CheckedEvent {
        id: TweetId::from_parts(&[0x0a; 16], sequence).unwrap(),
        tweet: Tweet {
            municipality: MUNICIPALITIES[(sequence % 4) as usize],
            weather: WEATHERS[(sequence / 4 % 4) as usize],
            temperature: 20,
            humidity: 60,
        },
        received_at: ReceivedAt {
            seconds: 1_700_000_000 + sequence % 65_536,
            nanos: 5,
        },
    }
}

/// From four on, they write every data key.
pub(crate) fn events(sequences: std::ops::Range<u64>) -> Vec<CheckedEvent> {
    sequences.map(event).collect()
}

/// A tweet with anything that is allowed; few enough ids and times that some come again.
pub(crate) fn any_event(random: &mut StdRng) -> CheckedEvent {
    let first = [0, 65_500, SEQUENCE_LIMIT - 80][random.random_range(0..3)];
    let source = [random.random_range(0..3); 16];
    CheckedEvent {
        id: TweetId::from_parts(&source, first + random.random_range(0..80)).unwrap(),
        tweet: Tweet {
            municipality: MUNICIPALITIES[random.random_range(0..4)],
            weather: WEATHERS[random.random_range(0..4)],
            temperature: random.random_range(TEMPERATURE) as i8,
            humidity: random.random_range(HUMIDITY) as u8,
        },
        received_at: ReceivedAt {
            seconds: [0, 1_700_000_000, 1_700_000_001, 253_402_300_799][random.random_range(0..4)],
            nanos: [0, 7, 999_999_999][random.random_range(0..3)],
        },
    }
}
