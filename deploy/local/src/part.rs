//! The nine parts of the system and their names.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One process of the system: a service of ours, or a server that they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The HTTP front.
    Rest,
    /// The gRPC gateway that fans out to both writers.
    Gateway,
    /// Publishes to Kafka.
    WriterKafka,
    /// Publishes to RabbitMQ.
    WriterRabbitmq,
    /// Counts what is in Kafka.
    ConsumerKafka,
    /// Counts what is in RabbitMQ.
    ConsumerRabbitmq,
    /// The Kafka broker (and its controller, in the same process).
    Kafka,
    /// The RabbitMQ broker.
    Rabbitmq,
    /// The Valkey server.
    Valkey,
}

impl Part {
    /// Our six services, front first.
    pub const SERVICES: [Self; 6] = [
        Self::Rest,
        Self::Gateway,
        Self::WriterKafka,
        Self::WriterRabbitmq,
        Self::ConsumerKafka,
        Self::ConsumerRabbitmq,
    ];

    /// The three servers.
    pub const SERVERS: [Self; 3] = [Self::Kafka, Self::Rabbitmq, Self::Valkey];

    /// All parts: the services, then the servers.
    pub const ALL: [Self; 9] = [
        Self::Rest,
        Self::Gateway,
        Self::WriterKafka,
        Self::WriterRabbitmq,
        Self::ConsumerKafka,
        Self::ConsumerRabbitmq,
        Self::Kafka,
        Self::Rabbitmq,
        Self::Valkey,
    ];

    /// The name used on the command line, in `stack.json` and for log files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Gateway => "gateway",
            Self::WriterKafka => "writer_kafka",
            Self::WriterRabbitmq => "writer_rabbitmq",
            Self::ConsumerKafka => "consumer_kafka",
            Self::ConsumerRabbitmq => "consumer_rabbitmq",
            Self::Kafka => "kafka",
            Self::Rabbitmq => "rabbitmq",
            Self::Valkey => "valkey",
        }
    }

    /// The binary of a service; none for a server.
    #[must_use]
    pub const fn binary(self) -> Option<&'static str> {
        match self {
            Self::Rest => Some("clima-rest"),
            Self::Gateway => Some("clima-gateway"),
            Self::WriterKafka => Some("clima-writer-kafka"),
            Self::WriterRabbitmq => Some("clima-writer-rabbitmq"),
            Self::ConsumerKafka => Some("clima-consumer-kafka"),
            Self::ConsumerRabbitmq => Some("clima-consumer-rabbitmq"),
            Self::Kafka | Self::Rabbitmq | Self::Valkey => None,
        }
    }

    /// How long an orderly stop may take before it is cut short. `stop_grace_period` in deploy/compose.yaml says the same.
    pub(crate) const fn grace(self) -> Duration {
        match self {
            Self::Kafka => Duration::from_secs(15),
            Self::Rabbitmq => Duration::from_secs(20),
            Self::Valkey => Duration::from_secs(10),
            // Longer than the services' own drain budget of 20 s.
            _ => Duration::from_secs(25),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Part {
    type Err = String;

    /// Takes the name; a hyphen is as good as the underscore.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.replace('-', "_");
        Self::ALL
            .into_iter()
            .find(|part| part.name() == wanted)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|part| part.name()).collect();
                format!(
                    "no part is called {text:?}; the parts are {}",
                    names.join(", ")
                )
            })
    }
}
