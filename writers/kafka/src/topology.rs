//! What is ours in Kafka: two topics, declared here and nowhere else.
//!
//! Where an operator owns them, or we may not create topics, that is fine as long as they exist.

use std::time::Duration;

use clima_service::backoff::Backoff;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{KafkaConfig, Logged};

/// Settings of a topic that the promise rests on: a record must be gone before the bitmap is that counted it.
///
/// `retention.ms`: 12 h, half of what a bitmap lives. `segment.ms`: a segment is only deleted whole, so it
/// must not collect for longer than an hour. `message.timestamp.type`: retention goes by the broker's clock,
/// not by a client's. `retention.bytes`: no limit, or accepted tweets would go early.
pub const TOPIC_SETTINGS: [(&str, &str); 4] = [
    ("retention.ms", "43200000"),
    ("segment.ms", "3600000"),
    ("message.timestamp.type", "LogAppendTime"),
    ("retention.bytes", "-1"),
];

/// Dead letters stay until a person has dealt with them.
const DEAD_TOPIC_SETTINGS: [(&str, &str); 2] = [("retention.ms", "-1"), ("retention.bytes", "-1")];

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Compares the topic with [`TOPIC_SETTINGS`] and warns of what differs. Where we may not look, it says so.
pub async fn warn_of_differences(config: &KafkaConfig) {
    let topic = config.topic.as_str();
    let described = match AdminClient::from_config_and_context(&config.client(), Logged) {
        Ok(admin) => {
            admin
                .describe_configs(&[ResourceSpecifier::Topic(topic)], &options())
                .await
        }
        Err(error) => Err(error),
    };
    let settings = match described.map(|mut resources| resources.pop()) {
        Ok(Some(Ok(settings))) => settings,
        Ok(Some(Err(code))) => {
            tracing::warn!(topic, %code, "cannot check the settings of the topic");
            return;
        }
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(topic, %error, "cannot check the settings of the topic");
            return;
        }
    };
    for (name, expected) in TOPIC_SETTINGS {
        let found = settings.get(name).and_then(|entry| entry.value.as_deref());
        if found != Some(expected) {
            tracing::warn!(
                topic,
                name,
                expected,
                found,
                "the topic differs from what the promise asks for"
            );
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
}
