//! The REST front.
//!
//! It reads the HTTP mapping of the public service out of the descriptor (`google.api.http`), turns proto3
//! JSON into the request message, gives the tweet its id, and forwards it to the gateway. Every refusal is a
//! `google.rpc.Status` as JSON.
//!
//! It knows neither writers nor brokers. HTTP/1.1 only: an ingress speaks HTTP/2 and TLS in front of it.

mod bindings;
mod config;
mod connection;
mod front;
mod json;
mod metrics;
mod openapi;
mod pause;
mod refusal;
mod server;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;

use clima_proto::intake::Intake;
use clima_service::channel::{balanced, report_when_serving};
use clima_service::ingest::{IngestClient, IngestMetrics};
use clima_service::ports::TweetMetrics;
use clima_service::process::{self, Process, RunError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use metrics::HttpMetrics;

/// Runs the front until `shutdown`.
///
/// # Errors
///
/// A port cannot be opened, or a task ended.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    Rest::bind(config, shutdown).await?.serve().await
}

/// A front whose ports are open.
#[derive(Debug)]
pub struct Rest {
    config: Config,
    process: Process,
    listener: TcpListener,
}

impl Rest {
    /// Opens the ports.
    ///
    /// # Errors
    ///
    /// One of them cannot be opened.
    pub async fn bind(config: Config, shutdown: CancellationToken) -> Result<Self, RunError> {
        Ok(Self {
            process: Process::bind(&config.process, shutdown).await?,
            listener: process::bind("http", config.listen)?,
            config,
        })
    }

    /// Address of the HTTP port.
    ///
    /// # Errors
    ///
    /// The socket has none, which the operating system would have to explain.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Address of the admin port.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.process.admin_address()
    }

    /// Serves until shutdown, then drains.
    ///
    /// # Errors
    ///
    /// A task ended before, or did not end after.
    pub async fn serve(self) -> Result<(), RunError> {
        let Self {
            config,
            mut process,
            listener,
        } = self;
        let ingest = Arc::new(IngestMetrics::register(&mut process.registry));
        let channel = balanced(
            "gateway",
            config.gateway_url,
            ingest.replicas("gateway"),
            &mut process.tasks,
            process.shutdown.clone(),
        );
        report_when_serving("gateway", channel.clone(), &mut process);
        let tweets = TweetMetrics::register(&mut process.registry);
        let http = HttpMetrics::register(&mut process.registry, tweets.clone());
        // Overload is not retried: nothing has left, and only the client can wait without holding a place here.
        let gateway = IngestClient::new("gateway", channel, false, ingest, &mut process.tasks);
        let front = front::Front::new(
            Intake::new().map_err(RunError::setup)?,
            gateway,
            config.limits.clone(),
            tweets,
        );
        let router = front::router(Arc::clone(&front)).map_err(RunError::setup)?;
        let shutdown = process.shutdown.clone();
        process.tasks.spawn(
            "http",
            server::serve(listener, router, front, config.limits, http, shutdown),
        );
        process.run().await
    }
}
