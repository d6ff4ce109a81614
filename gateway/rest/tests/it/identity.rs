//! The id that a tweet gets, and what a client can do about it.

use std::collections::HashSet;

use clima_proto::id::TweetId;

use crate::front::{Front, TWEET};
use crate::http::Answer;

fn id(answer: &Answer) -> TweetId {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("clima-tweet-id").unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_client_is_told_the_id_that_the_gateway_saw() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(id(&front.post(&[], TWEET).await));
    }
    assert_eq!(gateway.ids(), told);
    let sources: HashSet<_> = told.iter().map(TweetId::source).collect();
    assert_eq!(sources.len(), 1);
    let sequences: Vec<_> = told.iter().map(TweetId::sequence).collect();
    assert_eq!(sequences, [0, 1, 2]);
}

#[tokio::test]
async fn an_id_from_outside_is_not_taken() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let foreign = format!("{}-7", "ab".repeat(16));
    let header = format!("clima-tweet-id: {foreign}");
    let told = id(&front.post(&[&header], TWEET).await);
    assert_ne!(told.to_string(), foreign);
    assert_eq!(gateway.ids(), [told]);
}

#[tokio::test]
async fn one_key_with_one_content_is_one_tweet_at_every_front() {
    let (front, _one) = Front::with_gateway(&[]).await;
    let (other, _two) = Front::with_gateway(&[]).await;
    let first = id(&front.post(&["idempotency-key: a"], TWEET).await);
    // The same content in another form is the same content.
    let form = r#"{"weather":1,"humidity":"60","temperature":25.0,"municipality":1}"#;
    for front in [&front, &other] {
        assert_eq!(id(&front.post(&["Idempotency-Key: a"], form).await), first);
    }
    assert_eq!(first.sequence(), 0);
    let different = r#"{"municipality":"mixco","temperature":24,"humidity":60,"weather":"sunny"}"#;
    assert_ne!(
        id(&front.post(&["idempotency-key: a"], different).await),
        first
    );
    assert_ne!(id(&front.post(&["idempotency-key: b"], TWEET).await), first);
    assert_ne!(id(&front.post(&[], TWEET).await), first);
}

#[tokio::test]
async fn a_key_of_up_to_255_bytes_is_taken_and_any_other_is_refused() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let longest = format!("idempotency-key: {}", "k".repeat(255));
    id(&front.post(&[&longest], TWEET).await);
    id(&front
        .post(&["idempotency-key: \u{f1}and\u{fa}"], TWEET)
        .await);
    let before = gateway.calls().len();

    let long = format!("idempotency-key: {}", "k".repeat(256));
    let refused: [&[&str]; 5] = [
        &[&long],
        &["idempotency-key:"],
        &["idempotency-key:   "],
        &["idempotency-key: a", "idempotency-key: a"],
        &["idempotency-key: a", "Idempotency-Key:"],
    ];
    for headers in refused {
        let answer = front.post(headers, TWEET).await;
        answer.assert_refusal(400, 3, "NOT_COUNTED", headers[0]);
        assert_eq!(answer.violations(), ["idempotency-key"]);
    }
    let answer = front.post(&["idempotency-key:"], r#"{"weather":9}"#).await;
    assert_eq!(
        answer.violations(),
        ["municipality", "weather", "idempotency-key"]
    );
    assert_eq!(gateway.calls().len(), before);
}
