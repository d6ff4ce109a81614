//! What one client, and all together, may ask of the front.

use std::time::{Duration, Instant};

use clima_testing::upstream::Act;

use super::front::Front;
use super::http::{TWEET, request, tweet};

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_408() {
    let (front, upstream) = Front::with_upstream(&["--body-timeout=100ms"]).await;
    let mut connection = front.connect().await;
    let whole = tweet(&[], TWEET);
    connection.send(&whole[..whole.len() - 1]).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_eq!(answer.json()["code"], 4);
    assert_eq!(answer.fate(), "NOT_COUNTED");
    assert!(upstream.calls().is_empty());
    front.counts("http_responses_total{status=\"408\"} 1").await;
    front
        .counts("tweets_refused_total{code=\"DEADLINE_EXCEEDED\",fate=\"NOT_COUNTED\"} 1")
        .await;
}

#[tokio::test]
async fn a_tweet_in_flight_and_an_open_connection_are_told_for_as_long_as_they_last() {
    let (front, upstream) = Front::with_upstream(&["--deadline=2s"]).await;
    upstream.always(Act::Hold);
    let mut connection = front.connect().await;
    connection.send(tweet(&[], TWEET)).await;
    front.counts("tweets_in_flight 1").await;
    front.counts("http_connections 1").await;
    // A client that has closed its half may still read: its tweet goes on to the deadline.
    drop(connection);
    front.counts("tweets_in_flight 0").await;
    front.counts("http_connections 0").await;
    front
        .counts("tweets_refused_total{code=\"DEADLINE_EXCEEDED\",fate=\"MAYBE_COUNTED\"} 1")
        .await;
}

#[tokio::test]
async fn a_connection_whose_headers_do_not_come_in_time_is_closed() {
    let (front, upstream) = Front::with_upstream(&["--header-timeout=100ms"]).await;
    let mut slow = front.connect().await;
    slow.send("POST /v1/tweets HTTP/1.1\r\nhost: fr").await;
    assert!(
        slow.answer()
            .await
            .is_none_or(|answer| answer.status == 408)
    );

    let mut idle = front.connect().await;
    idle.send(tweet(&[], TWEET)).await;
    assert_eq!(idle.answer().await.expect("an answer").status, 200);
    assert!(idle.answer().await.is_none(), "closed while idle");
    assert_eq!(upstream.calls().len(), 1);
}

