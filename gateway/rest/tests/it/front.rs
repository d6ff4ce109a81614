//! A front in this process, in front of an upstream or of nothing.

use std::net::SocketAddr;

use clap::Parser as _;
use clima_rest::{Config, Rest};
use clima_service::process::RunError;
use clima_testing::upstream::Upstream;
use clima_testing::wait::{ends, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http::{Answer, Connection, request, tweet};

pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Front {
    /// A front that leads to `gateway`, with these settings.
    pub(crate) async fn start(gateway: &str, settings: &[&str]) -> Self {
        let mut args = vec![
            "clima-rest",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--gateway-url",
            gateway,
        ];
        args.extend(settings);
        let config = Config::try_parse_from(args).expect("settings");
        let shutdown = CancellationToken::new();
        let rest = Rest::bind(config, shutdown.clone()).await.expect("ports");
        Self {
            address: rest.address().unwrap(),
            admin: rest.admin_address().unwrap(),
            shutdown,
            running: tokio::spawn(rest.serve()),
        }
    }

    /// A front and an upstream that accepts everything.
    pub(crate) async fn with_upstream(settings: &[&str]) -> (Self, Upstream) {
        let upstream = Upstream::start().await;
        (Self::start(&upstream.url(), settings).await, upstream)
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// The answer to one request on a connection of its own.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer().await.expect("an answer")
    }

    pub(crate) async fn send(&self, headers: &[&str], body: &str) -> Answer {
        self.ask(tweet(headers, body)).await
    }

    /// The answer of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let mut connection = Connection::open(self.admin).await;
        connection.send(request("GET", path, &[], b"")).await;
        connection.answer().await.expect("an answer")
    }

    pub(crate) async fn ready(&self) {
        until("the front to be ready", async || {
            (self.admin("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    /// Waits until the metrics have this line, below `clima_`.
    pub(crate) async fn counts(&self, line: &str) {
        until(&format!("the metrics to say {line}"), async || {
            let metrics = self.admin("/metrics").await.body;
            metrics
                .lines()
                .any(|found| found.strip_prefix("clima_") == Some(line))
                .then_some(())
        })
        .await;
    }

    /// Waits until a tweet is on its second attempt.
    pub(crate) async fn retried(&self) {
        until("a tweet to be retried", async || {
            let metrics = self.admin("/metrics").await.body;
            metrics
                .lines()
                .filter_map(|line| line.strip_prefix("clima_ingest_retries_total{"))
                .any(|retries| !retries.ends_with("} 0"))
                .then_some(())
        })
        .await;
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// How it ended.
    pub(crate) async fn ended(self) -> Result<(), RunError> {
        ends("the front", self.running).await.expect("no panic")
    }
}
