//! Kafka as a source of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use clima_consumer_core::store::Broker;
use clima_consumer_core::{Pace, Record, Source, SourceError};
use clima_writer_kafka::Producer;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};

use crate::Config;
use crate::error::Error;
use crate::poll::{Poller, Position};

/// Records of the topic, as a member of the group.
pub(crate) struct KafkaSource {
    poller: Poller,
    topic: String,
    dead_letters: Producer,
    settled: Settled,
}

/// What is to be committed: of each partition of the assignment the offset after the last settled record. It is
/// kept after a commit, since the broker may not take that.
#[derive(Debug, Default)]
struct Settled {
    pace: Pace,
    assignment: u64,
    next: BTreeMap<i32, i64>,
}

impl KafkaSource {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            poller: Poller::start(config)?,
            topic: config.kafka.topic.clone(),
            dead_letters: Producer::new(&config.kafka, &config.kafka.dead_topic)?,
            settled: Settled::default(),
        })
    }

    /// Commits what is settled, unless the partitions were assigned anew: then they are read again from what
    /// was committed before.
    fn commit(&mut self) -> Result<(), Error> {
        self.settled.pace.done();
        let Settled {
            assignment, next, ..
        } = &self.settled;
        if next.is_empty() || *assignment != self.poller.assignment() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for (partition, offset) in next {
            offsets
                .add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                .map_err(Error::Commit)?;
        }
        self.poller
            .client
            .commit(&offsets, CommitMode::Async)
            .map_err(Error::Commit)
    }
}

impl Source for KafkaSource {
    const BROKER: Broker = Broker::Kafka;
    type Position = Position;

    async fn next_batch(&mut self, max: usize) -> Result<Vec<Record<Position>>, SourceError> {
        let mut polled = Vec::with_capacity(max);
        loop {
            if self.settled.pace.is_due() {
                self.commit()?;
            }
            let client = Arc::clone(&self.poller.client);
            tokio::select! {
                taken = self.poller.records.recv_many(&mut polled, max) => {
                    if taken == 0 {
                        return Err(Error::Ended.into());
                    }
                }
                () = self.settled.pace.due() => continue,
                () = client.context().commit_failed() => {
                    self.settled.pace.settled();
                    continue;
                }
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
        Ok(())
    }

    async fn close(mut self) {
        if let Err(error) = self.commit() {
            tracing::warn!(%error, "not committed, to be read again");
        }
        self.poller.stop().await;
    }
}
