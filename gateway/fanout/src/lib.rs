//! Brings each accepted tweet to both writers at once.
//!
//! The paths are tried at the same time and retried apart from each other until the deadline, always with
//! the tweet's id. OK is answered when both writers have answered OK; what is said otherwise covers both.
//!
//! The public port also speaks gRPC-web, for pages in browsers.
//!
//! It knows no broker: a writer is a gRPC service like any other.

mod config;
mod fan_out;
mod hold;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;

use clima_proto::intake::Intake;
use clima_service::channel::{Targets, balanced, report_when_serving};
use clima_service::grpc;
use clima_service::ingest::{IngestClient, IngestMetrics};
use clima_service::ports::{INTERNAL_SERVICE, PUBLIC_SERVICE, TweetMetrics, TweetPorts};
use clima_service::process::{self, Process, RunError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use fan_out::FanOut;
use hold::Hold;
pub use web::{Origin, OriginError};

/// Runs the gateway until `shutdown`.
///
/// # Errors
///
/// A port cannot be opened, or a task ended.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    Gateway::bind(config, shutdown).await?.serve().await
}

/// A gateway whose ports are open.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    process: Process,
    public: TcpListener,
    internal: TcpListener,
}

impl Gateway {
    /// Opens the ports.
    ///
    /// # Errors
    ///
    /// One of them cannot be opened.
    pub async fn bind(config: Config, shutdown: CancellationToken) -> Result<Self, RunError> {
        Ok(Self {
            process: Process::bind(&config.process, shutdown).await?,
            public: process::bind("grpc", config.ports.listen)?,
            internal: process::bind("internal grpc", config.ports.internal_listen)?,
            config,
        })
    }

    /// Address of the public port.
    ///
    /// # Errors
    ///
    /// The socket has none, which the operating system would have to explain.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// Address of the internal port.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn internal_address(&self) -> std::io::Result<SocketAddr> {
        self.internal.local_addr()
    }

    /// Address of the admin port.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.process.admin_address()
    }

    /// Serves both ports until shutdown, then drains.
    ///
    /// # Errors
    ///
    /// A task ended before, or did not end after.
    pub async fn serve(self) -> Result<(), RunError> {
        let Self {
            config,
            mut process,
            public,
            internal,
        } = self;
        let ingest = Arc::new(IngestMetrics::register(&mut process.registry));
        let fan_out = FanOut {
            hold: Hold::default(),
            kafka: way_to(
                "writer-kafka",
                config.writer_kafka_url,
                &mut process,
                &ingest,
            ),
            rabbitmq: way_to(
                "writer-rabbitmq",
                config.writer_rabbitmq_url,
                &mut process,
                &ingest,
            ),
        };
        let metrics = TweetMetrics::register(&mut process.registry);
        let intake = Intake::new().map_err(RunError::setup)?;
        let ports = TweetPorts::new(intake, fan_out, config.max_in_flight as usize, metrics);
        let connections = config.ports.max_connections;
        let origins = config.cors_origins;
        grpc::spawn_with(
            &mut process,
            "grpc",
            public,
            connections,
            ports.public_routes(),
            &[PUBLIC_SERVICE],
            move |server, routes, incoming, closed| {
                web::serve(server, routes, incoming, &origins, closed)
            },
        )?;
        grpc::spawn(
            &mut process,
            "internal grpc",
            internal,
            connections,
            ports.internal_routes(),
            &[INTERNAL_SERVICE],
        )?;
        // The routes own the ports, and with them the ways out: these end when the last call has.
        drop(ports);
        process.run().await
    }
}

/// A way to one writer. Its overload is retried: the other path may have taken the tweet already.
fn way_to(
    writer: &'static str,
    targets: Targets,
    process: &mut Process,
    metrics: &Arc<IngestMetrics>,
) -> IngestClient {
    let channel = balanced(
        writer,
        targets,
        metrics.replicas(writer),
        &mut process.tasks,
        process.shutdown.clone(),
    );
    report_when_serving(writer, channel.clone(), process);
    IngestClient::new(
        writer,
        channel,
        true,
        Arc::clone(metrics),
        &mut process.tasks,
    )
}
