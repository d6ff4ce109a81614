//! A gateway in this process, between two writers of the test.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use clap::Parser as _;
use clima_gateway::{Config, Gateway};
use clima_proto::clima::v1::tweet_ingest_service_client::TweetIngestServiceClient;
use clima_proto::clima::v1::{IngestTweetsRequest, TweetEvent};
use clima_proto::event;
use clima_proto::fate::{self, Fate};
use clima_proto::id::{TWEET_ID, TweetId};
use clima_proto::wethertweet::WeatherTweetRequest;
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use clima_service::process::RunError;
use clima_testing::{Endpoint, within};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

pub(crate) const TWEET: WeatherTweetRequest = WeatherTweetRequest {
    municipality: 3,
    temperature: 21,
    humidity: 70,
    weather: 4,
};

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) public: WeatherTweetServiceClient<Channel>,
    pub(crate) internal: TweetIngestServiceClient<Channel>,
    shutdown: CancellationToken,
    running: AbortOnDropHandle<Result<(), RunError>>,
}

impl Running {
    /// A gateway between these writers, with these flags.
    pub(crate) async fn between(kafka: &str, rabbitmq: &str, flags: &[&str]) -> Self {
        let mut args = vec!["clima-gateway", "--writer-kafka-url", kafka];
        args.extend(["--writer-rabbitmq-url", rabbitmq]);
        for port in ["--listen", "--internal-listen", "--admin-listen"] {
            args.extend([port, "127.0.0.1:0"]);
        }
        args.extend(flags);
        let shutdown = CancellationToken::new();
        let gateway = Gateway::bind(Config::parse_from(args), shutdown.clone());
        let gateway = gateway.await.unwrap();
        let address = gateway.address().unwrap();
        let admin = gateway.admin_address().unwrap();
        let internal = gateway.internal_address().unwrap();
        let running = AbortOnDropHandle::new(tokio::spawn(gateway.serve()));
        let connect = async |address| {
            let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
            endpoint.connect().await.unwrap()
        };
        Self {
            address,
            admin,
            public: WeatherTweetServiceClient::new(connect(address).await),
            internal: TweetIngestServiceClient::new(connect(internal).await),
            shutdown,
            running,
        }
    }

    /// A gateway between two writers that accept everything.
    pub(crate) async fn with_writers(flags: &[&str]) -> (Self, Endpoint, Endpoint) {
        let (kafka, rabbitmq) = (Endpoint::start(), Endpoint::start());
        let gateway = Self::between(&kafka.url(), &rabbitmq.url(), flags).await;
        (gateway, kafka, rabbitmq)
    }

    /// Sends one tweet to the public port and waits for this long at most; the id is told on success.
    pub(crate) async fn send(&self, limit: Duration) -> Result<TweetId, Status> {
        let mut request = Request::new(TWEET);
        request.set_timeout(limit);
        let mut client = self.public.clone();
        let answer = within("an answer of the gateway", client.send_tweet(request)).await?;
        assert_eq!(answer.get_ref().status, "accepted");
        let id = answer.metadata().get(TWEET_ID).unwrap();
        Ok(id.to_str().unwrap().parse().unwrap())
    }

    /// Sends a batch to the internal port and returns what became of each event.
    pub(crate) async fn ingest(
        &self,
        events: Vec<TweetEvent>,
        limit: Duration,
    ) -> Result<Vec<Result<(), Status>>, Status> {
        let mut request = Request::new(IngestTweetsRequest { events });
        request.set_timeout(limit);
        let mut client = self.internal.clone();
        let answer = within("an answer of the gateway", client.ingest_tweets(request)).await?;
        let statuses = answer.into_inner().statuses;
        Ok(statuses.iter().map(fate::from_message).collect())
    }

    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn ended(self) -> Result<(), RunError> {
        // Its clients are gone before it, as they are when a process of theirs is.
        drop((self.public, self.internal));
        within("the end of the gateway", self.running)
            .await
            .unwrap()
    }
}

/// Longer than a test takes.
pub(crate) const LONG: Duration = Duration::from_secs(15);

pub(crate) fn id(number: u64) -> TweetId {
    TweetId::from_parts(&[7; 16], number).unwrap()
}

/// An event with this number as its sequence.
pub(crate) fn numbered(number: u64) -> TweetEvent {
    event::new(id(number), TWEET, SystemTime::now())
}

/// Sends one event to the internal port and returns what became of it.
pub(crate) async fn ingest_one(
    mut gateway: TweetIngestServiceClient<Channel>,
    event: TweetEvent,
) -> Result<(), Status> {
    let events = vec![event];
    let answer = gateway
        .ingest_tweets(IngestTweetsRequest { events })
        .await?;
    fate::from_message(&answer.get_ref().statuses[0])
}

#[track_caller]
pub(crate) fn assert_status(status: &Status, code: Code, fate: Fate) {
    assert_eq!(
        (status.code(), Fate::of(status)),
        (code, fate),
        "{status:?}"
    );
}
