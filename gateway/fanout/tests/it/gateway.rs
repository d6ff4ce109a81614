//! A gateway in this process, between a client and two writers of the test.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;
use clima_gateway::{Config, Gateway};
use clima_proto::clima::v1::tweet_ingest_service_client::TweetIngestServiceClient;
use clima_proto::clima::v1::{IngestTweetsRequest, TweetEvent};
use clima_proto::event;
use clima_proto::fate::StatusMessage;
use clima_proto::id::TweetId;
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use clima_proto::wethertweet::{WeatherTweetRequest, WeatherTweetResponse};
use clima_service::process::RunError;
use clima_testing::upstream::Upstream;
use clima_testing::wait::ends;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// Longer than a machine that is busy with other tests needs for one answer.
pub(crate) const LONG: Duration = Duration::from_secs(14);

pub(crate) struct Running {
    pub(crate) admin: SocketAddr,
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
    channels: (Channel, Channel),
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) async fn start(kafka: &str, rabbitmq: &str, settings: &[&str]) -> Self {
        let mut args = vec![
            "clima-gateway",
            "--listen=127.0.0.1:0",
            "--internal-listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--writer-kafka-url",
            kafka,
            "--writer-rabbitmq-url",
            rabbitmq,
        ];
        args.extend(settings);
        let config = Config::try_parse_from(args).expect("settings");
        let shutdown = CancellationToken::new();
        let gateway = Gateway::bind(config, shutdown.clone())
            .await
            .expect("ports");
        let (public, internal) = (
            gateway.address().unwrap(),
            gateway.internal_address().unwrap(),
        );
        Self {
            admin: gateway.admin_address().unwrap(),
            public,
            internal,
            channels: (channel(public), channel(internal)),
            shutdown,
            running: tokio::spawn(gateway.serve()),
        }
    }

    /// A gateway and two writers that accept everything.
    pub(crate) async fn with_writers(settings: &[&str]) -> (Self, Upstream, Upstream) {
        let (kafka, rabbitmq) = (Upstream::start().await, Upstream::start().await);
        let gateway = Self::start(&kafka.url(), &rabbitmq.url(), settings).await;
        (gateway, kafka, rabbitmq)
    }

    /// Sends one tweet to the public port, as a client would.
    pub(crate) async fn send(
        &self,
        request: Request<WeatherTweetRequest>,
    ) -> Result<Response<WeatherTweetResponse>, Status> {
        let mut client = WeatherTweetServiceClient::new(self.channels.0.clone());
        ends("a call", client.send_tweet(request)).await
    }

    /// Sends a batch to the internal port, as the front would.
    pub(crate) async fn ingest(
        &self,
        events: Vec<TweetEvent>,
        timeout: Duration,
    ) -> Result<Vec<StatusMessage>, Status> {
        let mut client = TweetIngestServiceClient::new(self.channels.1.clone());
        let mut request = Request::new(IngestTweetsRequest { events });
        request.set_timeout(timeout);
        let answer = ends("a call", client.ingest_tweets(request)).await?;
        Ok(answer.into_inner().statuses)
    }

    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn ended(self) -> Result<(), RunError> {
        drop(self.channels);
        ends("the gateway", self.running).await.expect("no panic")
    }
}

fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect_lazy()
}

/// A valid tweet whose humidity tells it from others.
pub(crate) fn tweet(humidity: i32) -> WeatherTweetRequest {
    WeatherTweetRequest {
        municipality: 1,
        temperature: 25,
        humidity,
        weather: 1,
    }
}

/// A call with one tweet and this much time.
pub(crate) fn call(timeout: Duration) -> Request<WeatherTweetRequest> {
    let mut request = Request::new(tweet(60));
    request.set_timeout(timeout);
    request
}

/// Valid events with these humidities, of one source.
pub(crate) fn events(humidities: impl IntoIterator<Item = i32>) -> Vec<TweetEvent> {
    let event = |humidity: i32| {
        let id = TweetId::from_parts(&[7; 16], humidity.unsigned_abs().into()).unwrap();
        event::new(id, tweet(humidity), std::time::SystemTime::now())
    };
    humidities.into_iter().map(event).collect()
}

/// The id that an answer carries.
pub(crate) fn id(metadata: &tonic::metadata::MetadataMap) -> String {
    let id = metadata.get("clima-tweet-id").expect("an id");
    id.to_str().unwrap().to_owned()
}
