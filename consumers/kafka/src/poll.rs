//! The thread that polls.
//!
//! librdkafka wants to be polled from one place, also for its callbacks, and rdkafka's stream wrapper has a
//! history of lost wake-ups. So a plain thread polls and hands records over a bounded channel.
//!
//! # Rebalances
//!
//! With every assignment the partitions are read from their committed offsets again. Records that were
//! handed over before belong to the past then: each carries the number of its assignment, and those of an
//! older one are dropped. They come again, to us or to another member.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clima_consumer_core::Record;
use clima_writer_kafka::Logged;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use crate::Config;
use crate::error::Error;
use crate::gaps::{Gaps, Reading};

/// Records handed over and not taken yet.
const HANDED_OVER: usize = 1_024;

/// How often the thread looks whether it is to stop, with no record to be had.
const POLL: Duration = Duration::from_millis(100);

/// Longest wait for the offset that was committed. The client asked for it a moment ago, or it would read nothing.
const COMMITTED: Duration = Duration::from_secs(3);

/// Polls after leaving the group, in which the client lets go of its partitions.
const LEAVING: usize = 10;

/// Where a record was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) assignment: u64,
}

/// Counts assignments; what else the client has to say goes to the log.
#[derive(Debug, Default)]
pub(crate) struct Group {
    assignment: AtomicU64,
    member: AtomicBool,
}

impl Group {
    /// Whether the group has given us our share, which may be nothing.
    pub(crate) fn is_member(&self) -> bool {
        self.member.load(Ordering::SeqCst)
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Logged.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logged.error(error, reason);
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.assignment.fetch_add(1, Ordering::SeqCst);
        let member = matches!(rebalance, Rebalance::Assign(_));
        self.member.store(member, Ordering::SeqCst);
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions assigned");
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions revoked");
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

/// The client, and the thread that polls it.
pub(crate) struct Poller {
    pub(crate) client: Arc<BaseConsumer<Group>>,
    pub(crate) records: mpsc::Receiver<Result<Record<Position>, KafkaError>>,
    stop: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
}

impl Poller {
    pub(crate) fn start(config: &Config, gaps: Gaps) -> Result<Self, Error> {
        let client = BaseConsumer::from_config_and_context(&config.client(), Group::default())
            .map_err(Error::Settings)?;
        client
            .subscribe(&[&config.kafka.topic])
            .map_err(Error::Settings)?;
        let client = Arc::new(client);
        let (hand_over, records) = mpsc::channel(HANDED_OVER);
        let (end, ended) = oneshot::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = (Arc::clone(&client), Arc::clone(&stop));
        std::thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || {
                let (client, stop) = thread;
                poll(&client, &stop, &gaps, &hand_over);
                leave(client);
                // Nobody waits when the process is not draining.
                end.send(()).ok();
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            client,
            records,
            stop,
            ended,
        })
    }

    /// The number of the assignment that is in force.
    pub(crate) fn assignment(&self) -> u64 {
        self.client.context().assignment.load(Ordering::SeqCst)
    }

    /// Leaves the group and waits until that is done.
    pub(crate) async fn stop(self) {
        let Self {
            client,
            records,
            stop,
            ended,
        } = self;
        stop.store(true, Ordering::SeqCst);
        // A thread that waits to hand over a record is let go.
        drop(records);
        // The last handle but the thread's: closing the client belongs there, it blocks.
        drop(client);
        ended.await.ok();
    }
}

fn poll(
    client: &BaseConsumer<Group>,
    stop: &AtomicBool,
    gaps: &Gaps,
    hand_over: &mpsc::Sender<Result<Record<Position>, KafkaError>>,
) {
    let mut reading = Reading::default();
    while !stop.load(Ordering::SeqCst) {
        let Some(polled) = client.poll(POLL) else {
            continue;
        };
        let record = polled.map(|message| {
            let position = Position {
                partition: message.partition(),
                offset: message.offset(),
                assignment: client.context().assignment.load(Ordering::SeqCst),
            };
            let gone = reading.read(position, || {
                committed(client, message.topic(), position.partition)
            });
            gaps.found(position.partition, gone);
            Record {
                position,
                payload: message.payload().unwrap_or_default().to_vec(),
            }
        });
        if hand_over.blocking_send(record).is_err() {
            return;
        }
    }
}

/// The offset from which the group reads a partition; none when it cannot be told.
fn committed(client: &BaseConsumer<Group>, topic: &str, partition: i32) -> Option<i64> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, partition);
    match client.committed_offsets(asked, COMMITTED) {
        Ok(told) => told.elements().first().map(|told| next(told.offset())),
        Err(error) => {
            tracing::warn!(partition, %error, "cannot tell whether records were deleted");
            None
        }
    }
}

/// The offset that a group reads next. One that has committed nothing has everything before it.
pub(crate) fn next(committed: Offset) -> i64 {
    match committed {
        Offset::Offset(next) => next,
        _ => 0,
    }
}

/// Leaves the group, so that the partitions go to others now and not when the session has run out.
fn leave(client: Arc<BaseConsumer<Group>>) {
    client.unsubscribe();
    for _ in 0..LEAVING {
        if client.poll(POLL).is_none() && client.assignment().is_ok_and(|held| held.count() == 0) {
            break;
        }
    }
}
