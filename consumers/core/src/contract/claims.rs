//! What holds while the servers are well.

use prost::Message as _;

use super::Broker;
use super::records::{
    assert_counted_once, counted, event, newer_record, records, until, until_acknowledged,
    until_counted,
};

/// Everything is counted, once, and acknowledged after that.
pub async fn each_event_is_counted_once_and_acknowledged(broker: &impl Broker) {
    broker.publish(records(5_000)).await;
    let consumer = broker.start_consumer().await;
    until_counted(broker, 5_000).await;
    assert_eq!(
        consumer.metric("clima_consumer_counted_total").await,
        Some(5_000)
    );
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, 5_000).await;
}

/// A broker delivers at least once, and a retried publish may be there twice.
pub async fn a_record_that_is_there_three_times_is_counted_once(broker: &impl Broker) {
    for _ in 0..3 {
        broker.publish(records(200)).await;
    }
    let consumer = broker.start_consumer().await;
    until("600 records are taken", async || {
        let counted = consumer.metric("clima_consumer_counted_total").await;
        let duplicates = consumer.metric("clima_consumer_duplicates_total").await;
        (counted, duplicates) == (Some(200), Some(400))
    })
    .await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, 200).await;
}

/// Poison is neither dropped nor looped, and holds nothing up.
pub async fn poison_is_set_aside_with_its_reason_and_the_rest_is_counted(broker: &impl Broker) {
    let mut wrong_id = event(1_000);
    wrong_id.source.truncate(7);
    let mut wrong_tweet = event(1_001);
    if let Some(tweet) = &mut wrong_tweet.tweet {
        tweet.humidity = 101;
    }
    let mut no_version = event(1_002);
    no_version.schema_version = 0;
    let poison = [
        (b"no event at all".to_vec(), "not a TweetEvent"),
        (wrong_id.encode_to_vec(), "invalid id"),
        (wrong_tweet.encode_to_vec(), "invalid tweet"),
        (no_version.encode_to_vec(), "no schema_version"),
    ];
    let mut all = records(100);
    for (place, (bytes, _)) in poison.iter().enumerate() {
        all.insert(20 * (place + 1), bytes.clone());
    }
    broker.publish(all).await;
    let consumer = broker.start_consumer().await;
    until_counted(broker, 100).await;
    until("all poison is set aside", async || {
        consumer.metric("clima_consumer_dead_letters_total").await == Some(4)
    })
    .await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, 100).await;
    let letters = broker.dead_letters().await;
    assert_eq!(letters.len(), poison.len(), "{letters:?}");
    for (bytes, reason) in poison {
        let found = letters.iter().find(|(letter, _)| *letter == bytes);
        let Some((_, told)) = found else {
            panic!("{reason} is not among {letters:?}")
        };
        assert!(told.contains(reason), "{told}");
    }
}

/// What a newer build wrote waits for a newer consumer.
pub async fn a_newer_schema_stops_the_consumer_and_loses_nothing(broker: &impl Broker) {
    broker.publish(vec![newer_record(7)]).await;
    let mut consumer = broker.start_consumer().await;
    consumer.until_missing("schema").await;
    consumer
        .until_logged("a newer build wrote this record")
        .await;
    let told = consumer.logged("a newer build wrote this record");
    assert_eq!(
        told,
        [
            "ERROR clima_consumer_core::consumer: a newer build wrote this record: stopped, upgrade the consumer \
          error=schema_version 2 is newer than 1, the newest known"
        ]
    );
    assert!(consumer.runs());
    broker.publish(records(50)).await;
    assert!(consumer.stop().await.success());
    // Of what came after it, a partition without it may have been counted; it itself is still there.
    let left = broker.unacknowledged().await;
    assert!(left >= 1, "the newer record was acknowledged");
    assert_eq!(left, 51 - counted(broker).await);
    assert!(broker.dead_letters().await.is_empty());
}

/// An upgrade in the wrong order, and how it ends well: writers first, consumers when they have stopped.
pub async fn a_newer_consumer_carries_on_where_the_old_one_has_stopped(broker: &impl Broker) {
    let old = broker.start_consumer().await;
    broker.publish(records(500)).await;
    until_counted(broker, 500).await;
    until_acknowledged(broker).await;
    // Processes of both builds write for a while.
    let mut mixed = records(1_000).split_off(500);
    for sequence in (510..1_000).step_by(7) {
        mixed[sequence - 500] = newer_record(sequence as u64);
    }
    broker.publish(mixed).await;
    old.until_missing("schema").await;
    assert!(counted(broker).await < 1_000);
    until("the rest is back in the broker", async || {
        broker.unacknowledged().await > 0
    })
    .await;
    // As in a rolling upgrade: the new one is there before the old one goes.
    let newer = broker.start_newer_consumer();
    until_counted(broker, 1_000).await;
    assert!(old.stop().await.success());
    until_acknowledged(broker).await;
    newer.stop().await;
    assert_eq!(broker.unacknowledged().await, 0);
    assert!(broker.dead_letters().await.is_empty());
    assert_counted_once(broker, 1_000).await;
}
