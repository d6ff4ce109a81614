//! A client channel over all addresses of a name, which is resolved again and again.
//!
//! HTTP/2 keeps one connection for many calls, so behind one virtual address all calls of a client land on
//! one replica, and a replica that comes later gets none. Here every address that the name resolves to gets
//! connections of its own, calls are spread over them, and a replica that comes or goes is noticed: also one that has
//! died and is still resolved.

mod targets;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpStream, lookup_host};
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

pub use targets::Targets;

/// How often the name is resolved.
const RESOLVE_EVERY: Duration = Duration::from_secs(2);
/// HTTP/2 connections to each address: one connection is one lock inside h2, and one socket.
const CONNECTIONS: usize = 2;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection is pinged this often, and is lost when it has not answered for this long; idle ones, too.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(2));

/// A channel over all addresses of `targets`, whose number is told to `replicas`. A task keeps them up to date until
/// `shutdown`.
pub fn balanced(
    name: &'static str,
    targets: Targets,
    replicas: Gauge,
    tasks: &mut Tasks,
    shutdown: CancellationToken,
) -> Channel {
    let (channel, changes) = Channel::balance_channel(64);
    let resolver = Resolver {
        name,
        targets,
        replicas,
        changes,
        known: BTreeSet::new(),
    };
    resolver.spawn(tasks, shutdown);
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

/// An address, and the target that it was found under: two names may lead to one address, and when one of them
/// moves away, the other is still there.
type Replica = (usize, SocketAddr);

struct Resolver {
    name: &'static str,
    targets: Targets,
    replicas: Gauge,
    changes: Sender<Change<(Replica, usize), Endpoint>>,
    known: BTreeSet<Replica>,
}

impl Resolver {
    /// Goes on after the shutdown for as long as there is a channel: what is in flight may need a replica that has just
    /// come. It holds nobody back then, neither with a slow name server nor with a channel that nobody calls.
    fn spawn(self, tasks: &mut Tasks, shutdown: CancellationToken) {
        let (name, channel) = (self.name, self.changes.clone());
        let resolving = tokio::spawn(async move {
            tokio::select! {
                () = self.run() => {}
                () = channel.closed() => {}
            }
        });
        tasks.spawn(name, async move {
            let ended = shutdown.run_until_cancelled(resolving).await;
            ended.unwrap_or(Ok(()))
        });
    }

    async fn run(mut self) {
        let mut ticks = tokio::time::interval(RESOLVE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(found) = self.resolve().await {
                self.apply(alive(found).await).await;
            }
        }
    }

    /// The addresses of all targets; none when any of them cannot be resolved now, which is no reason to
    /// let go of replicas that work.
    async fn resolve(&self) -> Option<BTreeSet<Replica>> {
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

    async fn apply(&mut self, found: BTreeSet<Replica>) {
        for &replica in found.difference(&self.known) {
            let (index, address) = replica;
            tracing::info!(target = self.name, %address, "replica found");
            for connection in 0..CONNECTIONS {
                let endpoint = endpoint(&self.targets.0[index].uri, address);
                let insert = Change::Insert((replica, connection), endpoint);
                // The channel is gone, and with it the need for addresses.
                self.changes.send(insert).await.ok();
            }
        }
        for &replica in self.known.difference(&found) {
            tracing::info!(target = self.name, address = %replica.1, "replica gone");
            for connection in 0..CONNECTIONS {
                let remove = Change::Remove((replica, connection));
                self.changes.send(remove).await.ok();
            }
        }
        // An address that two names lead to has connections under both.
        self.replicas
            .set(i64::try_from(found.len()).unwrap_or(i64::MAX));
        self.known = found;
    }
}

/// Those that take connections, or all when none does. A balanced channel prefers the endpoint with the fewest calls in
/// flight, and where connections are refused none ever is: most attempts would be made there.
async fn alive(found: BTreeSet<Replica>) -> BTreeSet<Replica> {
    if found.len() < 2 {
        return found;
    }
    let answers = join_all(found.iter().map(|&replica| async move {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(replica.1)).await;
        matches!(connected, Ok(Ok(_))).then_some(replica)
    }));
    let alive: BTreeSet<_> = answers.await.into_iter().flatten().collect();
    if alive.is_empty() { found } else { alive }
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

    fn resolver(targets: &str, changes: Sender<Change<(Replica, usize), Endpoint>>) -> Resolver {
        Resolver {
            name: "writer",
            targets: targets.parse().unwrap(),
            replicas: Gauge::default(),
            changes,
            known: BTreeSet::new(),
        }
    }

    #[tokio::test]
    async fn an_address_that_two_names_shared_stays_when_one_of_them_moves_away() {
        let (changes, mut seen) = tokio::sync::mpsc::channel(64);
        let mut resolver = resolver("http://one:5,http://two:5", changes);
        let shared = "127.0.0.1:5".parse().unwrap();
        resolver.apply([(0, shared), (1, shared)].into()).await;
        resolver.apply([(0, shared)].into()).await;
        let mut connected = BTreeSet::new();
        while let Ok(change) = seen.try_recv() {
            match change {
                Change::Insert(key, _) => assert!(connected.insert(key)),
                Change::Remove(key) => assert!(connected.remove(&key)),
            }
        }
        assert_eq!(connected, [((0, shared), 0), ((0, shared), 1)].into());
    }

    #[tokio::test]
    async fn a_replica_that_refuses_connections_is_left_out_unless_all_do() {
        let bind = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (serving, dead) = (bind(), bind());
        let replicas = [&serving, &dead].map(|listener| (0, listener.local_addr().unwrap()));
        drop(dead);
        assert_eq!(alive(replicas.into()).await, [replicas[0]].into());
        drop(serving);
        assert_eq!(alive(replicas.into()).await, replicas.into());
    }

    #[tokio::test]
    async fn a_replica_that_comes_while_the_process_drains_is_found() {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = SocketAddr::from(([127, 0, 0, 2], port));
        let (changes, mut seen) = tokio::sync::mpsc::channel(64);
        let targets = format!("http://127.0.0.1:{port},http://{second}");
        let resolver = resolver(&targets, changes);
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::default();
        resolver.spawn(&mut tasks, shutdown.clone());
        let mut found = async || match seen.recv().await {
            Some(Change::Insert(((_, address), _), _)) => address,
            _ => panic!("no replica goes"),
        };
        assert_eq!(found().await, first.local_addr().unwrap());
        shutdown.cancel();
        tasks.run(&shutdown, Duration::from_secs(5)).await.unwrap();
        let _second = std::net::TcpListener::bind(second).unwrap();
        while found().await != second {}
    }

    #[tokio::test]
    async fn a_shutdown_does_not_wait_for_a_channel_that_nobody_calls() {
        let (changes, _unread) = tokio::sync::mpsc::channel(1);
        let resolver = resolver("http://127.0.0.1:5,http://127.0.0.2:5", changes);
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::default();
        resolver.spawn(&mut tasks, shutdown.clone());
        tokio::task::yield_now().await;
        shutdown.cancel();
        tasks.run(&shutdown, Duration::from_secs(5)).await.unwrap();
    }
}
