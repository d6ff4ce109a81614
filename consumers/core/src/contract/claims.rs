//! What holds while the servers are well.

use clima_proto::event::SCHEMA_VERSION;
use prost::Message as _;

use super::Broker;
use super::records::{assert_counted_once, counted, event, records, until, until_counted};

/// Everything is counted, once, and acknowledged after that.
pub async fn each_event_is_counted_once_and_acknowledged(broker: &impl Broker) {
    broker.publish(records(5_000)).await;
    let consumer = broker.start_consumer().await;
    until_counted(broker, 5_000).await;
    assert_eq!(
        consumer.metric("clima_consumer_counted_total").await,
        Some(5_000)
    );
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
    let mut newer = event(7);
    newer.schema_version = SCHEMA_VERSION + 1;
    broker.publish(vec![newer.encode_to_vec()]).await;
    let mut consumer = broker.start_consumer().await;
    consumer.until_missing("schema").await;
    assert!(consumer.runs());
    broker.publish(records(50)).await;
    assert!(consumer.stop().await.success());
    // Of what came after it, a partition without it may have been counted; it itself is still there.
    let left = broker.unacknowledged().await;
    assert!(left >= 1, "the newer record was acknowledged");
    assert_eq!(left, 51 - counted(broker).await);
    assert!(broker.dead_letters().await.is_empty());
}
