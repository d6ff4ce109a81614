//! The public port: the same rules as at every other.

use clima_proto::fate::Fate;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID};
use clima_proto::wethertweet::WeatherTweetRequest;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::gateway::{Running, TWEET, assert_status};

#[tokio::test]
async fn an_invalid_tweet_is_refused_with_all_its_violations_and_goes_nowhere() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let everything = WeatherTweetRequest {
        municipality: 0,
        temperature: 61,
        humidity: -1,
        weather: 5,
    };
    for (tweet, keys, fields) in [
        (
            everything,
            0,
            &["municipality", "temperature", "humidity", "weather"][..],
        ),
        (TWEET, 2, &[IDEMPOTENCY_KEY]),
        (
            WeatherTweetRequest {
                weather: 0,
                ..TWEET
            },
            2,
            &["weather", IDEMPOTENCY_KEY],
        ),
    ] {
        let mut request = Request::new(tweet);
        for _ in 0..keys {
            request
                .metadata_mut()
                .append(IDEMPOTENCY_KEY, MetadataValue::from_static("a"));
        }
        let status = gateway
            .public
            .clone()
            .send_tweet(request)
            .await
            .unwrap_err();
        assert_status(&status, Code::InvalidArgument, Fate::NotCounted);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        let found: Vec<_> = violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(found, fields);
        assert!(status.metadata().get(TWEET_ID).is_none());
    }
    assert!(kafka.calls().is_empty() && rabbitmq.calls().is_empty());
}

#[tokio::test]
async fn one_key_with_one_content_is_one_tweet_and_an_id_from_outside_is_not_taken() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut request = Request::new(TWEET);
        let metadata = request.metadata_mut();
        metadata.insert(IDEMPOTENCY_KEY, MetadataValue::from_static("a"));
        let foreign = MetadataValue::from_static("abababababababababababababababab-7");
        metadata.insert(TWEET_ID, foreign.clone());
        let answer = gateway.public.clone().send_tweet(request).await.unwrap();
        let id = answer.metadata().get(TWEET_ID).unwrap().clone();
        assert_ne!(id, foreign);
        told.push(id.to_str().unwrap().parse().unwrap());
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(kafka.ids(), told);
    assert_eq!(rabbitmq.ids(), told);
}
