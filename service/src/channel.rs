//! A client channel over all addresses of a name, which is resolved again and again.
//!
//! HTTP/2 keeps one connection for many calls, so behind one virtual address all calls of a client land on
//! one replica, and a replica that comes later gets none. Here every address that the name resolves to gets
//! connections of its own, calls are spread over them, and a replica that comes or goes is noticed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::mpsc::Sender;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint, Uri};

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::backoff::Backoff;
use crate::process::Process;
use crate::tasks::Tasks;

/// How often the name is resolved.
const RESOLVE_EVERY: Duration = Duration::from_secs(2);
/// HTTP/2 connections to each address: one connection is one lock inside h2, and one socket.
const CONNECTIONS: usize = 2;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(2));

/// One or more `http://host:port`, separated by commas: where the replicas of a service are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|url| target(url.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn target(url: &str) -> Result<Target, String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}`: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("`{url}`: must start with http://"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!("`{url}`: must be http://host:port without a path"));
    }
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri
        .port_u16()
        .ok_or_else(|| format!("`{url}`: the port is missing"))?;
    Ok(Target { uri, host, port })
}

/// A channel over all addresses of `targets`. A task keeps them up to date until `shutdown`.
pub fn balanced(
    name: &'static str,
    targets: Targets,
    tasks: &mut Tasks,
    shutdown: CancellationToken,
) -> Channel {
    let (channel, changes) = Channel::balance_channel(64);
    let resolver = Resolver {
        name,
        targets,
        changes,
        known: BTreeSet::new(),
    };
    tasks.spawn(name, async move {
        resolver.run(shutdown).await;
        Ok::<_, Infallible>(())
    });
    channel
}

/// Holds the process's readiness closed under `service` until that answered once that it is serving.
pub fn report_when_serving(service: &'static str, channel: Channel, process: &mut Process) {
    let ready = process.readiness.part(service);
    let shutdown = process.shutdown.clone();
    process.tasks.spawn(service, async move {
        shutdown
            .run_until_cancelled(async {
                until_serving(HealthClient::new(channel)).await;
                ready.set(true);
                std::future::pending::<()>().await;
            })
            .await;
        Ok::<_, Infallible>(())
    });
}

async fn until_serving(mut health: HealthClient<Channel>) {
    let mut delays = Backoff::CALL.delays();
    loop {
        let asked = health.check(HealthCheckRequest::default());
        if let Ok(Ok(answer)) = timeout(CONNECT_TIMEOUT, asked).await
            && answer.get_ref().status() == ServingStatus::Serving
        {
            return;
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

struct Resolver {
    name: &'static str,
    targets: Targets,
    changes: Sender<Change<(SocketAddr, usize), Endpoint>>,
    known: BTreeSet<(usize, SocketAddr)>,
}

impl Resolver {
    async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(RESOLVE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Some(found) = self.resolve().await {
                self.apply(found).await;
            }
        }
    }

    /// The addresses of all targets; none when any of them cannot be resolved now, which is no reason to
    /// let go of replicas that work.
    async fn resolve(&self) -> Option<BTreeSet<(usize, SocketAddr)>> {
        let mut found = BTreeSet::new();
        for (index, target) in self.targets.0.iter().enumerate() {
            match lookup_host((target.host.as_str(), target.port)).await {
                Ok(addresses) => found.extend(addresses.map(|address| (index, address))),
                Err(error) => {
                    tracing::warn!(target = self.name, host = target.host, %error, "cannot resolve");
                    return None;
                }
            }
        }
        Some(found)
    }

    async fn apply(&mut self, found: BTreeSet<(usize, SocketAddr)>) {
        for &(index, address) in found.difference(&self.known) {
            tracing::info!(target = self.name, %address, "replica found");
            for connection in 0..CONNECTIONS {
                let endpoint = endpoint(&self.targets.0[index].uri, address);
                let insert = Change::Insert((address, connection), endpoint);
                // The channel is gone, and with it the need for addresses.
                self.changes.send(insert).await.ok();
            }
        }
        for &(_, address) in self.known.difference(&found) {
            tracing::info!(target = self.name, %address, "replica gone");
            for connection in 0..CONNECTIONS {
                self.changes
                    .send(Change::Remove((address, connection)))
                    .await
                    .ok();
            }
        }
        self.known = found;
    }
}

fn endpoint(origin: &Uri, address: SocketAddr) -> Endpoint {
    #[allow(clippy::expect_used)]
    Endpoint::from_shared(format!("http://{address}"))
        .expect("a socket address is a valid authority")
        .origin(origin.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_more_urls_are_targets() {
        let targets: Targets = "http://writer:50061, http://127.0.0.1:5".parse().unwrap();
        let found: Vec<_> = targets
            .0
            .iter()
            .map(|target| (target.host.as_str(), target.port))
            .collect();
        assert_eq!(found, [("writer", 50061), ("127.0.0.1", 5)]);
    }

    #[test]
    fn what_is_no_target_is_refused_with_a_reason() {
        for (url, reason) in [
            ("writer:50061", "http://"),
            ("https://writer:1", "http://"),
            ("http://writer", "port"),
            ("http://writer:1/path", "path"),
            ("", "``"),
        ] {
            let error = url.parse::<Targets>().unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
