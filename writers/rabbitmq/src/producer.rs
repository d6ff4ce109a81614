//! The producer: a connection that comes back by itself, and the channels on it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clima_proto::clima::v1::TweetEvent;
use clima_service::backoff::Backoff;
use clima_service::connections::Connections;
use clima_service::readiness::Part;
use clima_writer_core::{PublishError, Publisher};
use futures::StreamExt as _;
use lapin::options::ConfirmSelectOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, Event};
use prost::Message as _;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::channel::{self, Publish, UNCONFIRMED};
use crate::topology::{self, Destination};
use crate::{ProducerError, RabbitmqConfig};

/// Channels of the connection. A quorum queue limits how much one channel may have unconfirmed before it
/// slows the channel down, and lapin's bookkeeping is per channel.
const CHANNELS: usize = 4;

/// AMQP's "persistent" delivery mode.
const PERSISTENT: u8 = 2;

/// Time to connect and to open and declare what is needed, which includes waiting for new queues to settle.
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// Time for a broker to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Time for a broker to agree to the end of a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

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
    pub fn counted(self, connections: Connections) -> Self {
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
        let open = self.state.borrow().clone();
        let mut events = connection.events_listener();
        loop {
            tokio::select! {
                Some(ended) = running.join_next() => return match ended {
                    Ok(Err(error)) => error,
                    Ok(Ok(())) => ProducerError::Lost("channel ended".to_owned()),
                    Err(error) => ProducerError::Lost(error.to_string()),
                },
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "the broker has blocked publishers");
                        self.state.send_replace(State::Blocked(reason));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!("the broker takes messages again");
                        self.state.send_replace(open.clone());
                    }
                    Some(Event::Error(error)) => return ProducerError::Lost(error.to_string()),
                    None => return ProducerError::Lost("connection closed".to_owned()),
                    Some(_) => {}
                },
            }
        }
    }
}

/// Opens a connection that does not recover by itself: what was in flight on it is ambiguous, and only we
/// know how to go on.
///
/// # Errors
///
/// The broker cannot be reached, refuses us, or does not answer within ten seconds.
pub async fn connect(config: &RabbitmqConfig, role: &str) -> Result<Connection, lapin::Error> {
    let properties =
        ConnectionProperties::default().with_connection_name(format!("clima-{role}").into());
    let connecting = Connection::connect_uri(config.url.clone(), properties);
    within(CONNECT_LIMIT, connecting).await
}

/// Ends a connection. It may be gone already, or its broker silent; what it still carries fails with it either way.
pub async fn close(connection: &Connection, why: &str) {
    let closing = connection.close(200, why.into());
    timeout(CLOSE_LIMIT, closing).await.ok();
}

/// lapin waits for a broker's answer for as long as the connection stands.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, lapin::Error> {
    timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}
