//! RabbitMQ as a source of records.

use std::sync::Arc;
use std::time::Duration;

use clima_consumer_core::store::Broker;
use clima_consumer_core::{Metrics, Pace, Record, Source, SourceError};
use clima_service::connections::{Connections, Up};
use clima_service::sabotage::{self, Sabotage};
use clima_writer_rabbitmq::{Message, Producer, RabbitmqConfig, close, connect, within};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::deliveries::{Tags, hand_over};
use crate::error::Error;
use crate::lag;

/// Deliveries that the broker sends ahead. A quorum queue takes no more than 2,000 for a consumer.
const PREFETCH: u16 = 1_500;

/// Settled deliveries that are acknowledged at once. The broker sends no more than [`PREFETCH`] ahead of the
/// acknowledgements, so holding back many would starve us.
const HELD_BACK: u64 = 500;

/// Time to connect and to begin to consume.
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// Deliveries of the queue, over a connection that is made when it is needed.
pub(crate) struct RabbitmqSource {
    config: RabbitmqConfig,
    dead_letters: Producer,
    metrics: Metrics,
    connections: Connections,
    session: Option<Session>,
}

/// One connection's life. Delivery tags mean something only within it.
struct Session {
    connection: Arc<Connection>,
    channel: Channel,
    /// What has arrived; the prefetch is its limit.
    deliveries: UnboundedReceiver<Result<Record<u64>, Error>>,
    tags: Tags,
    /// The tags up to here are settled, up to there acknowledged.
    settled: u64,
    acknowledged: u64,
    pace: Pace,
    /// Hand over deliveries and watch the queue; they end with the session.
    _tasks: JoinSet<()>,
    _up: Up,
}

impl Session {
    /// Waits for a delivery, takes those that have arrived with it, and acknowledges meanwhile what is due.
    async fn take(&mut self, max: usize) -> Result<Vec<Record<u64>>, Error> {
        let mut arrived = Vec::with_capacity(max);
        loop {
            if self.pace.is_due() {
                self.acknowledge().await?;
            }
            tokio::select! {
                _ = self.deliveries.recv_many(&mut arrived, max) => break,
                () = self.pace.due() => {}
            }
        }
        if arrived.is_empty() {
            return Err(Error::Cancelled);
        }
        let mut batch = Vec::with_capacity(arrived.len());
        for arrived in arrived {
            match arrived {
                Ok(record) => batch.push(record),
                Err(error) if batch.is_empty() => return Err(error),
                // What has failed by now shows at the next call, too.
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn acknowledge(&mut self) -> Result<(), Error> {
        self.pace.done();
        if self.acknowledged == self.settled {
            return Ok(());
        }
        // Batches are taken in the order of the tags and settled one after the other, so every lower tag of
        // this channel is counted or set aside, too.
        let multiple = BasicAckOptions { multiple: true };
        self.channel
            .basic_ack(self.settled, multiple)
            .await
            .map_err(Error::Lost)?;
        self.acknowledged = self.settled;
        self.tags.acknowledged(self.settled);
        Ok(())
    }
}

impl RabbitmqSource {
    pub(crate) fn new(
        config: RabbitmqConfig,
        dead_letters: Producer,
        metrics: Metrics,
        connections: Connections,
    ) -> Self {
        Self {
            config,
            dead_letters,
            metrics,
            connections,
            session: None,
        }
    }

    async fn session(&mut self) -> Result<&mut Session, Error> {
        let session = match self.session.take() {
            Some(session) => session,
            None => within(OPEN_LIMIT, self.open())
                .await
                .map_err(Error::Connect)?,
        };
        Ok(self.session.insert(session))
    }

    async fn open(&self) -> Result<Session, lapin::Error> {
        let queue = self.config.names().tweets.queue;
        let connection = connect(&self.config, "consumer").await?;
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(PREFETCH, BasicQosOptions::default())
            .await?;
        let consumer = channel
            .basic_consume(
                queue.as_str().into(),
                "clima-counter".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let (tags, mut tasks) = (Tags::default(), JoinSet::new());
        let (records, deliveries) = unbounded_channel();
        tasks.spawn(hand_over(consumer, tags.clone(), records));
        let connection = Arc::new(connection);
        tasks.spawn(lag::watch(
            Arc::clone(&connection),
            queue,
            tags.clone(),
            self.metrics.clone(),
        ));
        tracing::info!("consuming");
        Ok(Session {
            connection,
            channel,
            deliveries,
            tags,
            settled: 0,
            acknowledged: 0,
            pace: Pace::default(),
            _tasks: tasks,
            _up: self.connections.made(),
        })
    }
}

impl Source for RabbitmqSource {
    const BROKER: Broker = Broker::Rabbitmq;
    /// The delivery tag.
    type Position = u64;

    async fn next_batch(&mut self, max: usize) -> Result<Vec<Record<u64>>, SourceError> {
        let batch = match self.session().await {
            Ok(session) => session.take(max).await,
            Err(error) => Err(error),
        };
        if batch.is_err() {
            // No recovery within the old session: its tags and its deliveries end with it.
            self.session = None;
        }
        Ok(batch?)
    }

    async fn set_aside(&mut self, record: &Record<u64>, reason: &str) -> Result<(), SourceError> {
        let mut headers = FieldTable::default();
        headers.insert("reason".into(), AMQPValue::LongString(reason.into()));
        let message = Message {
            payload: record.payload.clone(),
            headers,
        };
        self.dead_letters
            .send(message)
            .await
            .map_err(|error| SourceError(error.to_string()))
    }

    async fn acknowledge(&mut self, batch: &[Record<u64>]) -> Result<(), SourceError> {
        let (Some(session), Some(last)) = (&mut self.session, batch.last()) else {
            return Ok(());
        };
        session.settled = last.position;
        session.pace.settled();
        let is_due = session.settled - session.acknowledged >= HELD_BACK;
        if is_due || sabotage::is(Sabotage::AckBeforeCounting) {
            session.acknowledge().await?;
        }
        Ok(())
    }

    async fn close(self) {
        if let Some(mut session) = self.session {
            if let Err(error) = session.acknowledge().await {
                tracing::warn!(%error, "not acknowledged, to be delivered again");
            }
            close(&session.connection, "draining").await;
        }
    }
}
