//! The producer: a connection that comes back by itself, and the channels on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clima_proto::clima::v1::TweetEvent;
use clima_service::backoff::Backoff;
use clima_service::connections::Connections;
use clima_service::readiness::Part;
use clima_writer_core::{PublishError, Publisher};
use futures::{Stream, StreamExt as _};
use lapin::options::ConfirmSelectOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, Event};
use prost::Message as _;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::channel::{self, Publish, UNCONFIRMED};
use crate::connection::{close, connect, within};
use crate::topology::{self, Destination};
use crate::{ProducerError, RabbitmqConfig};

/// Channels of the connection. A quorum queue limits how much one channel may have unconfirmed before it
/// slows the channel down, and lapin's bookkeeping is per channel.
const CHANNELS: usize = 4;

/// AMQP's "persistent" delivery mode.
const PERSISTENT: u8 = 2;

/// Time to connect and to open and declare what is needed, which includes waiting for new queues to settle.
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// A connection and its running channels.
type Opened = (Connection, JoinSet<Result<(), ProducerError>>);

/// What is published: a body and the headers that go with it.
#[derive(Debug, Default)]
pub struct Message {
    /// The body.
    pub payload: Vec<u8>,
    /// Headers; none for an event, the reason for a dead letter.
    pub headers: FieldTable,
}

/// Publishes messages to one exchange, over a connection that a [`ProducerConnection`] keeps up.
#[derive(Debug)]
pub struct Producer {
    state: watch::Receiver<State>,
}

#[derive(Debug, Clone)]
enum State {
    Disconnected,
    Blocked(String),
    Open(Arc<Channels>),
}

#[derive(Debug)]
struct Channels {
    messages: Vec<mpsc::Sender<Publish>>,
    next: AtomicUsize,
}

impl Producer {
    /// A producer to `destination`, and the connection that it needs: somebody must run it.
    pub fn new(
        config: RabbitmqConfig,
        destination: Destination,
        ready: Part,
    ) -> (Self, ProducerConnection) {
        let (publish, state) = watch::channel(State::Disconnected);
        let connection = ProducerConnection {
            config,
            destination,
            ready,
            connections: Connections::default(),
            state: publish,
        };
        (Self { state }, connection)
    }

    /// Publishes one message and waits for its confirmation.
    ///
    /// # Errors
    ///
    /// Any [`ProducerError`].
    pub async fn send(&self, message: Message) -> Result<(), ProducerError> {
        let channels = match &*self.state.borrow() {
            State::Open(channels) => Arc::clone(channels),
            State::Blocked(reason) => return Err(ProducerError::Blocked(reason.clone())),
            State::Disconnected => return Err(ProducerError::Disconnected),
        };
        let (reply, answer) = oneshot::channel();
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_headers(message.headers);
        let publish = Publish {
            payload: message.payload,
            properties,
            reply,
        };
        let turn = channels.next.fetch_add(1, Ordering::Relaxed) % CHANNELS;
        channels.messages[turn]
            .try_send(publish)
            .map_err(|error| match error {
                TrySendError::Full(_) => ProducerError::Full,
                TrySendError::Closed(_) => ProducerError::Disconnected,
            })?;
        drop(channels);
        answer
            .await
            .unwrap_or_else(|_| Err(ProducerError::Lost("channel closed".to_owned())))
    }
}

impl Publisher for Producer {
    const BROKER: &'static str = "RabbitMQ";

    async fn publish(&self, event: &TweetEvent) -> Result<(), PublishError> {
        let message = Message {
            payload: event.encode_to_vec(),
            headers: FieldTable::default(),
        };
        Ok(self.send(message).await?)
    }
}

/// Keeps a producer's connection up, until the producer is gone.
#[derive(Debug)]
pub struct ProducerConnection {
    config: RabbitmqConfig,
    destination: Destination,
    ready: Part,
    connections: Connections,
    state: watch::Sender<State>,
}

