//! The loop: take, count, acknowledge.
//!
//! One batch is in hand at a time, so records are acknowledged in the order in which they came, and while
//! one batch is counted the next gathers at the client. Nothing is given up: Valkey and the dead-letter
//! publish are tried until they succeed, or until the process ends and the broker delivers again.

use std::time::Duration;

use clima_proto::event::{CheckedEvent, EventError};
use clima_service::backoff::Backoff;
use clima_service::connections::ConnectionMetrics;
use clima_service::process::{Process, RunError};
use clima_service::readiness::Part;
use clima_service::sabotage::{self, Sabotage};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::hand::Hand;
use crate::store::{CountStore, StoreError};
use crate::{ConsumerConfig, Metrics, Record, Source, SourceError};

/// A path that stands still for longer than 12 h may forget an id before its last redelivery; a person has to
/// act before.
const TOO_OLD: Duration = Duration::from_hours(1);

/// Longest wait for a broker to confirm a dead letter; then it is published again. As long as Kafka's client tries by
/// itself. A broker may answer heartbeats and confirm nothing: a queue without a majority, publishers blocked.
const CONFIRM_LIMIT: Duration = Duration::from_secs(30);

/// A consumer: a source, a store, and the loop between them.
#[derive(Debug)]
pub struct Consumer<S> {
    source: S,
    store: CountStore,
    progress: Progress,
    schema: Part,
    limits: Limits,
}

/// What is taken at a time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Most records.
    batch: usize,
    /// The newest schema that is understood.
    schema: u32,
}

/// Tells how it goes: logs, metrics and readiness.
#[derive(Debug)]
struct Progress {
    metrics: Metrics,
    valkey: Part,
}

/// Why the loop does not go on.
enum Stop {
    /// The process is to end.
    Shutdown,
    /// A record was written by a newer build.
    NewerSchema(EventError),
}

impl<S: Source> Consumer<S> {
    /// Starts the loop as a task of `process`.
    ///
    /// # Errors
    ///
    /// The store refuses its settings.
    pub fn spawn(
        source: S,
        config: &ConsumerConfig,
        metrics: Metrics,
        connections: &ConnectionMetrics,
        process: &mut Process,
    ) -> Result<(), RunError> {
        let connections = connections.to("valkey", "count");
        let store = CountStore::with_metrics(config.store(S::BROKER), connections);
        let consumer = Self {
            source,
            store: store.map_err(RunError::setup)?,
            progress: Progress {
                metrics,
                valkey: process.readiness.part("valkey"),
            },
            schema: process.readiness.part("schema"),
            limits: Limits {
                batch: config.max_batch as usize,
                schema: config.newest_schema,
            },
        };
        consumer.schema.set(true);
        let shutdown = process.shutdown.clone();
        process.tasks.spawn("consumer", async move {
            consumer.run(&shutdown).await;
            shutdown.cancelled().await;
            Ok::<_, std::convert::Infallible>(())
        });
        Ok(())
    }

    async fn run(mut self, shutdown: &CancellationToken) {
        match self.consume(shutdown).await {
            Stop::Shutdown => {}
            Stop::NewerSchema(error) => {
                self.schema.set(false);
                tracing::error!(%error, "a newer build wrote this record: stopped, upgrade the consumer");
            }
        }
        self.source.close().await;
    }

    async fn consume(&mut self, shutdown: &CancellationToken) -> Stop {
        // The first batch is taken also while Valkey is away. It is held, not counted, and its age tells how long
        // the path has stood still; and every attempt to count makes sure that Valkey is durable.
        let (hand, durable) = tokio::join!(
            take(&mut self.source, self.limits, &self.progress, shutdown),
            self.progress.until_durable(&self.store, shutdown),
        );
        let (Some(mut hand), Some(())) = (hand, durable) else {
            return Stop::Shutdown;
        };
        loop {
            if sabotage::is(Sabotage::AckBeforeCounting) {
                self.source.acknowledge(&hand.records).await.ok();
            }
            if let Err(stop) = self.settle(&mut hand, shutdown).await {
                return stop;
            }
            if let Err(error) = self.source.acknowledge(&hand.records).await {
                self.progress.metrics.not_acknowledged();
                tracing::warn!(broker = %S::BROKER, %error, records = hand.records.len(), "not acknowledged, to be delivered again");
            }
            self.progress.metrics.acknowledged();
            let next = take(&mut self.source, self.limits, &self.progress, shutdown);
            match next.await {
                Some(next) => hand = next,
                None => return Stop::Shutdown,
            }
        }
    }

