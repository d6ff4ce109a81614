//! Settings of the RabbitMQ writer.

use clap::{Args, Parser};
use clima_service::config::Check;
use clima_service::process::{Configured, ProcessConfig};
use clima_writer_core::WriterConfig;
use lapin::uri::{AMQPScheme, AMQPUri};

use crate::topology::Names;

/// First part of the names of what is ours.
const PREFIX: &str = "clima";

/// Publishes accepted tweets to RabbitMQ.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-writer-rabbitmq", version, about)]
pub struct Config {
    /// Ports and limits.
    #[command(flatten)]
    pub writer: WriterConfig,

    /// The broker.
    #[command(flatten)]
    pub rabbitmq: RabbitmqConfig,
}

/// Where RabbitMQ is, and what is ours there.
#[derive(Debug, Clone, Args)]
pub struct RabbitmqConfig {
    /// The broker, amqp://user:password@host:port/vhost. %2f is the default vhost. No TLS.
    #[arg(long = "rabbitmq-url", env = "CLIMA_RABBITMQ_URL", value_name = "URL", hide_env_values = true, value_parser = url)]
    pub url: AMQPUri,

    /// First part of the names of what is ours: exchanges <PREFIX>, <PREFIX>.dead and <PREFIX>.settled, queues
    /// <PREFIX>.tweets and <PREFIX>.tweets.dead. They are declared where they do not exist.
    #[arg(
        long = "rabbitmq-prefix",
        env = "CLIMA_RABBITMQ_PREFIX",
        value_name = "PREFIX",
        default_value = PREFIX
    )]
    pub prefix: String,
}

impl RabbitmqConfig {
    /// The defaults, at this URL.
    ///
    /// # Errors
    ///
    /// It is no URL of a RabbitMQ broker.
    pub fn new(text: &str) -> Result<Self, String> {
        Ok(Self {
            url: url(text)?,
            prefix: PREFIX.to_owned(),
        })
    }

    /// The names of what is ours.
    pub fn names(&self) -> Names {
        Names::new(&self.prefix)
    }
}

fn url(text: &str) -> Result<AMQPUri, String> {
    // The client's own words are not passed on: they may repeat the whole URL, and the password with it.
    let mut uri: AMQPUri = text
        .parse()
        .map_err(|_| "is not of the form amqp://user:password@host:port/vhost".to_owned())?;
    if uri.scheme != AMQPScheme::AMQP {
        return Err("only amqp:// is supported".to_owned());
    }
    // A broker that has stopped answering is noticed within two of these.
    uri.query.heartbeat.get_or_insert(5);
    Ok(uri)
}

impl Check for Config {}

impl Configured for Config {
    fn process(&self) -> &ProcessConfig {
        &self.writer.process
    }
}
