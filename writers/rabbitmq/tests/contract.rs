//! The writers' contract, with a real RabbitMQ, and what is RabbitMQ's alone.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::Parser as _;
use clima_local::{Part, Stack};
use clima_proto::clima::v1::TweetEvent;
use clima_proto::fate::{Fate, is_held};
use clima_proto::wethertweet::WeatherTweetRequest;
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use clima_writer_core::contract::{Broker, RunningWriter};
use clima_writer_core::{Writer, writer_contract};
use clima_writer_rabbitmq::Config;
use clima_writer_rabbitmq::topology::{Names, ROUTING_KEY};
use futures::future::join_all;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use prost::Message as _;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// One RabbitMQ for all tests, since a start takes seconds. They take turns on it, because some of them kill or
/// pause it, and each has a queue of its own.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

static PREFIXES: AtomicU32 = AtomicU32::new(0);

struct Rabbitmq {
    stack: MutexGuard<'static, Stack>,
    prefix: String,
}

async fn rabbitmq() -> Rabbitmq {
    let start = || async {
        let stack = Stack::builder().only([Part::Rabbitmq]).fast_start(true);
        Mutex::new(stack.start().await.unwrap())
    };
    Rabbitmq {
        stack: STACK.get_or_init(start).await.lock().await,
        prefix: format!("clima-{}", PREFIXES.fetch_add(1, Ordering::Relaxed)),
    }
}

impl Rabbitmq {
    async fn connect(&self) -> Connection {
        let properties = ConnectionProperties::default();
        Connection::connect(&self.stack.rabbitmq_url(), properties)
            .await
            .unwrap()
    }

    fn names(&self) -> Names {
        Names::new(&self.prefix)
    }
}

impl Broker for Rabbitmq {
    async fn start_writer(&self, max_in_flight: u32) -> RunningWriter {
        let config = Config::parse_from([
            "writer",
            "--listen=127.0.0.1:0",
            "--internal-listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            &format!("--max-in-flight={max_in_flight}"),
            &format!("--rabbitmq-url={}", self.stack.rabbitmq_url()),
            &format!("--rabbitmq-prefix={}", self.prefix),
        ]);
        let shutdown = CancellationToken::new();
        let writer = Writer::bind(&config.writer, shutdown.clone())
            .await
            .unwrap();
        RunningWriter {
            public: writer.address().unwrap(),
            internal: writer.internal_address().unwrap(),
            admin: writer.process.admin_address().unwrap(),
            shutdown,
            ended: tokio::spawn(clima_writer_rabbitmq::serve(writer, config.rabbitmq)),
        }
    }

    async fn published(&self) -> Vec<TweetEvent> {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        let queue = self.names().tweets.queue;
        let mut events = Vec::new();
        // Not acknowledged: they return to the queue when the connection closes.
        let options = BasicGetOptions { no_ack: false };
        while let Some(message) = channel
            .basic_get(queue.as_str().into(), options)
            .await
            .unwrap()
        {
            events.push(TweetEvent::decode(message.data.as_slice()).unwrap());
        }
        connection.close(200, "read".into()).await.unwrap();
        events
    }

    async fn kill(&self) {
        self.stack.kill(Part::Rabbitmq).await.unwrap();
    }

    async fn start(&self) {
        self.stack.start_part(Part::Rabbitmq).await.unwrap();
    }

    async fn pause(&self) {
        self.stack.pause(Part::Rabbitmq).await.unwrap();
    }

    async fn resume(&self) {
        self.stack.resume(Part::Rabbitmq).await.unwrap();
    }
}

writer_contract!(rabbitmq());

const TWEET: WeatherTweetRequest = WeatherTweetRequest {
    municipality: 1,
    temperature: 20,
    humidity: 50,
    weather: 1,
};

/// Sends this many tweets at once and tells how many were accepted.
async fn accepted(writer: &RunningWriter, tweets: usize) -> usize {
    let url = format!("http://{}", writer.public);
    let client = WeatherTweetServiceClient::connect(url).await.unwrap();
    let sent = (0..tweets).map(|_| {
        let mut client = client.clone();
        async move { client.send_tweet(TWEET).await.is_ok() }
    });
    join_all(sent).await.into_iter().filter(|ok| *ok).count()
}

