//! The loop: take, count, acknowledge.
//!
//! One batch is in hand at a time, so records are acknowledged in the order in which they came, and while
//! one batch is counted the next gathers at the client. Nothing is given up: Valkey and the dead-letter
//! publish are tried until they succeed, or until the process ends and the broker delivers again.

use std::time::Duration;

use clima_proto::event::{CheckedEvent, EventError};
use clima_service::backoff::Backoff;
use clima_service::process::{Process, RunError};
use clima_service::readiness::Part;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::store::{CountStore, StoreError};
use crate::{ConsumerConfig, Record, Source};

/// A path that stands still for longer than 12 h may forget an id before its last redelivery; a person has to
/// act before.
const TOO_OLD: Duration = Duration::from_hours(1);

/// A consumer: a source, a store, and the loop between them.
#[derive(Debug)]
pub struct Consumer<S> {
    source: S,
    store: CountStore,
    metrics: Metrics,
    valkey: Part,
    schema: Part,
    max_batch: usize,
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
        process: &mut Process,
    ) -> Result<(), RunError> {
        let consumer = Self {
            source,
            store: CountStore::new(config.store(S::BROKER)).map_err(RunError::setup)?,
            metrics: Metrics::register(&mut process.registry),
            valkey: process.readiness.part("valkey"),
            schema: process.readiness.part("schema"),
            max_batch: config.max_batch as usize,
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
        let mut delays = Backoff::RECONNECT.delays();
        // Without a durable Valkey nothing is taken from the broker.
        while let Err(error) = self.store.ready().await {
            self.failed(&error);
            if wait(delays.next_delay(), shutdown).await.is_none() {
                return Stop::Shutdown;
            }
        }
        self.valkey.set(true);
        loop {
            let next = self.source.next_batch(self.max_batch);
            let batch = match shutdown.run_until_cancelled(next).await {
                None => return Stop::Shutdown,
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    tracing::warn!(broker = %S::BROKER, %error, "no records for now");
                    if wait(delays.next_delay(), shutdown).await.is_none() {
                        return Stop::Shutdown;
                    }
                    continue;
                }
            };
            delays.reset();
            self.metrics.taken(batch.len());
            if let Err(stop) = self.settle(&batch, shutdown).await {
                return stop;
            }
            if let Err(error) = self.source.acknowledge(&batch).await {
                tracing::warn!(broker = %S::BROKER, %error, records = batch.len(), "not acknowledged, to be delivered again");
            }
            self.metrics.acknowledged();
        }
    }

    /// Counts or sets aside every record of the batch.
    async fn settle(
        &mut self,
        batch: &[Record<S::Position>],
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let mut events = Vec::with_capacity(batch.len());
        let mut poison = Vec::new();
        for record in batch {
            match CheckedEvent::decode(&record.payload) {
                Ok(event) => events.push(event),
                Err(reason) if reason.is_poison() => poison.push((record, reason)),
                Err(newer) => return Err(Stop::NewerSchema(newer)),
            }
        }
        self.count(&events, shutdown).await?;
        for (record, reason) in poison {
            self.set_aside(record, &reason, shutdown).await?;
        }
        Ok(())
    }

    async fn count(
        &self,
        events: &[CheckedEvent],
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let mut delays = Backoff::RECONNECT.delays();
        loop {
            match self.store.apply(events).await {
                Ok(applied) => {
                    self.valkey.set(true);
                    self.metrics.counted(events, applied);
                    return Ok(());
                }
                Err(error) => {
                    self.failed(&error);
                    let age = self.metrics.waiting(events);
                    if age > TOO_OLD {
                        tracing::error!(
                            ?age,
                            "tweets wait for Valkey; after 12 h they may be counted twice or lost"
                        );
                    }
                }
            }
            wait(delays.next_delay(), shutdown)
                .await
                .ok_or(Stop::Shutdown)?;
        }
    }

    async fn set_aside(
        &mut self,
        record: &Record<S::Position>,
        reason: &EventError,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let mut delays = Backoff::RECONNECT.delays();
        while let Err(error) = self.source.set_aside(record, &reason.to_string()).await {
            tracing::warn!(position = ?record.position, %error, "cannot set poison aside yet");
            wait(delays.next_delay(), shutdown)
                .await
                .ok_or(Stop::Shutdown)?;
        }
        tracing::warn!(position = ?record.position, %reason, "poison set aside");
        self.metrics.set_aside();
        Ok(())
    }

    fn failed(&self, error: &StoreError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, cause, "not counted yet");
        self.metrics.store_failed(error);
        if matches!(error, StoreError::NotDurable { .. }) {
            self.valkey.set(false);
        }
    }
}

/// Waits, unless the process is to end.
async fn wait(delay: Duration, shutdown: &CancellationToken) -> Option<()> {
    shutdown
        .run_until_cancelled(tokio::time::sleep(delay))
        .await
}
