//! The producer: one record per event, OK after its delivery report.

use std::sync::{Arc, PoisonError, RwLock};

use clima_proto::clima::v1::TweetEvent;
use clima_writer_core::{PublishError, Publisher};
use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::topology::Logged;
use crate::{KafkaConfig, ProducerError};

type Client = FutureProducer<Logged>;

/// Publishes records to one topic. Connects by itself, also when the broker is down at first.
pub struct Producer {
    settings: ClientConfig,
    topic: String,
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
        let mut settings = config.client();
        settings
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // Longer than any deadline of ours: the client goes on while somebody waits.
            .set("message.timeout.ms", "30000")
            .set("queue.buffering.max.kbytes", "16384")
            // Records gather while requests are in flight; waiting for more would only add latency.
            .set("linger.ms", "0");
        let client = connect(&settings).map_err(ProducerError::Settings)?;
        Ok(Self {
            settings,
            topic: topic.to_owned(),
            client: RwLock::new(Arc::new(client)),
        })
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
        match connect(&self.settings) {
            Ok(client) => {
                tracing::warn!("the producer failed for good, another takes its place");
                *current = Arc::new(client);
            }
            Err(error) => tracing::error!(%error, "cannot replace the failed producer"),
        }
    }
}

fn connect(settings: &ClientConfig) -> Result<Client, KafkaError> {
    Client::from_config_and_context(settings, Logged)
}

impl Publisher for Producer {
    const BROKER: &'static str = "Kafka";

    async fn publish(&self, event: &TweetEvent) -> Result<(), PublishError> {
        Ok(self.send(&event.encode_to_vec(), None).await?)
    }
}
