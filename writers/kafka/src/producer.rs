//! The producer: one record per event, OK after its delivery report.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use clima_proto::clima::v1::TweetEvent;
use clima_service::backoff::Backoff;
use clima_service::connections::Connections;
use clima_service::sabotage::{self, Sabotage};
use clima_writer_core::{PublishError, Publisher};
use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::task::spawn_blocking;

use crate::context::Counted;
use crate::{KafkaConfig, ProducerError};

type Client = FutureProducer<Counted>;

/// Longest wait for a broker to come up and to tell of the topic.
const QUESTION_LIMIT: Duration = Duration::from_secs(1);

/// Publishes records to one topic. Connects by itself, also when the broker is down at first.
pub struct Producer {
    settings: ClientConfig,
    topic: String,
    connections: Connections,
    /// Replaced after a fatal error, which an idempotent producer cannot recover from by itself.
    client: RwLock<Arc<Client>>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer to `topic`. Does not connect yet.
    ///
    /// # Errors
    ///
    /// The client refuses its settings.
    pub fn new(config: &KafkaConfig, topic: &str) -> Result<Self, ProducerError> {
        Self::with_metrics(config, topic, Connections::default())
    }

    /// The same, with its connections told to these metrics.
    ///
    /// # Errors
    ///
    /// The client refuses its settings.
    pub fn with_metrics(
        config: &KafkaConfig,
        topic: &str,
        connections: Connections,
    ) -> Result<Self, ProducerError> {
        let mut settings = config.client();
        settings
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // Longer than any deadline of ours: the client goes on while somebody waits.
            .set("message.timeout.ms", "30000")
            .set("queue.buffering.max.kbytes", "16384")
            // Records gather while requests are in flight; waiting for more would only add latency.
            .set("linger.ms", "0")
            // What it has to tell takes well under a millisecond.
            .set("statistics.interval.ms", "1000");
        let client = connect(&settings, &connections).map_err(ProducerError::Settings)?;
        Ok(Self {
            settings,
            topic: topic.to_owned(),
            connections,
            client: RwLock::new(Arc::new(client)),
        })
    }

    /// Makes the client fit to publish before there is anything to be published. It returns when it is, or when the
    /// producer is gone.
    ///
    /// An idempotent producer needs an id from a broker before its first record. librdkafka asks for one whenever a broker
    /// has told it of topics, but finds none to ask after the first answer: that one names the broker by its real
    /// address, and the connection to the address that we were given is closed. Left alone, it tries again at intervals of
    /// 500 ms, and only the first of these opens the other connection: the first record would be a second late. A
    /// second question goes over that connection, and its answer brings the id.
    pub(crate) fn warm_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let client = Arc::downgrade(&self.client.read().unwrap_or_else(PoisonError::into_inner));
        let topic = self.topic.clone();
        async move {
            let (mut answers, mut delays) = (0, Backoff::RECONNECT.delays());
            while answers < 2 {
                let Some(client) = client.upgrade() else {
                    return;
                };
                let topic = topic.clone();
                let question = move || client.client().fetch_metadata(Some(&topic), QUESTION_LIMIT);
                match spawn_blocking(question).await {
                    Ok(Ok(_)) => answers += 1,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "cannot ask for the topic yet");
                        tokio::time::sleep(delays.next_delay()).await;
                    }
                    // The process is ending.
                    Err(_) => return,
                }
            }
        }
    }

    /// Publishes one record and waits for its delivery report.
    ///
    /// # Errors
    ///
    /// Any [`ProducerError`] but `Settings`.
    pub async fn send(
        &self,
        payload: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> Result<(), ProducerError> {
        let client = Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner));
        // No key: the client fills one partition's batch at a time, and duplicates of an id are found in
        // Valkey whichever partition they come from.
        let mut record = FutureRecord::<(), [u8]>::to(&self.topic).payload(payload);
        record.headers = headers;
        let outcome = match client.send_result(record) {
            Err((error, _)) => Err(ProducerError::not_queued(error)),
            Ok(_) if sabotage::is(Sabotage::NoConfirms) => Ok(()),
            Ok(report) => match report.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(ProducerError::Undelivered(error)),
                Err(_) => Err(ProducerError::Closed),
            },
        };
        if let Err(error) = &outcome
            && error.is_fatal()
        {
            self.replace(&client);
        }
        outcome
    }

    /// Puts a new client in the place of one that failed for good, unless somebody else did.
    fn replace(&self, failed: &Arc<Client>) {
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        match connect(&self.settings, &self.connections) {
            Ok(client) => {
                tracing::warn!("the producer failed for good, another takes its place");
                *current = Arc::new(client);
            }
            Err(error) => tracing::error!(%error, "cannot replace the failed producer"),
        }
    }
}

fn connect(settings: &ClientConfig, connections: &Connections) -> Result<Client, KafkaError> {
    Client::from_config_and_context(settings, Counted::new(connections.clone()))
}

impl Publisher for Producer {
    const BROKER: &'static str = "Kafka";

    async fn publish(&self, event: &TweetEvent) -> Result<(), PublishError> {
        Ok(self.send(&event.encode_to_vec(), None).await?)
    }
}
