//! A steady load: tweets at a fixed rate, whether or not earlier ones were answered.
//!
//! Clients that wait for their answers would send nothing new while a part is away, and could not tell when it is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clima_proto::id::TweetId;
use clima_proto::tweet::{HUMIDITY, TEMPERATURE};
use clima_proto::wethertweet::WeatherTweetRequest;
use rand::RngExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::load::{HttpClient, Outcome};

/// Requests in flight, below what front and gateway allow: a slow part must not show as a refusal for overload. What would
/// be more is not sent.
const IN_FLIGHT: u32 = 800;

/// An accepted tweet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) id: TweetId,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
}

/// What the load was told so far.
#[derive(Debug, Default)]
struct Told {
    accepted: Vec<TweetId>,
    failures: u64,
}

/// Requests share it.
#[derive(Debug)]
struct Shared {
    told: Mutex<Told>,
    /// Connections that are not in use.
    idle: Mutex<Vec<HttpClient>>,
    room: Semaphore,
    /// The accepted tweet that was sent last.
    newest: watch::Sender<Option<Accepted>>,
    address: String,
}

/// A load that runs until it is finished.
#[derive(Debug)]
pub(super) struct SteadyLoad {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl SteadyLoad {
    /// Posts `rate` tweets per second to the front at this `host:port`.
    pub(super) fn start(address: String, rate: u32) -> Self {
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            idle: Mutex::default(),
            room: Semaphore::new(IN_FLIGHT as usize),
            newest: watch::Sender::new(None),
            address,
        });
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(send(Arc::clone(&shared), rate, stop.clone()));
        Self { shared, stop, task }
    }

    /// Follows the accepted tweet that was sent last.
    pub(super) fn newest(&self) -> watch::Receiver<Option<Accepted>> {
        self.shared.newest.subscribe()
    }

    /// Requests that have no answer yet.
    pub(super) fn in_flight(&self) -> usize {
        IN_FLIGHT as usize - self.shared.room.available_permits()
    }

    /// Requests that were not accepted, so far.
    pub(super) fn failures(&self) -> u64 {
        lock(&self.shared.told).failures
    }

    /// Waits for the last answers, and returns all that was accepted.
    pub(super) async fn finish(mut self) -> anyhow::Result<Vec<TweetId>> {
        self.stop.cancel();
        while let Some(ended) = self.task.join_next().await {
            ended?;
        }
        Ok(std::mem::take(&mut lock(&self.shared.told).accepted))
    }
}

async fn send(shared: Arc<Shared>, rate: u32, stop: CancellationToken) {
    let mut requests = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = requests.join_next() => {}
            _ = ticks.tick() => {
                requests.spawn(Arc::clone(&shared).post());
            }
        }
    }
    while requests.join_next().await.is_some() {}
}

impl Shared {
    async fn post(self: Arc<Self>) {
        let Ok(_room) = self.room.try_acquire() else {
            return;
        };
        let idle = lock(&self.idle).pop();
        let mut client = idle.unwrap_or_else(|| HttpClient::new(self.address.clone()));
        let sent = Instant::now();
        let outcome = client.post(&tweet(), None).await;
        let answered = Instant::now();
        if let Outcome::Accepted(id) = outcome {
            lock(&self.told).accepted.push(id);
            let accepted = Accepted { id, sent, answered };
            self.newest.send_if_modified(|newest| {
                let newer = newest.is_none_or(|newest| newest.sent < sent);
                if newer {
                    *newest = Some(accepted);
                }
                newer
            });
        } else {
            lock(&self.told).failures += 1;
        }
        lock(&self.idle).push(client);
    }
}

fn tweet() -> WeatherTweetRequest {
    let mut random = rand::rng();
    WeatherTweetRequest {
        municipality: random.random_range(1..=4),
        temperature: random.random_range(TEMPERATURE),
        humidity: random.random_range(HUMIDITY),
        weather: random.random_range(1..=4),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
