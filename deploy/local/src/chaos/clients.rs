//! The clients: REST and gRPC, each with a connection of its own, one request after the other, at full speed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clima_proto::fate::Fate;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID, TweetId, TweetIds};
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use super::ledger::{Ledger, Told};
use super::tweets::{Sent, Tweets};
use crate::load::{HttpClient, Outcome};

/// Longer than the deadline of the services: an answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);

/// The shortest deadline now, for all clients; none in quiet times.
#[derive(Debug, Clone, Default)]
pub(super) struct Hurry(Arc<AtomicU64>);

impl Hurry {
    /// Shortens every request that begins from now on, until the guard is dropped.
    pub(super) fn begin(&self, limit: Duration) -> Hurried<'_> {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
        Hurried(self)
    }

    fn limit(&self) -> Option<Duration> {
        let millis = self.0.load(Ordering::Relaxed);
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

/// While this is there, nobody has time.
#[derive(Debug)]
pub(super) struct Hurried<'a>(&'a Hurry);

impl Drop for Hurried<'_> {
    fn drop(&mut self) {
        self.0.0.store(0, Ordering::Relaxed);
    }
}

/// After a refusal or a lost connection. A client that asks again at once takes the CPU from what has to come back.
const BREATH: Duration = Duration::from_millis(10);

/// Where a client sends to.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// `host:port` of the front.
    Rest(String),
    /// `host:port` of the gateway's public port.
    Grpc(String),
}

/// Clients that run until they are told to stop.
#[derive(Debug)]
pub(super) struct Clients {
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Clients {
    /// Starts one client for each door; what they send follows from the seed.
    pub(super) fn start(
        doors: impl IntoIterator<Item = Door>,
        seed: u64,
        hurry: &Hurry,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let ids = Arc::new(TweetIds::new()?);
        let mut running = JoinSet::new();
        for (number, door) in (0..).zip(doors) {
            let random = Xoshiro256PlusPlus::seed_from_u64(seed ^ (number << 32));
            let client = Client {
                tweets: Tweets::new(random, number),
                ids: Arc::clone(&ids),
                hurry: hurry.clone(),
                ledger: Arc::clone(ledger),
                stop: stop.clone(),
            };
            running.spawn(client.run(Line::to(door)?));
        }
        Ok(Self { running, stop })
    }

    /// Lets every client finish the request that it has begun.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(client) = self.running.join_next().await {
            client?;
        }
        Ok(())
    }
}

struct Client {
    tweets: Tweets,
    ids: Arc<TweetIds>,
    hurry: Hurry,
    ledger: Arc<Mutex<Ledger>>,
    stop: CancellationToken,
}

impl Client {
    async fn run(mut self, mut line: Line) {
        while !self.stop.is_cancelled()
            && let Some(sent) = self.next()
        {
            let started = Instant::now();
            let (told, id) = line.send(&sent).await;
            let id = id.or_else(|| sent.id(&self.ids));
            self.ledger
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(&sent, id, told, started);
            if told != Told::Accepted {
                sleep(BREATH).await;
            }
        }
    }

    fn next(&mut self) -> Option<Sent> {
        match self.hurry.limit() {
            Some(limit) => self.tweets.hurried(limit),
            None => self.tweets.next(),
        }
    }
}

/// A client's connection.
enum Line {
    Rest(HttpClient),
    Grpc(WeatherTweetServiceClient<Channel>),
}

impl Line {
    fn to(door: Door) -> anyhow::Result<Self> {
        Ok(match door {
            Door::Rest(address) => Self::Rest(HttpClient::new(address)),
            Door::Grpc(address) => {
                let endpoint = Endpoint::from_shared(format!("http://{address}"))?
                    .timeout(PATIENCE)
                    .connect_timeout(Duration::from_secs(2));
                Self::Grpc(WeatherTweetServiceClient::new(endpoint.connect_lazy()))
            }
        })
    }

    async fn send(&mut self, sent: &Sent) -> (Told, Option<TweetId>) {
        match self {
            Self::Rest(client) => {
                let limit = sent.limit.unwrap_or(PATIENCE);
                let posted = client.post_within(limit, &sent.tweet, sent.key.as_deref());
                match posted.await {
                    Outcome::Accepted(id) => (Told::Accepted, Some(id)),
                    Outcome::Refused { fate, id, .. } => (Told::Refused(fate), id),
                    Outcome::NotSent => (Told::NotSent, None),
                    Outcome::Broken => (Told::Broken, None),
                }
            }
            Self::Grpc(client) => {
                let mut request = Request::new(sent.tweet);
                if let Some(limit) = sent.limit {
                    // As `grpc-timeout`, which our own side of the call keeps too.
                    request.set_timeout(limit);
                }
                if let Some(key) = &sent.key
                    && let Ok(key) = key.parse()
                {
                    request.metadata_mut().insert(IDEMPOTENCY_KEY, key);
                }
                match client.send_tweet(request).await {
                    Ok(answer) => (Told::Accepted, id_in(answer.metadata())),
                    // What the transport says by itself tells nothing of counting, hence: maybe.
                    Err(status) => (Told::Refused(Fate::of(&status)), id_in(status.metadata())),
                }
            }
        }
    }
}

fn id_in(metadata: &MetadataMap) -> Option<TweetId> {
    metadata.get(TWEET_ID)?.to_str().ok()?.parse().ok()
}
