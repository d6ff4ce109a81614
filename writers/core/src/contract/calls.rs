//! How the claims talk to a writer.

use std::time::Duration;

use clima_proto::clima::v1::tweet_ingest_service_client::TweetIngestServiceClient;
use clima_proto::clima::v1::{IngestTweetsRequest, TweetEvent};
use clima_proto::fate::StatusMessage;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID, TweetId};
use clima_proto::wethertweet::WeatherTweetRequest;
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::RunningWriter;

/// A valid tweet; `humidity` tells one from the other.
pub(super) fn tweet(humidity: i32) -> WeatherTweetRequest {
    WeatherTweetRequest {
        municipality: 3,
        temperature: 19,
        humidity,
        weather: 2,
    }
}

/// A tweet's answer: its id, or why it was not accepted, with the id where there is one.
pub(super) type Answer = Result<TweetId, (Status, Option<TweetId>)>;

/// A client of both ports.
#[derive(Clone)]
pub(super) struct Client {
    public: WeatherTweetServiceClient<Channel>,
    internal: TweetIngestServiceClient<Channel>,
    health: HealthClient<Channel>,
}

impl Client {
    pub(super) fn of(writer: &RunningWriter) -> Self {
        let channel = |address| {
            Endpoint::from_shared(format!("http://{address}"))
                .map(|endpoint| endpoint.connect_lazy())
                .unwrap_or_else(|error| panic!("{error}"))
        };
        Self {
            public: WeatherTweetServiceClient::new(channel(writer.public)),
            internal: TweetIngestServiceClient::new(channel(writer.internal)),
            health: HealthClient::new(channel(writer.public)),
        }
    }

    pub(super) async fn send(&self, tweet: WeatherTweetRequest) -> Answer {
        self.call(Request::new(tweet)).await
    }

    pub(super) async fn send_with_key(&self, tweet: WeatherTweetRequest, key: &str) -> Answer {
        let mut request = Request::new(tweet);
        match key.parse() {
            Ok(key) => request.metadata_mut().insert(IDEMPOTENCY_KEY, key),
            Err(error) => panic!("{error}"),
        };
        self.call(request).await
    }

    pub(super) async fn send_within(&self, tweet: WeatherTweetRequest, time: Duration) -> Answer {
        let mut request = Request::new(tweet);
        request.set_timeout(time);
        self.call(request).await
    }

    /// Tries until a tweet is accepted, for as long as a broker may need to come back.
    pub(super) async fn send_until_accepted(&self) -> TweetId {
        let accepted = async {
            loop {
                if let Ok(id) = self.send(tweet(1)).await {
                    return id;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), accepted)
            .await
            .unwrap_or_else(|_| panic!("no tweet is accepted"))
    }

    async fn call(&self, request: Request<WeatherTweetRequest>) -> Answer {
        let id = |metadata: &tonic::metadata::MetadataMap| {
            metadata.get(TWEET_ID)?.to_str().ok()?.parse().ok()
        };
        match self.public.clone().send_tweet(request).await {
            Ok(response) => {
                assert_eq!(response.get_ref().status, "accepted");
                Ok(id(response.metadata()).unwrap_or_else(|| panic!("no id: {response:?}")))
            }
            Err(status) => {
                let id = id(status.metadata());
                Err((status, id))
            }
        }
    }

    /// Whether the writer says that it is in service.
    pub(super) async fn serving(&self) -> bool {
        let asked = HealthCheckRequest::default();
        let answer = self.health.clone().check(asked).await;
        answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
    }

    pub(super) async fn ingest(
        &self,
        events: Vec<TweetEvent>,
    ) -> Result<Vec<StatusMessage>, Status> {
        let request = IngestTweetsRequest { events };
        let answer = self.internal.clone().ingest_tweets(request).await?;
        Ok(answer.into_inner().statuses)
    }
}
