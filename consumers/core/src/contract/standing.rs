//! What tells that a path stands still, and who is ready meanwhile.

use std::time::Duration;

use clima_local::Part;
use tokio::time::timeout;

use super::Broker;
use super::faults::{kill, start};
use super::records::{
    assert_counted_once, old_record, path, records, until, until_acknowledged, until_counted,
    valkey,
};

/// Within it a consumer ends that has nothing to wait for but a broker that does not answer: well below the time
/// after which the clients of the brokers give up by themselves, and below the drain budget.
const AT_ONCE: Duration = Duration::from_secs(8);

const IN_HAND: &str = "clima_consumer_unacknowledged";
const DEAD: &str = "clima_consumer_dead_letters_total";

/// A consumer that cannot count from its start still knows what waits.
pub async fn a_consumer_that_starts_without_valkey_tells_how_long_its_tweets_wait(
    broker: &impl Broker,
) {
    broker.publish(vec![old_record()]).await;
    kill(broker, Part::Valkey).await;
    let consumer = broker.start_consumer().await;
    consumer.until_age(3_600.0..7_200.0).await;
    assert_eq!(consumer.metric(IN_HAND).await, Some(1));
    consumer.until_missing("valkey").await;
    start(broker, Part::Valkey).await;
    until_counted(broker, 1).await;
    consumer.until_age(0.0..=0.0).await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_counted_once(broker, 1).await;
}

/// Poison has no time of its own: it ages from the moment when it was taken.
pub async fn a_dead_letter_that_cannot_be_published_is_in_hand_and_ages<B: Broker>(broker: &B) {
    broker.publish(vec![b"no event".to_vec()]).await;
    kill(broker, Part::Valkey).await;
    let consumer = broker.start_consumer().await;
    until("the poison is in hand", async || {
        consumer.metric(IN_HAND).await == Some(1)
    })
    .await;
    consumer.until_missing_only("valkey").await;
    kill(broker, B::PART).await;
    start(broker, Part::Valkey).await;
    consumer.until_ready().await;
    consumer.until_age(2.0..60.0).await;
    assert_eq!(consumer.metric(IN_HAND).await, Some(1));
    assert_eq!(consumer.metric(DEAD).await, Some(0));
    start(broker, B::PART).await;
    until("the poison is set aside", async || {
        consumer.metric(DEAD).await >= Some(1)
    })
    .await;
    until_acknowledged(broker).await;
    consumer.until_age(0.0..=0.0).await;
    assert!(consumer.stop().await.success());
    assert!(!broker.dead_letters().await.is_empty());
}

/// A broker that keeps its connections and answers nothing does not hold back the end of the process: the dead
/// letter is published again by the next consumer.
pub async fn a_dead_letter_that_is_never_confirmed_does_not_hold_back_the_end<B: Broker>(
    broker: &B,
) {
    broker.publish(vec![b"no event".to_vec()]).await;
    kill(broker, Part::Valkey).await;
    let consumer = broker.start_consumer().await;
    until("the poison is in hand", async || {
        consumer.metric(IN_HAND).await == Some(1)
    })
    .await;
    consumer.until_missing_only("valkey").await;
    let paused = broker.stack().pause(B::PART).await;
    assert!(paused.is_ok(), "{paused:?}");
    start(broker, Part::Valkey).await;
    consumer.until_ready().await;
    let ended = timeout(AT_ONCE, consumer.stop()).await;
    let resumed = broker.stack().resume(B::PART).await;
    assert!(resumed.is_ok(), "{resumed:?}");
    assert!(ended.is_ok_and(|status| status.success()));
    let consumer = broker.start_consumer().await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert!(!broker.dead_letters().await.is_empty());
}

/// Readiness says that the broker was reached once; the age says since when it cannot be.
pub async fn a_broker_that_is_away_leaves_the_consumer_ready_and_its_age_grows<B: Broker>(
    broker: &B,
) {
    broker.publish(records(10)).await;
    let consumer = broker.start_consumer().await;
    until_counted(broker, 10).await;
    consumer.until_ready().await;
    consumer.until_age(0.0..=0.0).await;
    kill(broker, B::PART).await;
    consumer.until_age(2.0..).await;
    assert!(consumer.ask("/readyz").await.ends_with("\nready\n"));
    start(broker, B::PART).await;
    consumer.until_age(0.0..=0.0).await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
}

/// What no waiting heals is told to whoever watches the readiness.
pub async fn a_key_that_needs_repair_makes_the_consumer_unready_until_it_is_repaired<B: Broker>(
    broker: &B,
) {
    let key = format!("clima:{{{}}}:counts", path::<B>());
    valkey(broker, &["SET", &key, "no hash"]).await;
    let consumer = broker.start_consumer().await;
    consumer.until_ready().await;
    broker.publish(vec![old_record()]).await;
    consumer.until_missing("valkey").await;
    consumer.until_age(3_600.0..7_200.0).await;
    valkey(broker, &["DEL", &key]).await;
    consumer.until_ready().await;
    until_counted(broker, 1).await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_counted_once(broker, 1).await;
}
