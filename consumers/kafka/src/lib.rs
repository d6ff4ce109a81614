//! Counts the tweets of Kafka in Valkey, each id once.
//!
//! Offsets are committed after the records they cover were counted, so a crash at any moment means records
//! that are read again and recognised, never records that are skipped.

mod config;
mod consumer;
mod error;
mod gaps;
mod lag;
mod poll;
mod rejoin;

use std::convert::Infallible;

use clima_consumer_core::store::Broker;
use clima_consumer_core::{Consumer, Metrics};
use clima_service::connections::ConnectionMetrics;
use clima_service::process::{Process, RunError};
use clima_writer_kafka::{differences, topology};
use tokio_util::sync::CancellationToken;

pub use config::Config;
use consumer::KafkaSource;
use gaps::Gaps;

/// Runs the consumer until `shutdown`.
///
/// # Errors
///
/// A port cannot be opened, the client refuses its settings, or a task ended.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let mut process = Process::bind(&config.consumer.process, shutdown).await?;
    let ready = process.readiness.part("kafka");
    let metrics = Metrics::register(&mut process.registry, Broker::Kafka);
    let connections = ConnectionMetrics::register(&mut process.registry);
    let gaps = Gaps::register(&mut process.registry);
    let source =
        KafkaSource::new(&config, metrics.clone(), &connections, gaps).map_err(RunError::setup)?;
    let (lag, done) = (source.lag_watch(&connections), process.shutdown.clone());
    process.tasks.spawn("lag", async move {
        done.run_until_cancelled(lag.run())
            .await
            .unwrap_or(Ok(()))?;
        done.cancelled().await;
        Ok::<_, error::Error>(())
    });
    let (rejoin, done) = (source.rejoin(), process.shutdown.clone());
    process.tasks.spawn("rejoin", async move {
        done.run_until_cancelled(rejoin).await;
        done.cancelled().await;
        Ok::<_, Infallible>(())
    });
    let (kafka, done) = (config.kafka.clone(), process.shutdown.clone());
    process.tasks.spawn("topology", async move {
        let declared = done.run_until_cancelled(topology::declare_until_done(&kafka));
        ready.set(declared.await.is_some());
        done.run_until_cancelled(differences::warn_until_done(&kafka))
            .await;
        done.cancelled().await;
        Ok::<_, Infallible>(())
    });
    Consumer::spawn(
        source,
        &config.consumer,
        metrics,
        &connections,
        &mut process,
    )?;
    process.run().await
}
