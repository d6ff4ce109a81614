//! The offsets of Kafka's consumer group, which an operator may delete and which Kafka forgets after a week without members.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::sleep;

use crate::topic::{self, GROUP, TOPIC};

const TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Nothing here may take longer: the session of a member is 6 s.
const LIMIT: Duration = Duration::from_secs(60);

/// Deletes the group with its offsets. It must have no member, or lose its last one soon.
pub(super) async fn delete(brokers: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let begun = Instant::now();
    loop {
        let answers = admin.delete_groups(&[GROUP], &options).await?;
        match answers.into_iter().next().context("Kafka says nothing")? {
            Ok(_) => return Ok(()),
            Err((_, code)) => ensure!(begun.elapsed() < LIMIT, "the group stays: {code}"),
        }
        sleep(POLL).await;
    }
}

/// Waits until the group has committed an offset in every partition.
pub(super) async fn has_offsets(brokers: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let brokers = brokers.to_owned();
        if tokio::task::spawn_blocking(move || has_all(&brokers)).await?? {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < LIMIT,
            "the group commits nothing in some partition"
        );
        sleep(POLL).await;
    }
}

fn has_all(brokers: &str) -> anyhow::Result<bool> {
    let client = topic::client(brokers, GROUP)?;
    let mut partitions = TopicPartitionList::new();
    for partition in topic::partitions(&client, TOPIC, TIMEOUT)? {
        partitions.add_partition(TOPIC, partition);
    }
    let committed = client.committed_offsets(partitions, TIMEOUT)?;
    let offsets = committed.elements();
    Ok(offsets
        .iter()
        .all(|partition| matches!(partition.offset(), Offset::Offset(_))))
}
