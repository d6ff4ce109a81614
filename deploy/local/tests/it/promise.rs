//! The promise, end to end: an accepted tweet is counted exactly once on each path, whatever is killed.
//!
//! What was accepted is compared with what was counted id by id.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use clima_local::load::{Load, Until};
use clima_local::{Counts, PATHS, Part, Redriven, Stack, StackFile, redrive};
use clima_proto::clima::v1::TweetEvent;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID, TweetId};
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use clima_proto::wethertweet::{Municipalities, WeatherTweetRequest, Weathers};
use clima_service::readiness::Readiness;
use clima_writer_kafka::KafkaConfig;
use clima_writer_rabbitmq::RabbitmqConfig;
use prost::Message as _;
use tonic::Request;

use crate::shared::{PATIENCE, assert_counted_as_told, drained, stack};

async fn counts(stack: &Stack) -> Counts {
    Counts::connect(&stack.address(Part::Valkey)).await.unwrap()
}

/// Kills `part` in the middle of a load, starts it again, and compares what was accepted with what was counted.
async fn survives_a_kill_of(part: Part) {
    let stack = stack().await;
    let before = counts(&stack).await.totals().await.unwrap();
    let load = Load {
        address: stack.address(Part::Rest),
        clients: 16,
        until: Until::Elapsed(Duration::from_secs(5)),
        keys: true,
    };
    let load = tokio::spawn(async move { load.run().await });
    let mut reader = counts(&stack).await;
    let flowing = reader.reach(before.kafka.min(before.rabbitmq) + 200, PATIENCE);
    flowing.await.unwrap();
    stack.kill(part).await.unwrap();
    stack.start_part(part).await.unwrap();
    let load = load.await.unwrap();
    assert!(load.accepted_count() > 200, "{load}");
    assert_counted_as_told(&stack, before, &load).await;
}

#[tokio::test]
async fn killing_the_front_loses_nothing() {
    survives_a_kill_of(Part::Rest).await;
}

#[tokio::test]
async fn killing_the_gateway_loses_nothing() {
    survives_a_kill_of(Part::Gateway).await;
}

#[tokio::test]
async fn killing_the_kafka_writer_loses_nothing() {
    survives_a_kill_of(Part::WriterKafka).await;
}

#[tokio::test]
async fn killing_the_rabbitmq_writer_loses_nothing() {
    survives_a_kill_of(Part::WriterRabbitmq).await;
}

#[tokio::test]
async fn killing_the_kafka_consumer_loses_nothing() {
    survives_a_kill_of(Part::ConsumerKafka).await;
}

#[tokio::test]
async fn killing_the_rabbitmq_consumer_loses_nothing() {
    survives_a_kill_of(Part::ConsumerRabbitmq).await;
}

#[tokio::test]
async fn killing_kafka_loses_nothing() {
    survives_a_kill_of(Part::Kafka).await;
}

#[tokio::test]
async fn killing_rabbitmq_loses_nothing() {
    survives_a_kill_of(Part::Rabbitmq).await;
}

#[tokio::test]
async fn killing_valkey_loses_nothing() {
    survives_a_kill_of(Part::Valkey).await;
}

const TWEET: WeatherTweetRequest = WeatherTweetRequest {
    municipality: Municipalities::Chinautla as i32,
    temperature: 21,
    humidity: 70,
    weather: Weathers::Foggy as i32,
};

/// Sends one tweet by gRPC and returns its id.
async fn send(stack: &Stack, part: Part, key: Option<&str>) -> TweetId {
    let url = format!("http://{}", stack.address(part));
    let mut client = WeatherTweetServiceClient::connect(url).await.unwrap();
    let mut request = Request::new(TWEET);
    if let Some(key) = key {
        let metadata = request.metadata_mut();
        metadata.insert(IDEMPOTENCY_KEY, key.parse().unwrap());
    }
    let response = client.send_tweet(request).await.unwrap();
    assert_eq!(response.get_ref().status, "accepted");
    let id = response.metadata().get(TWEET_ID).unwrap();
    id.to_str().unwrap().parse().unwrap()
}

/// The paths that have counted this id.
async fn paths_of(stack: &Stack, id: TweetId) -> BTreeSet<&'static str> {
    drained(stack).await;
    let mut counts = counts(stack).await;
    let mut found = BTreeSet::new();
    for path in PATHS {
        if counts.missing(path, &[id]).await.unwrap().is_empty() {
            found.insert(path);
        }
    }
    found
}

