//! Records, and what is counted of them.

use std::time::{Duration, SystemTime};

use bb8_redis::redis::{Client, Value, cmd};
use clima_local::{Counts, Part};
use clima_proto::clima::v1::TweetEvent;
use clima_proto::event;
use clima_proto::id::TweetId;
use clima_proto::wethertweet::WeatherTweetRequest;
use prost::Message as _;

use super::Broker;

/// How long anything may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A valid event with this sequence.
pub(super) fn event(sequence: u64) -> TweetEvent {
    let id = TweetId::from_parts(&[5; 16], sequence).unwrap_or_else(|error| panic!("{error}"));
    let number = i32::try_from(sequence % 4).unwrap_or_default();
    let tweet = WeatherTweetRequest {
        municipality: number + 1,
        temperature: 20 + number,
        humidity: 50 + number,
        weather: number + 1,
    };
    event::new(id, tweet, SystemTime::now())
}

/// The record of an event that was received an hour ago.
pub(super) fn old_record() -> Vec<u8> {
    let mut event = event(0);
    if let Some(received_at) = &mut event.received_at {
        received_at.seconds -= 3_600;
    }
    event.encode_to_vec()
}

/// The records of so many events, with sequences from 0.
pub fn records(events: u64) -> Vec<Vec<u8>> {
    (0..events).map(|n| event(n).encode_to_vec()).collect()
}

/// The record of an event that the next build wrote.
pub(super) fn newer_record(sequence: u64) -> Vec<u8> {
    let mut newer = event(sequence);
    newer.schema_version = event::SCHEMA_VERSION + 1;
    newer.encode_to_vec()
}

/// Name of the broker's path in keys.
pub(super) fn path<B: Broker>() -> &'static str {
    match B::PART {
        Part::Kafka => "kafka",
        _ => "rabbitmq",
    }
}

/// How many tweets the broker's path has counted.
pub(super) async fn counted<B: Broker>(broker: &B) -> u64 {
    let totals = counts(broker).await.totals().await;
    let totals = totals.unwrap_or_else(|error| panic!("{error:#}"));
    match B::PART {
        Part::Kafka => totals.kafka,
        _ => totals.rabbitmq,
    }
}

/// Waits until the path has counted at least so many.
pub async fn until_counted<B: Broker>(broker: &B, tweets: u64) {
    until(&format!("{tweets} tweets are counted"), async || {
        counted(broker).await >= tweets
    })
    .await;
}

/// Waits until the broker knows that everything is acknowledged, which takes a moment after a restart.
pub async fn until_acknowledged<B: Broker>(broker: &B) {
    until("everything is acknowledged", async || {
        broker.unacknowledged().await == 0
    })
    .await;
}

/// Asserts that the path has counted exactly the events of [`records`], by number and by id.
pub(super) async fn assert_counted_once<B: Broker>(broker: &B, events: u64) {
    assert_eq!(counted(broker).await, events);
    let ids: Vec<_> = (0..events)
        .filter_map(|n| TweetId::from_parts(&[5; 16], n).ok())
        .collect();
    let missing = counts(broker).await.missing(path::<B>(), &ids).await;
    assert_eq!(missing.unwrap_or_else(|error| panic!("{error:#}")), []);
}

/// Waits until the condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(outcome.is_ok(), "still waiting until {what}");
}

async fn counts<B: Broker>(broker: &B) -> Counts {
    let address = broker.stack().address(Part::Valkey);
    let counts = Counts::connect(&address).await;
    counts.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Runs a command on Valkey; it must not be refused.
pub(super) async fn valkey(broker: &impl Broker, command: &[&str]) -> Value {
    let done = async {
        let client = Client::open(broker.stack().valkey_url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut call = cmd(command[0]);
        call.arg(&command[1..]);
        call.query_async(&mut connection).await
    };
    done.await.unwrap_or_else(|error| panic!("{error}"))
}
