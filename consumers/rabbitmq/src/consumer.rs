//! RabbitMQ as a source of records.

use clima_consumer_core::store::Broker;
use clima_consumer_core::{Pace, Record, Source, SourceError};
use clima_writer_rabbitmq::{Message, Producer, RabbitmqConfig, close, connect};
use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};

use crate::error::Error;

/// Deliveries that the broker sends ahead. A quorum queue takes no more than 2,000 for a consumer.
const PREFETCH: u16 = 1_500;

/// Settled deliveries that are acknowledged at once. The broker sends no more than [`PREFETCH`] ahead of the
/// acknowledgements, so holding back many would starve us.
const HELD_BACK: u64 = 500;

/// Deliveries of the queue, over a connection that is made when it is needed.
pub(crate) struct RabbitmqSource {
    config: RabbitmqConfig,
    dead_letters: Producer,
    session: Option<Session>,
}

/// One connection's life. Delivery tags mean something only within it.
struct Session {
    connection: Connection,
    channel: Channel,
    deliveries: lapin::Consumer,
    /// The tags up to here are settled, up to there acknowledged.
    settled: u64,
    acknowledged: u64,
    pace: Pace,
}

impl Session {
    /// Waits for a delivery, and acknowledges meanwhile what is due.
    async fn next(&mut self) -> Result<Record<u64>, Error> {
        loop {
            if self.pace.is_due() {
                self.acknowledge().await?;
            }
            tokio::select! {
                arrived = self.deliveries.next() => return record(arrived),
                () = self.pace.due() => {}
            }
        }
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
        Ok(())
    }
}

impl RabbitmqSource {
    pub(crate) fn new(config: RabbitmqConfig, dead_letters: Producer) -> Self {
        Self {
            config,
            dead_letters,
            session: None,
        }
    }

    async fn session(&mut self) -> Result<&mut Session, Error> {
        let session = match self.session.take() {
            Some(session) => session,
            None => open(&self.config).await.map_err(Error::Connect)?,
        };
        Ok(self.session.insert(session))
    }

    async fn take(&mut self, max: usize) -> Result<Vec<Record<u64>>, Error> {
        let session = self.session().await?;
        let mut batch = vec![session.next().await?];
        while batch.len() < max {
            // What has arrived is taken; what has failed by now shows at the next call.
            let Some(arrived @ Some(Ok(_))) = session.deliveries.next().now_or_never() else {
                break;
            };
            batch.push(record(arrived)?);
        }
        Ok(batch)
    }
}

async fn open(config: &RabbitmqConfig) -> Result<Session, lapin::Error> {
    let connection = connect(config, "consumer").await?;
    let channel = connection.create_channel().await?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let deliveries = channel
        .basic_consume(
            config.names().tweets.queue.into(),
            "clima-counter".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    tracing::info!("consuming");
    Ok(Session {
        connection,
        channel,
        deliveries,
        settled: 0,
        acknowledged: 0,
        pace: Pace::default(),
    })
}

fn record(arrived: Option<Result<Delivery, lapin::Error>>) -> Result<Record<u64>, Error> {
    let delivery = arrived.ok_or(Error::Cancelled)?.map_err(Error::Lost)?;
    Ok(Record {
        position: delivery.delivery_tag,
        payload: delivery.data,
    })
}

impl Source for RabbitmqSource {
    const BROKER: Broker = Broker::Rabbitmq;
    /// The delivery tag.
    type Position = u64;

    async fn next_batch(&mut self, max: usize) -> Result<Vec<Record<u64>>, SourceError> {
        let batch = self.take(max).await;
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
        if session.settled - session.acknowledged >= HELD_BACK {
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
