//! One call in flight, again and again.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use clima_proto::clima::v1::tweet_ingest_service_client::TweetIngestServiceClient;
use clima_proto::clima::v1::{IngestTweetsRequest, TweetEvent};
use clima_proto::fate::{self, Fate, StatusMessage};

use super::{ATTEMPT_TIMEOUT, IngestMetrics, MAX_BATCH};

/// An event that waits for a lane, and who waits for its fate.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) event: TweetEvent,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<(), Status>>,
}

pub(super) struct Lane {
    service: &'static str,
    client: TweetIngestServiceClient<Channel>,
    waiting: Arc<Mutex<mpsc::Receiver<Parcel>>>,
    metrics: Arc<IngestMetrics>,
}

impl Lane {
    pub(super) fn new(
        service: &'static str,
        channel: Channel,
        waiting: Arc<Mutex<mpsc::Receiver<Parcel>>>,
        metrics: Arc<IngestMetrics>,
    ) -> Self {
        Self {
            service,
            client: TweetIngestServiceClient::new(channel),
            waiting,
            metrics,
        }
    }

    /// Runs until every sender is gone.
    pub(super) async fn run(mut self) -> Result<(), Infallible> {
        let mut parcels = Vec::new();
        loop {
            // The lock is held while waiting: idle lanes queue up behind it and take turns.
            let taken = self
                .waiting
                .lock()
                .await
                .recv_many(&mut parcels, MAX_BATCH)
                .await;
            if taken == 0 {
                return Ok(());
            }
            // Who stopped waiting before anything left needs no attempt.
            parcels.retain(|parcel| !parcel.reply.is_closed());
            if !parcels.is_empty() {
                self.deliver(&mut parcels).await;
            }
        }
    }

    async fn deliver(&mut self, parcels: &mut Vec<Parcel>) {
        let mut events = Vec::with_capacity(parcels.len());
        let mut replies = Vec::with_capacity(parcels.len());
        let mut latest = Instant::now();
        for parcel in parcels.drain(..) {
            latest = latest.max(parcel.deadline);
            events.push(parcel.event);
            replies.push(parcel.reply);
        }
        let (started, size) = (Instant::now(), events.len());
        let outcomes = self.call(events, latest).await;
        self.metrics.called(self.service, size, started.elapsed());
        for (index, reply) in replies.into_iter().enumerate() {
            let outcome = match &outcomes {
                Ok(statuses) => statuses.get(index).map_or_else(
                    || Err(self.failure(&Status::internal("an answer is missing"))),
                    |status| fate::from_message(status).map_err(|status| self.presentable(status)),
                ),
                Err(status) => Err(status.clone()),
            };
            // Nobody waits any more: their deadline passed.
            reply.send(outcome).ok();
        }
    }

    /// One attempt for the whole batch, up to the latest deadline in it.
    async fn call(
        &mut self,
        events: Vec<TweetEvent>,
        latest: Instant,
    ) -> Result<Vec<StatusMessage>, Status> {
        let now = Instant::now();
        let until = latest.min(now + ATTEMPT_TIMEOUT);
        let mut request = Request::new(IngestTweetsRequest { events });
        request.set_timeout(until - now);
        match timeout_at(until, self.client.ingest_tweets(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().statuses),
            Ok(Err(status)) => Err(self.failure(&status)),
            Err(_) => Err(self.failure(&Status::deadline_exceeded("no answer to this attempt"))),
        }
    }

    /// The status of one event as its sender may see it. A code for faults that nobody foresaw comes with words
    /// that nobody wrote for a client: they are for the log.
    fn presentable(&self, status: Status) -> Status {
        if !matches!(
            status.code(),
            Code::Internal | Code::Unknown | Code::DataLoss
        ) {
            return status;
        }
        tracing::warn!(service = self.service, code = ?status.code(), message = status.message(), "an event failed");
        Fate::of(&status).status(status.code(), format!("{} failed", self.service))
    }

    /// The status of a call that failed as a whole. What the transport says is for the log; the caller
    /// learns that the service could not be reached, or was too slow, and what that means for the tweet.
    fn failure(&self, status: &Status) -> Status {
        let cause = std::error::Error::source(status).map(ToString::to_string);
        tracing::debug!(service = self.service, code = ?status.code(), message = status.message(), cause, "call failed");
        self.metrics.failed(self.service);
        match status.code() {
            Code::ResourceExhausted => Fate::of(status).status(
                Code::ResourceExhausted,
                format!("{} is overloaded", self.service),
            ),
            // tonic tells an expired `grpc-timeout` as CANCELLED.
            Code::DeadlineExceeded | Code::Cancelled => Fate::of(status).status(
                Code::DeadlineExceeded,
                format!("{} did not answer in time", self.service),
            ),
            _ => Fate::of(status).status(
                Code::Unavailable,
                format!("{} cannot be reached", self.service),
            ),
        }
    }
}
