//! The two gRPC ports of a process that takes tweets in: the public one and the internal one.
//!
//! Both end in the same [`Deliver`]: the public port gives a tweet its id first, the internal port carries
//! events that have one. What differs between a gateway and a writer is only where a tweet goes next.

mod config;
mod metrics;

use std::future::Future;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use clima_proto::clima::v1::tweet_ingest_service_server::{
    TweetIngestService, TweetIngestServiceServer,
};
use clima_proto::clima::v1::{IngestTweetsRequest, IngestTweetsResponse, TweetEvent};
use clima_proto::event::{CheckedEvent, EventError};
use clima_proto::fate::{self, Fate, StatusMessage};
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID, TweetId};
use clima_proto::intake::Intake;
use clima_proto::wethertweet::weather_tweet_service_server::{
    WeatherTweetService, WeatherTweetServiceServer,
};
use clima_proto::wethertweet::{WeatherTweetRequest, WeatherTweetResponse};

use crate::deadline;
use crate::ingest::MAX_BATCH;

pub use config::PortsConfig;
pub use metrics::{Arrival, InFlight, TweetMetrics};

/// Name of the public service, for reflection and health.
pub const PUBLIC_SERVICE: &str = "wethertweet.WeatherTweetService";

/// Name of the internal service, for reflection and health.
pub const INTERNAL_SERVICE: &str = "clima.v1.TweetIngestService";

/// What the answer to an accepted tweet says.
pub const ACCEPTED: &str = "accepted";

/// Brings a tweet to where it goes next.
pub trait Deliver: Send + Sync + 'static {
    /// Returns once the tweet is durable there, at `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// A status with its fate.
    fn deliver(
        &self,
        event: &TweetEvent,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), Status>> + Send;
}

/// The services behind both ports.
#[derive(Debug)]
pub struct TweetPorts<D> {
    intake: Intake,
    deliver: D,
    in_flight: Semaphore,
    metrics: TweetMetrics,
}

impl<D: Deliver> TweetPorts<D> {
    /// Ports that lead to `deliver`, for at most `limit` tweets at a time; more are refused at once.
    pub fn new(intake: Intake, deliver: D, limit: usize, metrics: TweetMetrics) -> Arc<Self> {
        metrics.limited_to(limit);
        Arc::new(Self {
            intake,
            deliver,
            in_flight: Semaphore::new(limit),
            metrics,
        })
    }

    /// What the public port serves.
    pub fn public_routes(self: &Arc<Self>) -> Routes {
        Routes::new(WeatherTweetServiceServer::from_arc(Arc::clone(self)))
    }

    /// What the internal port serves.
    pub fn internal_routes(self: &Arc<Self>) -> Routes {
        Routes::new(TweetIngestServiceServer::from_arc(Arc::clone(self)))
    }

    fn admit(&self) -> Result<SemaphorePermit<'_>, Status> {
        self.in_flight.try_acquire().map_err(|_| {
            Fate::NotCounted.status(Code::ResourceExhausted, "too many tweets in flight")
        })
    }

    async fn deliver(&self, event: &TweetEvent, deadline: Instant) -> Result<(), Status> {
        let _permit = self.admit()?;
        let _in_flight = self.metrics.admitted();
        self.deliver.deliver(event, deadline).await
    }

    /// One event of a batch: its sender is a process of ours, but not necessarily of this build.
    async fn ingest(&self, event: &TweetEvent, deadline: Instant) -> StatusMessage {
        let arrival = self.metrics.arrived();
        let outcome = match CheckedEvent::check(event) {
            Ok(_) => self.deliver(event, deadline).await,
            Err(error) => Err(refuse(&error)),
        };
        arrival.answered(&outcome);
        fate::to_message(&outcome)
    }
}

#[tonic::async_trait]
impl<D: Deliver> WeatherTweetService for TweetPorts<D> {
    async fn send_tweet(
        &self,
        request: Request<WeatherTweetRequest>,
    ) -> Result<Response<WeatherTweetResponse>, Status> {
        let arrival = self.metrics.arrived();
        let deadline = deadline::of_call(request.metadata());
        let (metadata, _, tweet) = request.into_parts();
        let keys = metadata.get_all(IDEMPOTENCY_KEY);
        let admitted = self
            .intake
            .admit(tweet, keys.iter().map(|key| key.as_encoded_bytes()));
        let (outcome, id) = match admitted {
            Ok((id, event)) => (self.deliver(&event, deadline).await, Some(id)),
            Err(refusal) => (Err(refusal), None),
        };
        arrival.answered(&outcome);
        answer(outcome, id)
    }
}

#[tonic::async_trait]
impl<D: Deliver> TweetIngestService for TweetPorts<D> {
    async fn ingest_tweets(
        &self,
        request: Request<IngestTweetsRequest>,
    ) -> Result<Response<IngestTweetsResponse>, Status> {
        let deadline = deadline::of_call(request.metadata());
        let events = request.into_inner().events;
        if events.is_empty() || events.len() > MAX_BATCH {
            let message = format!("a batch has 1 to {MAX_BATCH} events, not {}", events.len());
            self.metrics
                .refused(Code::InvalidArgument, Fate::NotCounted);
            return Err(Fate::NotCounted.status(Code::InvalidArgument, message));
        }
        let statuses = join_all(events.iter().map(|event| self.ingest(event, deadline))).await;
        Ok(Response::new(IngestTweetsResponse { statuses }))
    }
}

/// The refusal of an event that this build does not send on. A newer one is nobody's fault: it is sent again, and by
/// then another replica, or this one upgraded, may know it.
fn refuse(error: &EventError) -> Status {
    let code = if error.is_poison() {
        Code::InvalidArgument
    } else {
        Code::Unavailable
    };
    Fate::NotCounted.status(code, error.to_string())
}

/// The answer of the public port: the id goes with it, whatever became of the tweet.
fn answer(
    outcome: Result<(), Status>,
    id: Option<TweetId>,
) -> Result<Response<WeatherTweetResponse>, Status> {
    let id = id.and_then(|id| MetadataValue::try_from(id.to_string()).ok());
    match outcome {
        Ok(()) => {
            let mut response = Response::new(WeatherTweetResponse {
                status: ACCEPTED.to_owned(),
            });
            if let Some(id) = id {
                response.metadata_mut().insert(TWEET_ID, id);
            }
            Ok(response)
        }
        Err(mut status) => {
            if let Some(id) = id {
                status.metadata_mut().insert(TWEET_ID, id);
            }
            Err(status)
        }
    }
}
