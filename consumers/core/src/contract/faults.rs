//! What holds while a server is not well, or the consumer is killed.

use clima_local::Part;

use super::Broker;
use super::records::{
    assert_counted_once, counted, records, until, until_acknowledged, until_counted, valkey,
};

/// A backlog that takes long enough to be interrupted.
const BACKLOG: u64 = 20_000;

/// Whatever was in hand is delivered again, and what of it was counted is recognised.
pub async fn a_consumer_that_is_killed_again_and_again_counts_everything_once(
    broker: &impl Broker,
) {
    broker.publish(records(BACKLOG)).await;
    for kills in 1..=3 {
        let consumer = broker.start_consumer().await;
        until_counted(broker, counted(broker).await + 500 * kills).await;
        consumer.kill().await;
    }
    let consumer = broker.start_consumer().await;
    until_counted(broker, BACKLOG).await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, BACKLOG).await;
}

/// Valkey comes back with what it had confirmed, and the consumer carries on; also when it is not there at first.
pub async fn a_killed_valkey_costs_nothing(broker: &impl Broker) {
    let stack = broker.stack();
    broker.publish(records(BACKLOG)).await;
    kill(broker, Part::Valkey).await;
    let consumer = broker.start_consumer().await;
    consumer.until_missing("valkey").await;
    start(broker, Part::Valkey).await;
    until_counted(broker, 2_000).await;
    kill(broker, Part::Valkey).await;
    start(broker, Part::Valkey).await;
    until_counted(broker, BACKLOG).await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert!(stack.is_running(Part::Valkey));
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, BACKLOG).await;
}

/// A count that a crash could take back is no count: the consumer names the setting, and waits.
pub async fn no_setting_of_valkey_that_could_lose_counts_is_counted_with(broker: &impl Broker) {
    broker.publish(records(100)).await;
    let run = async |words: &str| {
        let words: Vec<_> = words.split(' ').collect();
        valkey(broker, &words).await;
    };
    for (set, what, reset) in [
        (
            "CONFIG SET appendfsync everysec",
            "appendfsync is everysec, must be always",
            "CONFIG SET appendfsync always",
        ),
        (
            "CONFIG SET maxmemory-policy allkeys-lru",
            "maxmemory-policy is allkeys-lru, must be noeviction",
            "CONFIG SET maxmemory-policy noeviction",
        ),
        (
            "REPLICAOF 127.0.0.1 1",
            "role is slave, must be master",
            "REPLICAOF NO ONE",
        ),
        (
            "CONFIG SET appendonly no",
            "appendonly is no, must be yes",
            "CONFIG SET appendonly yes",
        ),
    ] {
        run(set).await;
        let consumer = broker.start_consumer().await;
        let warning = format!("not counted yet error=Valkey is not durable: {what}");
        consumer.until_logged(&warning).await;
        consumer.until_missing("valkey").await;
        assert_eq!(counted(broker).await, 0, "{what}");
        assert!(consumer.stop().await.success());
        run(reset).await;
    }
    // Turned on again, the file is complete only after a rewrite; tests after this one kill the server.
    until("the append-only file is written anew", async || {
        let persistence = valkey(broker, &["INFO", "persistence"]).await;
        !format!("{persistence:?}").contains("aof_rewrite_in_progress:1")
    })
    .await;
    let consumer = broker.start_consumer().await;
    until_counted(broker, 100).await;
    until_acknowledged(broker).await;
    assert_eq!(consumer.logged("not durable"), [""; 0]);
    assert!(consumer.stop().await.success());
    assert_counted_once(broker, 100).await;
}

/// The consumer connects again by itself, and what was not acknowledged comes again.
pub async fn a_killed_broker_costs_nothing<B: Broker>(broker: &B) {
    broker.publish(records(BACKLOG)).await;
    let consumer = broker.start_consumer().await;
    until_counted(broker, 1_000).await;
    kill(broker, B::PART).await;
    start(broker, B::PART).await;
    until_counted(broker, BACKLOG).await;
    until_acknowledged(broker).await;
    assert!(consumer.stop().await.success());
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, BACKLOG).await;
}

/// A second consumer joins in the middle of a backlog, the first leaves, in good order and not.
pub async fn two_consumers_share_the_work_and_count_everything_once(broker: &impl Broker) {
    broker.publish(records(BACKLOG)).await;
    let first = broker.start_consumer().await;
    until_counted(broker, 500).await;
    let second = broker.start_consumer().await;
    until_counted(broker, 2_000).await;
    assert!(first.stop().await.success());
    let third = broker.start_consumer().await;
    until_counted(broker, 4_000).await;
    second.kill().await;
    until_counted(broker, BACKLOG).await;
    until_acknowledged(broker).await;
    assert!(third.stop().await.success());
    assert_eq!(broker.unacknowledged().await, 0);
    assert_counted_once(broker, BACKLOG).await;
}

pub(super) async fn kill(broker: &impl Broker, part: Part) {
    let outcome = broker.stack().kill(part).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

pub(super) async fn start(broker: &impl Broker, part: Part) {
    let outcome = broker.stack().start_part(part).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}
