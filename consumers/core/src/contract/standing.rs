//! What tells that a path stands still, and who is ready meanwhile.

use bb8_redis::redis::{Client, cmd};
use clima_local::Part;

use super::Broker;
use super::faults::{kill, start};
use super::records::{
    assert_counted_once, old_record, records, until, until_acknowledged, until_counted,
};

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
    // It must have reached the broker on both ways, for taking and for setting aside, to be ready without it.
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
    let path = match B::PART {
        Part::Kafka => "kafka",
        _ => "rabbitmq",
    };
    let key = format!("clima:{{{path}}}:counts");
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

async fn valkey(broker: &impl Broker, command: &[&str]) {
    let done = async {
        let client = Client::open(broker.stack().valkey_url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut call = cmd(command[0]);
        call.arg(&command[1..]);
        call.exec_async(&mut connection).await
    };
    let outcome = done.await;
    assert!(outcome.is_ok(), "{outcome:?}");
}
