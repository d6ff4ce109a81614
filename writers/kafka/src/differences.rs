//! What of the topics is not as the promise asks for.
//!
//! An operator may own the topics, and settings may change. Nothing of it stops us; whoever reads the log can act before
//! records outlive the bits that remember them, or go before they were counted.

use std::sync::Arc;

use clima_service::backoff::Backoff;
use rdkafka::admin::{AdminClient, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::task::spawn_blocking;

use crate::topology::{self, DEAD_TOPIC_SETTINGS, REQUEST_TIMEOUT, TOPIC_SETTINGS};
use crate::{KafkaConfig, Logged};

/// Said for a moment of a new topic, too.
const NOT_THERE: RDKafkaErrorCode = RDKafkaErrorCode::UnknownTopicOrPartition;

/// One setting of a topic that is not what it should be.
struct Difference {
    setting: &'static str,
    expected: String,
    /// None where the broker does not tell.
    found: Option<String>,
}

/// Compares both topics with what we would have created, and warns of what differs; again and again until the broker
/// has answered. Where we may not look, it says so.
pub async fn warn_until_done(config: &KafkaConfig) {
    let mut delays = Backoff::RECONNECT.delays();
    for topic in [&config.topic, &config.dead_topic] {
        loop {
            match differences(config, topic).await {
                Ok(differences) => {
                    report(topic, differences);
                    break;
                }
                // Only the broker's own word is an answer; and of a topic that was just created it has none yet.
                Err(KafkaError::AdminOp(code)) if code != NOT_THERE => {
                    tracing::warn!(topic, %code, "cannot check the settings of the topic");
                    break;
                }
                Err(error) => tracing::info!(topic, %error, "settings not checked yet"),
            }
            tokio::time::sleep(delays.next_delay()).await;
        }
    }
}

fn report(topic: &str, differences: Vec<Difference>) {
    if differences.is_empty() {
        tracing::info!(topic, "the topic is as the promise asks for");
    }
    for Difference {
        setting,
        expected,
        found,
    } in differences
    {
        let found = found.as_deref().unwrap_or("not known");
        tracing::warn!(
            topic,
            setting,
            expected,
            found,
            "the topic is not as the promise asks for"
        );
    }
}

async fn differences(config: &KafkaConfig, topic: &str) -> Result<Vec<Difference>, KafkaError> {
    let admin = Arc::new(AdminClient::from_config_and_context(
        &config.client(),
        Logged,
    )?);
    let (partitions, replicas) = size(Arc::clone(&admin), topic.to_owned()).await?;
    let described = admin
        .describe_configs(&[ResourceSpecifier::Topic(topic)], &topology::options())
        .await?;
    let found = described.into_iter().next().unwrap_or(Err(NOT_THERE));
    let found = found.map_err(KafkaError::AdminOp)?;
    if partitions == 0 || found.entries.is_empty() {
        return Err(KafkaError::AdminOp(NOT_THERE));
    }
    let expected = if topic == config.topic {
        TOPIC_SETTINGS.as_slice()
    } else {
        &DEAD_TOPIC_SETTINGS
    };
    let mut differences = Vec::new();
    let mut compare = |setting, expected: &str, found: Option<String>| {
        if found.as_deref() != Some(expected) {
            differences.push(Difference {
                setting,
                expected: expected.to_owned(),
                found,
            });
        }
    };
    for &(setting, expected) in expected {
        let found = found.get(setting).and_then(|entry| entry.value.clone());
        compare(setting, expected, found);
    }
    compare(
        "partitions",
        &config.partitions.to_string(),
        Some(partitions.to_string()),
    );
    // Where the broker decides, what it has decided is right.
    if config.replicas > 0 {
        let replicas = Some(replicas.to_string());
        compare("replicas", &config.replicas.to_string(), replicas);
    }
    Ok(differences)
}

/// How many partitions the topic has, and how many replicas the one that has fewest.
async fn size(
    admin: Arc<AdminClient<Logged>>,
    topic: String,
) -> Result<(usize, usize), KafkaError> {
    let asked = spawn_blocking(move || {
        let metadata = admin
            .inner()
            .fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
        let topics = metadata.topics().iter();
        let partitions: Vec<_> = topics.flat_map(|topic| topic.partitions()).collect();
        let replicas = partitions.iter().map(|one| one.replicas().len()).min();
        Ok((partitions.len(), replicas.unwrap_or(0)))
    });
    // The process is ending.
    asked.await.unwrap_or(Err(KafkaError::Canceled))
}
