//! Kafka as a source of records.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use clima_consumer_core::store::Broker;
use clima_consumer_core::{Metrics, Pace, Record, Source, SourceError};
use clima_service::connections::ConnectionMetrics;
use clima_service::sabotage::{self, Sabotage};
use clima_writer_kafka::Producer;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::Config;
use crate::error::Error;
use crate::gaps::Gaps;
use crate::lag::LagWatch;
use crate::poll::{Poller, Position};
use crate::rejoin::hasten;

/// Longest time that the last commit may take. What is not committed by then is read again, and recognised.
const LAST_COMMIT: Duration = Duration::from_secs(3);

/// Records of the topic, as a member of the group.
pub(crate) struct KafkaSource {
    poller: Poller,
    topic: String,
    dead_letters: Producer,
    settled: Settled,
    commit: Option<Commit>,
    metrics: Metrics,
    gaps: Gaps,
}

/// Offsets of each partition: after the last record that is settled.
type Offsets = BTreeMap<i32, i64>;

/// What is to be committed.
#[derive(Debug, Default)]
struct Settled {
    pace: Pace,
    assignment: u64,
    next: Offsets,
}

/// The one commit that is on its way.
///
/// librdkafka can commit without an answer, too, but keeps such commits while the coordinator is away and sends
/// them later in any order: an older one may win, and nobody is told of one that fails. So each is awaited
/// (on a thread, where that may block) before the next is sent.
#[derive(Debug)]
struct Commit {
    assignment: u64,
    next: Offsets,
    outcome: JoinHandle<Result<(), Error>>,
}

/// Waits for the commit that is on its way; for ever while none is.
async fn outcome(commit: &mut Option<Commit>) -> Result<(), Error> {
    match commit {
        Some(commit) => (&mut commit.outcome).await.map_err(Error::Unknown)?,
        None => pending().await,
    }
}

impl KafkaSource {
    pub(crate) fn new(
        config: &Config,
        metrics: Metrics,
        connections: &ConnectionMetrics,
        gaps: Gaps,
    ) -> Result<Self, Error> {
        let dead_letters = connections.to("kafka", "dead_letters");
        Ok(Self {
            poller: Poller::start(config, gaps.clone())?,
            topic: config.kafka.topic.clone(),
            dead_letters: Producer::with_metrics(
                &config.kafka,
                &config.kafka.dead_topic,
                dead_letters,
            )?,
            settled: Settled::default(),
            commit: None,
            metrics,
            gaps,
        })
    }

    /// Tells what the topic holds, for as long as this source is there.
    pub(crate) fn lag_watch(&self, connections: &ConnectionMetrics) -> LagWatch {
        LagWatch {
            client: Arc::downgrade(&self.poller.client),
            topic: self.topic.clone(),
            metrics: self.metrics.clone(),
            connections: connections.to("kafka", "consume"),
            gaps: self.gaps.clone(),
        }
    }

    /// Sees to it that a group which was left is joined again soon, for as long as this source is there.
    pub(crate) fn rejoin(&self) -> impl Future<Output = ()> + Send + use<> {
        hasten(Arc::downgrade(&self.poller.client), self.topic.clone())
    }

    /// Sends a commit of what is settled, unless the partitions were assigned anew: then they are read again
    /// from what was committed before.
    fn commit(&mut self) {
        self.settled.pace.done();
        let next = std::mem::take(&mut self.settled.next);
        let assignment = self.settled.assignment;
        if next.is_empty() || assignment != self.poller.assignment() {
            return;
        }
        let client = Arc::clone(&self.poller.client);
        let (topic, offsets) = (self.topic.clone(), next.clone());
        let outcome = spawn_blocking(move || {
            let mut list = TopicPartitionList::with_capacity(offsets.len());
            for (partition, offset) in offsets {
                list.add_partition_offset(&topic, partition, Offset::Offset(offset))
                    .map_err(Error::Commit)?;
            }
            client
                .commit(&list, CommitMode::Sync)
                .map_err(Error::Commit)
        });
        self.commit = Some(Commit {
            assignment,
            next,
            outcome,
        });
    }