    /// Counts or sets aside every record of the batch.
    async fn settle(
        &mut self,
        hand: &mut Hand<S::Position>,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        if let Some(newer) = hand.newer.take() {
            return Err(Stop::NewerSchema(newer));
        }
        self.count(&hand.events, shutdown).await?;
        for (place, reason) in &hand.poison {
            let record = &hand.records[*place];
            self.set_aside(record, reason, shutdown).await?;
        }
        Ok(())
    }

    /// Publishes a dead letter until it is confirmed.
    async fn set_aside(
        &mut self,
        record: &Record<S::Position>,
        reason: &EventError,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let text = reason.to_string();
        let mut delays = Backoff::RECONNECT.delays();
        loop {
            // Not waited for at the end of the process: who gets the record next publishes it again.
            let confirmed = timeout(CONFIRM_LIMIT, self.source.set_aside(record, &text));
            let confirmed = shutdown.run_until_cancelled(confirmed).await;
            let error = match confirmed.ok_or(Stop::Shutdown)? {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error,
                Err(_) => SourceError("the broker did not confirm in time".to_owned()),
            };
            self.progress.metrics.not_set_aside();
            tracing::warn!(position = ?record.position, %error, "cannot set poison aside yet");
            self.progress.warn_if_old();
            wait(delays.next_delay(), shutdown)
                .await
                .ok_or(Stop::Shutdown)?;
        }
        self.progress.metrics.set_aside();
        tracing::warn!(position = ?record.position, %reason, "poison set aside");
        Ok(())
    }

    async fn count(
        &self,
        events: &[CheckedEvent],
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        if events.is_empty() {
            return Ok(());
        }
        let mut delays = Backoff::RECONNECT.delays();
        loop {
            let started = Instant::now();
            let outcome = self.store.apply(events).await;
            self.progress.metrics.called(started.elapsed());
            match outcome {
                Ok(applied) => {
                    self.progress.valkey.set(true);
                    self.progress.metrics.counted(events, applied);
                    return Ok(());
                }
                Err(error) => self.progress.failed(&error),
            }
            wait(delays.next_delay(), shutdown)
                .await
                .ok_or(Stop::Shutdown)?;
        }
    }
}

/// Waits for the next batch; none when the process is to end.
async fn take<S: Source>(
    source: &mut S,
    limits: Limits,
    progress: &Progress,
    shutdown: &CancellationToken,
) -> Option<Hand<S::Position>> {
    let mut delays = Backoff::RECONNECT.delays();
    loop {
        let records = source.next_batch(limits.batch);
        match shutdown.run_until_cancelled(records).await? {
            Ok(records) => {
                let hand = Hand::sort(records, limits.schema);
                progress.metrics.taken(&hand);
                return Some(hand);
            }
            Err(error) => {
                progress.metrics.not_taken();
                tracing::warn!(broker = %S::BROKER, %error, "no records for now");
                progress.warn_if_old();
            }
        }
        wait(delays.next_delay(), shutdown).await?;
    }
}

impl Progress {
    /// Waits until there is a durable Valkey; none when the process is to end.
    async fn until_durable(&self, store: &CountStore, shutdown: &CancellationToken) -> Option<()> {
        let mut delays = Backoff::RECONNECT.delays();
        while let Err(error) = shutdown.run_until_cancelled(store.ready()).await? {
            self.failed(&error);
            wait(delays.next_delay(), shutdown).await?;
        }
        self.valkey.set(true);
        Some(())
    }

    fn failed(&self, error: &StoreError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, cause, "not counted yet");
        self.metrics.store_failed(error);
        if error.needs_repair() {
            self.valkey.set(false);
        }
        self.warn_if_old();
    }

    fn warn_if_old(&self) {
        let age = self.metrics.age();
        if age > TOO_OLD {
            tracing::error!(
                ?age,
                "tweets wait to be counted; after 12 h they may be counted twice or lost"
            );
        }
    }
}

/// Waits, unless the process is to end.
async fn wait(delay: Duration, shutdown: &CancellationToken) -> Option<()> {
    shutdown
        .run_until_cancelled(tokio::time::sleep(delay))
        .await
}
