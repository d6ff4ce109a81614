//! What holds while the broker is well.

use std::collections::BTreeSet;
use std::time::SystemTime;

use clima_proto::event;
use clima_proto::fate::{Fate, from_message};
use clima_proto::id::TweetId;
use clima_proto::wethertweet::WeatherTweetRequest;
use clima_service::ingest::MAX_BATCH;
use futures::future::join_all;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::calls::{Client, tweet};
use super::{Broker, ids};

/// More than any claim here has in flight.
const PLENTY: u32 = 4_096;

/// OK means that the broker holds the event, with the id that was returned.
pub async fn ok_means_published_as_it_was_sent_with_the_id_returned(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let before = broker.published().await.len();
    let id = client
        .send(tweet(61))
        .await
        .unwrap_or_else(|e| panic!("{e:?}"));
    let published = broker.published().await;
    assert_eq!(published.len(), before + 1);
    let found = published
        .iter()
        .find(|event| event.sequence == id.sequence());
    let found = found.unwrap_or_else(|| panic!("{id} is not there"));
    assert_eq!(found.source, id.source().as_bytes());
    assert_eq!(found.tweet, Some(tweet(61)));
    assert!(event::CheckedEvent::check(found).is_ok());
}

/// The internal port publishes events with the ids that they have, and answers each by itself.
pub async fn ingest_keeps_ids_and_answers_event_by_event(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let id = |n| TweetId::from_parts(&[9; 16], n).unwrap_or_else(|e| panic!("{e}"));
    let event = |n, tweet| event::new(id(n), tweet, SystemTime::now());
    let wrong = WeatherTweetRequest::default();
    let batch = vec![event(1, tweet(1)), event(2, wrong), event(3, tweet(3))];
    let statuses = client.ingest(batch).await.unwrap_or_else(|e| panic!("{e}"));
    let outcomes: Vec<_> = statuses.iter().map(from_message).collect();
    assert_eq!(outcomes.len(), 3);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    let Err(refusal) = &outcomes[1] else {
        panic!("an invalid event is accepted")
    };
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert_eq!(Fate::of(refusal), Fate::NotCounted);
    let published = ids(&broker.published().await);
    assert!(published.contains(&id(1)) && published.contains(&id(3)));
    assert!(!published.contains(&id(2)));

    for size in [0, MAX_BATCH + 1] {
        let batch = vec![event(4, tweet(4)); size];
        let Err(refusal) = client.ingest(batch).await else {
            panic!("a batch of {size} is accepted")
        };
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    }
    assert!(!ids(&broker.published().await).contains(&id(4)));
}

/// What a newer build says is not wrong, only not understood here: it is to be sent again, and nothing is published.
pub async fn an_event_of_a_newer_build_is_not_taken_and_not_called_wrong(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let before = broker.published().await.len();
    let id = TweetId::from_parts(&[9; 16], 1).unwrap_or_else(|e| panic!("{e}"));
    let mut newer = event::new(id, tweet(1), SystemTime::now());
    newer.schema_version = event::SCHEMA_VERSION + 1;
    let statuses = client.ingest(vec![newer]).await;
    let statuses = statuses.unwrap_or_else(|e| panic!("{e}"));
    let Err(refusal) = from_message(&statuses[0]) else {
        panic!("an event of a newer build is accepted")
    };
    assert_eq!(refusal.code(), Code::Unavailable);
    assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    assert!(refusal.get_details_retry_info().is_some());
    assert_eq!(broker.published().await.len(), before);
}

/// A key makes requests one tweet.
pub async fn the_same_key_and_content_is_the_same_id(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let mut seen = BTreeSet::new();
    for humidity in [50, 50, 51] {
        let answer = client.send_with_key(tweet(humidity), "key").await;
        seen.insert(answer.unwrap_or_else(|e| panic!("{e:?}")));
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

/// What is wrong with a tweet is told, all of it, and nothing is published.
pub async fn an_invalid_tweet_is_refused_and_not_published(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let before = broker.published().await.len();
    let wrong = WeatherTweetRequest {
        municipality: 9,
        temperature: 61,
        humidity: 101,
        weather: 0,
    };
    let Err((refusal, _)) = client.send(wrong).await else {
        panic!("an invalid tweet is accepted")
    };
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    let violations = refusal
        .get_details_bad_request()
        .map(|details| details.field_violations)
        .unwrap_or_default();
    let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(
        fields,
        ["municipality", "temperature", "humidity", "weather"]
    );
    assert_eq!(broker.published().await.len(), before);
}

/// Concurrency changes nothing about the first claim.
pub async fn every_one_of_many_concurrent_tweets_that_was_ok_is_published(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let clients = (0..50).map(|_| async {
        let mut accepted = Vec::new();
        for humidity in 0..40 {
            let answer = client.send(tweet(humidity)).await;
            accepted.push(answer.unwrap_or_else(|e| panic!("{e:?}")));
        }
        accepted
    });
    let accepted: BTreeSet<_> = join_all(clients).await.into_iter().flatten().collect();
    assert_eq!(accepted.len(), 2_000);
    let published = ids(&broker.published().await);
    assert!(published.is_superset(&accepted));
}
