//! What is ours in Kafka: two topics, declared here and nowhere else.
//!
//! Where an operator owns them, or we may not create topics, that is fine as long as they exist.

use std::time::Duration;

use clima_service::backoff::Backoff;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{KafkaConfig, Logged};

/// Settings of a topic that the promise rests on: a record must be gone before the bitmap is that counted it.
///
/// `retention.ms`: 12 h, half of what a bitmap lives. `segment.ms`: a segment is only deleted whole, so it
/// must not collect for longer than an hour. `message.timestamp.type`: retention goes by the broker's clock,
/// not by a client's. `retention.bytes`: no limit, or accepted tweets would go early. `cleanup.policy`: a topic that is
/// compacted keeps only records that have a key, and ours have none.
pub const TOPIC_SETTINGS: [(&str, &str); 5] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "43200000"),
    ("segment.ms", "3600000"),
    ("message.timestamp.type", "LogAppendTime"),
    ("retention.bytes", "-1"),
];

/// Dead letters stay until a person has dealt with them.
pub(crate) const DEAD_TOPIC_SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
];

pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Declares the topics, again and again until the broker has answered. Then they exist, or are somebody
/// else's to create.
pub async fn declare_until_done(config: &KafkaConfig) {
    let mut delays = Backoff::RECONNECT.delays();
    while let Err(error) = declare(config).await {
        tracing::warn!(%error, "cannot declare the topics yet");
        tokio::time::sleep(delays.next_delay()).await;
    }
}

async fn declare(config: &KafkaConfig) -> Result<(), KafkaError> {
    let admin = AdminClient::from_config_and_context(&config.client(), Logged)?;
    let topics = [
        (&config.topic, TOPIC_SETTINGS.as_slice()),
        (&config.dead_topic, &DEAD_TOPIC_SETTINGS),
    ]
    .map(|(name, settings)| {
        let replication = TopicReplication::Fixed(config.replicas);
        let topic = NewTopic::new(name, config.partitions, replication);
        settings
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value))
    });
    for outcome in admin.create_topics(&topics, &options()).await? {
        match outcome {
            Ok(topic) => tracing::info!(topic, "topic created"),
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => {
                tracing::debug!(topic, "topic exists");
            }
            Err((
                topic,
                code @ (RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed),
            )) => tracing::info!(topic, %code, "topic is not ours to create"),
            Err((topic, code)) => {
                tracing::warn!(topic, %code, "topic not created");
                return Err(KafkaError::AdminOp(code));
            }
        }
    }
    Ok(())
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
}
