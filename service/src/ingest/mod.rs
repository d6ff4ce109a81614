//! Tweets on their way to the next process: batched, and retried with the same id until their deadline.
//!
//! Batching is natural: there are a few lanes, each with one call in flight. With an idle lane a tweet goes
//! at once and alone; while all lanes are busy, tweets gather and the next free lane takes them together.
//! There is no timer, so a lone tweet is never held back.

mod lane;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Status};

use clima_proto::clima::v1::TweetEvent;
use clima_proto::fate::{Fate, is_held};

use crate::backoff::Backoff;
use crate::deadline::MARGIN;
use crate::sabotage::{self, Sabotage};
use crate::tasks::Tasks;

use lane::{Lane, Parcel};
pub use metrics::IngestMetrics;

/// Most events in one call. The server side accepts no more.
pub const MAX_BATCH: usize = 1_024;

/// Longest time for one attempt. A stalled replica costs this long, not the whole deadline.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// Calls in flight to one service.
const LANES: usize = 8;

/// Events waiting for a lane. Senders wait beyond it, up to their deadline.
const QUEUE: usize = 2 * MAX_BATCH;

/// Attempts that end with a broker that takes nothing for now, before that is believed: one of several replicas may be
/// alone with it.
const HELD_ATTEMPTS: usize = 3;

/// A way to the next process.
#[derive(Debug, Clone)]
pub struct IngestClient {
    service: &'static str,
    queue: mpsc::Sender<Parcel>,
    retry_overload: bool,
    metrics: Arc<IngestMetrics>,
}

impl IngestClient {
    /// A way to `service` over `channel`.
    ///
    /// `retry_overload`: whether a refusal for overload is retried too, and one because a broker takes nothing for now a
    /// few times. It is worth it only for a caller whose refusal would leave the tweet half-way.
    pub fn new(
        service: &'static str,
        channel: Channel,
        retry_overload: bool,
        metrics: Arc<IngestMetrics>,
        tasks: &mut Tasks,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..LANES {
            let lane = Lane::new(
                service,
                channel.clone(),
                Arc::clone(&waiting),
                Arc::clone(&metrics),
            );
            tasks.spawn(service, lane.run());
        }
        Self {
            service,
            queue,
            retry_overload,
            metrics,
        }
    }

    /// Brings one event to the next process, with as many attempts as fit before `deadline`.
    ///
    /// # Errors
    ///
    /// The last attempt's status, or DEADLINE_EXCEEDED. Its fate covers all attempts.
    pub async fn ingest(&self, event: &TweetEvent, deadline: Instant) -> Result<(), Status> {
        let mut fate = Fate::NotCounted;
        let mut delays = Backoff::CALL.delays();
        let mut held = 0;
        loop {
            let Ok(outcome) = timeout_at(deadline, self.attempt(event.clone(), deadline)).await
            else {
                let message = format!("{} did not answer in time", self.service);
                return Err(Fate::MaybeCounted.status(Code::DeadlineExceeded, message));
            };
            let Err(status) = outcome else { return Ok(()) };
            fate = fate.max(Fate::of(&status));
            if is_held(&status) {
                held += 1;
                if held == HELD_ATTEMPTS || !self.retry_overload {
                    return Err(fate.restate(&status));
                }
            }
            let next = Instant::now() + delays.next_delay();
            // The next process holds back as much: a later attempt could only make the fate unknown.
            if !self.retryable(status.code()) || next + MARGIN >= deadline {
                return Err(fate.restate(&status));
            }
            self.metrics.retried(self.service);
            tokio::time::sleep_until(next).await;
            if sabotage::is(Sabotage::NewIdPerAttempt) {
                return self.ingest_as_another(event, deadline).await;
            }
        }
    }

    fn ingest_as_another<'a>(
        &'a self,
        event: &TweetEvent,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), Status>> {
        let event = sabotage::with_new_id(event);
        Box::pin(async move { self.ingest(&event, deadline).await })
    }

    async fn attempt(&self, event: TweetEvent, deadline: Instant) -> Result<(), Status> {
        let (reply, answer) = oneshot::channel();
        let parcel = Parcel {
            event,
            deadline,
            reply,
        };
        let gone = || {
            Fate::MaybeCounted.status(Code::Unavailable, format!("{} is stopping", self.service))
        };
        self.queue.send(parcel).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    fn retryable(&self, code: Code) -> bool {
        match code {
            Code::Unavailable | Code::DeadlineExceeded | Code::Aborted => true,
            Code::ResourceExhausted => self.retry_overload,
            _ => false,
        }
    }
}
