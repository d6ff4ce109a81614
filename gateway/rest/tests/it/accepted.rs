//! What is accepted, and under which id.

use std::collections::BTreeSet;

use clima_proto::wethertweet::WeatherTweetRequest;
use clima_testing::upstream::Upstream;

use super::front::Front;
use super::http::{Answer, TWEET, request};

/// The id in an accepted answer, which is the id of the last event that the upstream got.
fn assert_accepted(answer: &Answer, upstream: &Upstream) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), serde_json::json!({"status": "accepted"}));
    let id = answer.header("clima-tweet-id").expect("an id").to_owned();
    let seen = upstream.ids().last().expect("an event").to_string();
    assert_eq!(id, seen);
    id
}

fn last_tweet(upstream: &Upstream) -> WeatherTweetRequest {
    let calls = upstream.calls();
    calls.last().unwrap().events[0].tweet.unwrap()
}

#[tokio::test]
async fn each_legal_form_of_a_tweet_is_the_same_tweet_on_both_paths_of_the_proto() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let expected = WeatherTweetRequest {
        municipality: 1,
        temperature: 25,
        humidity: 60,
        weather: 1,
    };
    let bodies = [
        TWEET.to_owned(),
        TWEET.replace("\"mixco\"", "1").replace("\"sunny\"", "1"),
        TWEET.replace("25", "\"25\"").replace("60", "\"60\""),
        TWEET.replace("25", "25.0").replace("60", "6e1"),
        TWEET.replace("25", "2.5e1").replace("60", "60.00"),
        TWEET.replace("mixco", "mi\\u0078co"),
        format!(" \n{}\t\r\n", TWEET.replace(':', " : ")),
    ];
    let types = [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
    ];
    let mut ids = BTreeSet::new();
    let mut sent = 0;
    for path in ["/v1/tweets", "/clima", "/v1/tweets?source=app"] {
        for (body, media) in bodies.iter().zip(types.iter().cycle()) {
            let media = format!("content-type: {media}");
            let answer = front
                .ask(request("POST", path, &[&media], body.as_bytes()))
                .await;
            ids.insert(assert_accepted(&answer, &upstream));
            assert_eq!(last_tweet(&upstream), expected, "{body}");
            sent += 1;
        }
    }
    assert_eq!(ids.len(), sent, "each request has an id of its own");
}

#[tokio::test]
async fn both_ends_of_each_range_and_every_name_are_accepted() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    for (value, other) in [
        ("25", "-90"),
        ("25", "60"),
        ("25", "0"),
        ("60", "0"),
        ("60", "100"),
        ("mixco", "guatemala"),
        ("mixco", "amatitlan"),
        ("mixco", "chinautla"),
        ("sunny", "cloudy"),
        ("sunny", "rainy"),
        ("sunny", "foggy"),
    ] {
        assert_accepted(
            &front.send(&[], &TWEET.replace(value, other)).await,
            &upstream,
        );
    }
}

#[tokio::test]
async fn an_absent_or_null_number_is_zero() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    for body in [
        r#"{"municipality":"mixco","weather":"sunny"}"#,
        r#"{"municipality":"mixco","weather":"sunny","temperature":null,"humidity":null}"#,
    ] {
        assert_accepted(&front.send(&[], body).await, &upstream);
        let tweet = last_tweet(&upstream);
        assert_eq!((tweet.temperature, tweet.humidity), (0, 0), "{body}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_a_body() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let (start, end) = TWEET.split_at(20);
    let head = "POST /v1/tweets HTTP/1.1\r\nhost: front\r\ncontent-type: application/json\r\n";
    let chunks = format!(
        "{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n",
        start.len(),
        end.len()
    );
    let answer = front
        .ask(format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}"))
        .await;
    assert_accepted(&answer, &upstream);
}

#[tokio::test]
async fn the_same_key_and_content_are_one_tweet_and_anything_else_is_another() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    // A second front agrees: the id is made of the key and the content alone.
    let second = Front::start(&upstream.url(), &[]).await;
    let key = ["idempotency-key: k-1"];
    let id = assert_accepted(&front.send(&key, TWEET).await, &upstream);
    let other_form = TWEET.replace("60", "6e1").replace("\"mixco\"", "1");
    for same in [TWEET, &other_form] {
        assert_eq!(
            assert_accepted(&front.send(&key, same).await, &upstream),
            id
        );
        assert_eq!(
            assert_accepted(&second.send(&key, same).await, &upstream),
            id
        );
    }
    let longest = format!("idempotency-key: {}", "k".repeat(255));
    let mut ids = BTreeSet::from([id]);
    for (headers, body) in [
        (&key[..], TWEET.replace("60", "61")),
        (&["idempotency-key: k-2"], TWEET.to_owned()),
        (&["idempotency-key: K-1"], TWEET.to_owned()),
        (&["idempotency-key: \u{e9}"], TWEET.to_owned()),
        (&[longest.as_str()], TWEET.to_owned()),
        (&[], TWEET.to_owned()),
    ] {
        let id = assert_accepted(&front.send(headers, &body).await, &upstream);
        assert!(ids.insert(id), "{headers:?} {body}");
    }
}

#[tokio::test]
async fn an_id_is_never_taken_from_a_client() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let forged = format!("{}-7", "ab".repeat(16));
    let header = format!("clima-tweet-id: {forged}");
    let id = assert_accepted(&front.send(&[&header], TWEET).await, &upstream);
    assert_ne!(id, forged);
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let mut connection = front.connect().await;
    let request = super::http::tweet(&[], TWEET);
    connection.send(request.repeat(3)).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = connection.answer().await.expect("an answer");
        ids.push(answer.header("clima-tweet-id").unwrap().to_owned());
    }
    let seen: Vec<_> = upstream.ids().iter().map(ToString::to_string).collect();
    assert_eq!(ids, seen);
}
