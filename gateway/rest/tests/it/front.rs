//! A front in this process, in front of whatever the test wants.

use std::net::SocketAddr;

use clap::Parser as _;
use clima_rest::{Config, Rest};
use clima_service::process::RunError;
use clima_testing::{Endpoint, within};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::http::{self, Answer};

pub(crate) const TWEET: &str =
    r#"{"municipality":"mixco","temperature":25,"humidity":60,"weather":"sunny"}"#;
pub(crate) const JSON: &str = "content-type: application/json";

pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    shutdown: CancellationToken,
    running: AbortOnDropHandle<Result<(), RunError>>,
}

impl Front {
    /// A front before this gateway, with these flags.
    pub(crate) async fn before(gateway: &str, flags: &[&str]) -> Self {
        let mut args = vec!["clima-rest", "--listen", "127.0.0.1:0"];
        args.extend(["--admin-listen", "127.0.0.1:0", "--gateway-url", gateway]);
        args.extend(flags);
        let shutdown = CancellationToken::new();
        let front = Rest::bind(Config::parse_from(args), shutdown.clone());
        let front = front.await.unwrap();
        Self {
            address: front.address().unwrap(),
            admin: front.admin_address().unwrap(),
            shutdown,
            running: AbortOnDropHandle::new(tokio::spawn(front.serve())),
        }
    }

    /// A front, and a gateway that accepts everything.
    pub(crate) async fn with_gateway(flags: &[&str]) -> (Self, Endpoint) {
        let gateway = Endpoint::start();
        (Self::before(&gateway.url(), flags).await, gateway)
    }

    /// Sends one request and reads its answer.
    pub(crate) async fn ask(
        &self,
        verb: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Answer {
        let request = http::request(verb, path, headers, body);
        http::send(self.address, request).await
    }

    /// Sends this body as a client would, with these headers more.
    pub(crate) async fn post(&self, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
        let headers: Vec<_> = [JSON].iter().chain(headers).copied().collect();
        self.ask("POST", "/v1/tweets", &headers, body.as_ref())
            .await
    }

    /// What the admin port says.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        http::send(self.admin, http::request("GET", path, &[], b"")).await
    }

    /// One sample of the metrics.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.admin("/metrics").await.body;
        let sample = text.lines().find_map(|line| line.strip_prefix(name));
        sample.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Asks the front to stop; [`ended`](Self::ended) tells how it did.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn ended(self) -> Result<(), RunError> {
        within("the end of the front", self.running).await.unwrap()
    }
}