impl ProducerConnection {
    /// Tells its connections to these metrics.
    #[must_use]
    pub fn with_metrics(self, connections: Connections) -> Self {
        Self {
            connections,
            ..self
        }
    }

    /// Connects, and connects again whenever the connection or one of its channels fails.
    ///
    /// # Errors
    ///
    /// Never: it ends when the producer is dropped.
    pub async fn run(self) -> Result<(), Infallible> {
        let gone = self.state.clone();
        tokio::select! {
            () = self.keep_up() => {}
            () = gone.closed() => {}
        }
        Ok(())
    }

    async fn keep_up(&self) {
        let mut delays = Backoff::RECONNECT.delays();
        loop {
            let error = match within(OPEN_LIMIT, self.open()).await {
                Ok((connection, channels)) => {
                    delays.reset();
                    // Reached once: a writer that is taken out of service when its broker is away would only come
                    // back later than the broker. Until then it refuses at once.
                    self.ready.set(true);
                    let _up = self.connections.made();
                    tracing::info!("connected");
                    let error = self.watch(&connection, channels).await;
                    self.state.send_replace(State::Disconnected);
                    close(&connection, "reconnecting").await;
                    error
                }
                Err(error) => ProducerError::Lost(error.to_string()),
            };
            self.state.send_replace(State::Disconnected);
            tracing::warn!(%error, "not connected");
            tokio::time::sleep(delays.next_delay()).await;
        }
    }

    /// Connects, declares what is ours, and opens the channels.
    async fn open(&self) -> Result<Opened, lapin::Error> {
        let connection = connect(&self.config, "writer").await?;
        topology::declare(&connection, &self.config.names()).await?;
        let mut running = JoinSet::new();
        let mut senders = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let (sender, messages) = mpsc::channel(UNCONFIRMED);
            running.spawn(channel::run(
                channel,
                self.destination.exchange.clone(),
                messages,
            ));
            senders.push(sender);
        }
        self.state.send_replace(State::Open(Arc::new(Channels {
            messages: senders,
            next: AtomicUsize::new(0),
        })));
        Ok((connection, running))
    }

    /// Returns when the connection is of no more use.
    async fn watch(
        &self,
        connection: &Connection,
        mut running: JoinSet<Result<(), ProducerError>>,
    ) -> ProducerError {
        let mut events = connection.events_listener();
        // What was told before anybody listened.
        if connection.status().blocked() {
            return self.blocked("at once", events, running).await;
        }
        loop {
            tokio::select! {
                Some(ended) = running.join_next() => return match ended {
                    Ok(Err(error)) => error,
                    Ok(Ok(())) => ProducerError::Lost("channel ended".to_owned()),
                    Err(error) => ProducerError::Lost(error.to_string()),
                },
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        return self.blocked(&reason, events, running).await;
                    }
                    Some(Event::Error(error)) => return ProducerError::Lost(error.to_string()),
                    None => return ProducerError::Lost("connection closed".to_owned()),
                    Some(_) => {}
                },
            }
        }
    }

    /// The broker reads no more from the connection, for want of memory or disk, until it says otherwise. What it has not
    /// confirmed waits somewhere on the way: nobody is to wait for that, so the channels are given up. The connection
    /// stays, since only on it the broker tells when it takes messages again; then another takes its place.
    async fn blocked(
        &self,
        reason: &str,
        mut events: impl Stream<Item = Event> + Unpin,
        mut running: JoinSet<Result<(), ProducerError>>,
    ) -> ProducerError {
        tracing::warn!(reason, "the broker has blocked publishers");
        self.state.send_replace(State::Blocked(reason.to_owned()));
        running.shutdown().await;
        loop {
            match events.next().await {
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker takes messages again");
                    return ProducerError::Lost(
                        "given up while publishers were blocked".to_owned(),
                    );
                }
                Some(Event::Error(error)) => return ProducerError::Lost(error.to_string()),
                None => return ProducerError::Lost("connection closed".to_owned()),
                Some(_) => {}
            }
        }
    }
}