    /// Takes note of how the commit has ended. One that failed is repeated, with what was settled since:
    /// otherwise its records would stay uncommitted until others come.
    fn committed(&mut self, outcome: Result<(), Error>) {
        let (Some(commit), Err(error)) = (self.commit.take(), outcome) else {
            return;
        };
        self.metrics.not_acknowledged();
        tracing::warn!(%error, "not committed");
        if commit.assignment == self.settled.assignment {
            for (partition, offset) in commit.next {
                self.settled.next.entry(partition).or_insert(offset);
            }
            self.settled.pace.settled();
        }
    }

    /// Commits everything that is settled, and waits until that is done.
    async fn commit_all(&mut self) {
        if self.commit.is_some() {
            let outcome = outcome(&mut self.commit).await;
            self.committed(outcome);
        }
        self.commit();
        if self.commit.is_some() {
            let outcome = outcome(&mut self.commit).await;
            self.committed(outcome);
        }
    }
}

impl Source for KafkaSource {
    const BROKER: Broker = Broker::Kafka;
    type Position = Position;

    async fn next_batch(&mut self, max: usize) -> Result<Vec<Record<Position>>, SourceError> {
        let mut polled = Vec::with_capacity(max);
        loop {
            if self.settled.pace.is_due() && self.commit.is_none() {
                self.commit();
            }
            tokio::select! {
                taken = self.poller.records.recv_many(&mut polled, max) => {
                    if taken == 0 {
                        return Err(Error::Ended.into());
                    }
                }
                outcome = outcome(&mut self.commit) => {
                    self.committed(outcome);
                    continue;
                }
                () = self.settled.pace.due(), if self.commit.is_none() => continue,
            }
            let assignment = self.poller.assignment();
            let mut batch = Vec::with_capacity(polled.len());
            let mut failure = None;
            for record in polled.drain(..) {
                match record {
                    Ok(record) if record.position.assignment == assignment => batch.push(record),
                    Ok(_) => {}
                    Err(error) => failure = Some(error),
                }
            }
            match failure {
                // An error stands in no order to the records beside it: it is about the client.
                Some(error) if batch.is_empty() => return Err(Error::Poll(error).into()),
                Some(error) => tracing::warn!(%error, "cannot poll"),
                None => {}
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    async fn set_aside(
        &mut self,
        record: &Record<Position>,
        reason: &str,
    ) -> Result<(), SourceError> {
        let origin = format!(
            "{}/{}/{}",
            self.topic, record.position.partition, record.position.offset
        );
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "reason",
                value: Some(reason),
            })
            .insert(Header {
                key: "origin",
                value: Some(&origin),
            });
        self.dead_letters
            .send(&record.payload, Some(headers))
            .await
            .map_err(|error| SourceError(error.to_string()))
    }

    async fn acknowledge(&mut self, batch: &[Record<Position>]) -> Result<(), SourceError> {
        let assignment = self.poller.assignment();
        if batch
            .iter()
            .any(|record| record.position.assignment != assignment)
        {
            return Err(Error::Reassigned.into());
        }
        if self.settled.assignment != assignment {
            self.settled = Settled {
                assignment,
                ..Settled::default()
            };
        }
        // Of each partition the batch holds a run without gaps, so its last record covers the run.
        for Record { position, .. } in batch {
            self.settled
                .next
                .insert(position.partition, position.offset + 1);
        }
        self.settled.pace.settled();
        if sabotage::is(Sabotage::AckBeforeCounting) {
            self.commit_all().await;
        }
        Ok(())
    }

    async fn close(mut self) {
        if timeout(LAST_COMMIT, self.commit_all()).await.is_err() {
            tracing::warn!("not committed in time, to be read again");
        }
        self.poller.stop().await;
    }
}