#[tokio::test]
async fn a_tweet_sent_to_the_gateway_by_grpc_is_counted_on_both_paths() {
    let stack = stack().await;
    let id = send(&stack, Part::Gateway, None).await;
    assert_eq!(paths_of(&stack, id).await, BTreeSet::from(PATHS));
}

#[tokio::test]
async fn a_tweet_sent_to_a_writer_is_counted_on_its_own_path() {
    let stack = stack().await;
    let id = send(&stack, Part::WriterKafka, None).await;
    assert_eq!(paths_of(&stack, id).await, BTreeSet::from(["kafka"]));
    let id = send(&stack, Part::WriterRabbitmq, None).await;
    assert_eq!(paths_of(&stack, id).await, BTreeSet::from(["rabbitmq"]));
}

#[tokio::test]
async fn one_key_and_content_is_one_tweet_wherever_it_is_sent() {
    let stack = stack().await;
    let before = counts(&stack).await.totals().await.unwrap();
    let key = Some("the same key and content, by four doors");
    let id = send(&stack, Part::Gateway, key).await;
    for part in [
        Part::Gateway,
        Part::WriterKafka,
        Part::WriterKafka,
        Part::WriterRabbitmq,
    ] {
        assert_eq!(send(&stack, part, key).await, id);
    }
    drained(&stack).await;
    let after = counts(&stack).await.totals().await.unwrap();
    assert_eq!(after.kafka, before.kafka + 1);
    assert_eq!(after.rabbitmq, before.rabbitmq + 1);
}

#[tokio::test]
async fn what_is_accepted_by_rest_is_counted_once_per_path_in_every_aggregate() {
    let stack = stack().await;
    let mut counts = counts(&stack).await;
    let before = counts.totals().await.unwrap();
    let load = Load {
        address: stack.address(Part::Rest),
        clients: 10,
        until: Until::Requests(1_000),
        keys: false,
    };
    let load = load.run().await;
    assert_eq!(
        (load.accepted_count(), load.failed_count()),
        (1_000, 0),
        "{load}"
    );
    drained(&stack).await;
    let after = counts.totals().await.unwrap();
    assert_eq!(after.kafka, before.kafka + 1_000);
    assert_eq!(after.rabbitmq, before.rabbitmq + 1_000);
    for (path, total) in PATHS.into_iter().zip([after.kafka, after.rabbitmq]) {
        let table = counts.table(path).await.unwrap();
        assert_eq!(table.values().sum::<u64>(), total, "{path}: {table:?}");
    }
}

/// Publishes an event where poison goes, on both paths.
async fn set_aside(stack: &Stack, event: &TweetEvent) {
    let letter = event.encode_to_vec();
    let kafka = KafkaConfig::new(&stack.address(Part::Kafka));
    let producer = clima_writer_kafka::Producer::new(&kafka, &kafka.dead_topic).unwrap();
    producer.send(&letter, None).await.unwrap();

    let rabbitmq = RabbitmqConfig::new(&stack.rabbitmq_url()).unwrap();
    let dead = rabbitmq.names().dead;
    let readiness = Readiness::default();
    let (producer, keeper) =
        clima_writer_rabbitmq::Producer::new(rabbitmq, dead, readiness.part("rabbitmq"));
    tokio::spawn(keeper.run());
    let mut changes = readiness.changes();
    while changes.next().await == Some(false) {}
    let message = clima_writer_rabbitmq::Message {
        payload: letter,
        ..Default::default()
    };
    producer.send(message).await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_that_can_be_counted_is_counted_once_after_a_redrive() {
    let stack = stack().await;
    let file = StackFile::of(&stack);
    let id = TweetId::from_parts(&[0xd0; 16], 7).unwrap();
    let event = clima_proto::event::new(id, TWEET, SystemTime::now());
    set_aside(&stack, &event).await;
    assert!(paths_of(&stack, id).await.is_empty());
    let one_each = Redriven {
        kafka: 1,
        rabbitmq: 1,
    };
    assert_eq!(redrive(&file).await.unwrap(), one_each);
    assert_eq!(paths_of(&stack, id).await, BTreeSet::from(PATHS));
    assert_eq!(redrive(&file).await.unwrap(), Redriven::default());
}