/// Polls until a tweet is accepted.
async fn until_accepted(writer: &RunningWriter) {
    let accepted = async {
        while accepted(writer, 1).await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), accepted)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tweet_is_ok_while_messages_cannot_be_routed_and_the_writer_repairs_the_binding() {
    let rabbitmq = rabbitmq().await;
    let writer = rabbitmq.start_writer(4_096).await;
    until_accepted(&writer).await;
    let before = rabbitmq.published().await.len();
    let destination = rabbitmq.names().tweets;
    let connection = rabbitmq.connect().await;
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_unbind(
            destination.queue.as_str().into(),
            destination.exchange.as_str().into(),
            ROUTING_KEY.into(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    // Among many at once a return need not stand beside the confirmation of its own message.
    let ok = accepted(&writer, 500).await;
    let published = rabbitmq.published().await.len() - before;
    assert!(ok <= published, "{ok} were OK, {published} are there");
    // The writer gave up its channels, and declares what is ours when it connects again.
    until_accepted(&writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_exists_with_other_settings_does_not_stop_the_writer() {
    let rabbitmq = rabbitmq().await;
    let queue = rabbitmq.names().tweets.queue;
    let connection = rabbitmq.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let classic = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.as_str().into(), classic, FieldTable::default())
        .await
        .unwrap();
    let writer = rabbitmq.start_writer(4_096).await;
    until_accepted(&writer).await;
    assert_eq!(rabbitmq.published().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_returns_at_once_leave_no_tweet_that_is_ok_and_not_there() {
    let rabbitmq = rabbitmq().await;
    let writer = rabbitmq.start_writer(4_096).await;
    until_accepted(&writer).await;
    let destination = rabbitmq.names().tweets;
    let connection = rabbitmq.connect().await;
    let channel = connection.create_channel().await.unwrap();
    // The binding comes and goes under load: returned and routed messages mix on each channel.
    let flicker = async {
        for _ in 0..20 {
            let (queue, exchange) = (destination.queue.as_str(), destination.exchange.as_str());
            let none = FieldTable::default;
            channel
                .queue_unbind(queue.into(), exchange.into(), ROUTING_KEY.into(), none())
                .await
                .unwrap();
            channel
                .queue_bind(
                    queue.into(),
                    exchange.into(),
                    ROUTING_KEY.into(),
                    QueueBindOptions::default(),
                    none(),
                )
                .await
                .unwrap();
        }
    };
    let before = rabbitmq.published().await.len();
    let load = async {
        let mut ok = 0;
        for _ in 0..10 {
            ok += accepted(&writer, 200).await;
        }
        ok
    };
    let (ok, ()) = tokio::join!(load, flicker);
    let published = rabbitmq.published().await.len() - before;
    assert!(ok <= published, "{ok} were OK, {published} are there");
}

/// Sends one tweet with a second to be answered in.
async fn send(client: &mut WeatherTweetServiceClient<Channel>) -> Result<(), Status> {
    let mut request = Request::new(TWEET);
    request.set_timeout(Duration::from_secs(1));
    client.send_tweet(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_has_an_alarm_every_tweet_is_refused_at_once_and_not_published() {
    let rabbitmq = rabbitmq().await;
    let writer = rabbitmq.start_writer(4_096).await;
    until_accepted(&writer).await;
    let url = format!("http://{}", writer.public);
    let mut client = WeatherTweetServiceClient::connect(url).await.unwrap();
    for (alarm, end) in [
        (
            ["set_vm_memory_high_watermark", "absolute", "1MB"].as_slice(),
            ["set_vm_memory_high_watermark", "absolute", "512MB"].as_slice(),
        ),
        (
            &["set_disk_free_limit", "1000000000000000"],
            &["set_disk_free_limit", "64MB"],
        ),
    ] {
        rabbitmq.stack.rabbitmqctl(alarm).await.unwrap();
        // RabbitMQ tells a connection that it is blocked when that publishes.
        let refusal = async {
            loop {
                if let Err(status) = send(&mut client).await
                    && is_held(&status)
                {
                    return;
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), refusal).await;
        assert!(told.is_ok(), "never refused: {alarm:?}");
        // Those before it may be published when the alarm ends, these may not.
        for _ in 0..200 {
            let status = send(&mut client).await.unwrap_err();
            assert!(is_held(&status), "{alarm:?}: {status:?}");
            assert_eq!(Fate::of(&status), Fate::NotCounted);
        }
        rabbitmq.stack.rabbitmqctl(end).await.unwrap();
        until_accepted(&writer).await;
        assert!(rabbitmq.published().await.len() < 200, "{alarm:?}");
    }
}