#[tokio::test]
async fn headers_beyond_the_limit_are_431() {
    let (front, upstream) = Front::with_upstream(&["--max-headers=8192"]).await;
    let fits = format!("x-padding: {}", "x".repeat(7_000));
    assert_eq!(front.send(&[&fits], TWEET).await.status, 200);
    let large = format!("x-padding: {}", "x".repeat(10_000));
    let many = vec!["x-many: 1"; 100];
    for headers in [vec![large.as_str()], many] {
        let answer = front.send(&headers, TWEET).await;
        assert_eq!(answer.status, 431, "{answer:?}");
        assert_eq!(answer.json()["code"], 3);
        assert_eq!(answer.fate(), "NOT_COUNTED");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(upstream.calls().len(), 1);
}

#[tokio::test]
async fn what_is_not_http_is_refused_like_anything_else_and_closed() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    for head in [
        "hello",
        "\u{16}\u{3}\u{1}\u{2}",
        "POST /v1/tweets",
        "POST /v1/tweets HTTP/9.9",
        "POST /v1/tweets HTTP/1.1\r\nno colon",
        "POST /v1/tweets HTTP/1.1\r\ncontent-length: many",
        "POST /v1/tweets HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2",
        "POST /v1/tweets HTTP/1.1\r\ntransfer-encoding: gzip",
    ] {
        let mut connection = front.connect().await;
        connection.send(format!("{head}\r\n\r\n{TWEET}")).await;
        let answer = connection.answer().await.expect(head);
        assert_eq!(answer.status, 400, "{head:?}: {answer:?}");
        assert_eq!(answer.json()["code"], 3, "{head:?}");
        assert_eq!(answer.fate(), "NOT_COUNTED", "{head:?}");
        assert!(connection.answer().await.is_none(), "{head:?}");
    }
    // What was answered before it stays answered.
    let mut connection = front.connect().await;
    connection
        .send([tweet(&[], TWEET), b"hello\r\n\r\n".to_vec()].concat())
        .await;
    for status in [200, 400] {
        let answer = connection.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.json().is_object()), (status, true));
    }
    // HTTP/2 without TLS gets no answer that it could read.
    let mut connection = front.connect().await;
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(connection.answer().await.is_none());
    assert_eq!(upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_tweet_beyond_those_in_flight_is_429_and_a_place_is_free_again_afterwards() {
    let (front, upstream) = Front::with_upstream(&["--max-in-flight=2"]).await;
    upstream.always(Act::Hold);
    let mut waiting = Vec::new();
    for count in 1..=2 {
        let mut connection = front.connect().await;
        connection.send(tweet(&[], TWEET)).await;
        waiting.push(connection);
        upstream.received(count).await;
    }
    let answer = front.send(&[], TWEET).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    front.counts("http_responses_total{status=\"429\"} 1").await;
    front
        .counts("tweets_refused_total{code=\"RESOURCE_EXHAUSTED\",fate=\"NOT_COUNTED\"} 1")
        .await;
    assert_eq!(answer.json()["code"], 8);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.detail("RetryInfo").unwrap()["retryDelay"], "1s");
    assert_eq!(answer.fate(), "NOT_COUNTED");

    upstream.release(100);
    for mut connection in waiting {
        assert_eq!(connection.answer().await.expect("an answer").status, 200);
    }
    assert_eq!(front.send(&[], TWEET).await.status, 200);
    assert_eq!(upstream.ids().len(), 3, "the refused one never left");
}

#[tokio::test]
async fn who_is_refused_for_overload_and_does_not_wait_is_not_read_for_a_moment() {
    let (front, upstream) = Front::with_upstream(&["--max-in-flight=1"]).await;
    upstream.always(Act::Hold);
    let mut waiting = front.connect().await;
    waiting.send(tweet(&[], TWEET)).await;
    upstream.received(1).await;
    let mut hasty = front.connect().await;
    let begun = Instant::now();
    hasty.send(tweet(&[], TWEET)).await;
    assert_eq!(hasty.answer().await.expect("an answer").status, 429);
    upstream.release(100);
    assert_eq!(waiting.answer().await.expect("an answer").status, 200);
    hasty.send(tweet(&[], TWEET)).await;
    assert_eq!(hasty.answer().await.expect("an answer").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_and_is_served_when_another_ends() {
    let (front, _upstream) = Front::with_upstream(&["--max-connections=2"]).await;
    let mut served = Vec::new();
    for _ in 0..2 {
        let mut connection = front.connect().await;
        connection.send(tweet(&[], TWEET)).await;
        assert_eq!(connection.answer().await.expect("an answer").status, 200);
        served.push(connection);
    }
    let mut third = front.connect().await;
    third.send(tweet(&[], TWEET)).await;
    // Those that are served go on, however long the third has waited.
    for connection in &mut served {
        connection.send(tweet(&[], TWEET)).await;
        assert_eq!(connection.answer().await.expect("an answer").status, 200);
    }
    assert!(third.is_unanswered());
    served.pop();
    assert_eq!(third.answer().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on_only_when_its_headers_are_right() {
    let (front, _upstream) = Front::with_upstream(&[]).await;
    for (media, statuses) in [
        ("content-type: application/json", &[100, 200][..]),
        ("content-type: text/plain", &[415]),
    ] {
        let whole = request(
            "POST",
            "/v1/tweets",
            &[media, "expect: 100-continue"],
            TWEET.as_bytes(),
        );
        let (head, body) = whole.split_at(whole.len() - TWEET.len());
        let mut connection = front.connect().await;
        connection.send(head).await;
        for (index, status) in statuses.iter().enumerate() {
            if index == 1 {
                connection.send(body).await;
            }
            let answer = connection.answer().await.expect("an answer");
            assert_eq!(answer.status, *status, "{media}");
        }
    }
}
