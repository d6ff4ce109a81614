//! What one client, and all together, may ask of the front.

use clima_testing::until_true;

use crate::front::{Front, JSON, TWEET};
use crate::http::{self, Connection};

/// A request on a connection that stays.
fn kept() -> Vec<u8> {
    let length = format!("content-length: {}", TWEET.len());
    let mut request = http::head("POST", "/v1/tweets", ["host: clima", JSON, &length]);
    request.extend_from_slice(TWEET.as_bytes());
    request
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let (front, gateway) = Front::with_gateway(&["--body-timeout", "100ms"]).await;
    for start in ["", &TWEET[..10]] {
        let headers = [
            "host: clima",
            "connection: close",
            JSON,
            "content-length: 50",
        ];
        let mut request = http::head("POST", "/v1/tweets", headers);
        request.extend_from_slice(start.as_bytes());
        let answer = http::send(front.address, request).await;
        answer.assert_refusal(408, 4, "NOT_COUNTED", start);
    }
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn headers_that_do_not_come_and_idle_connections_are_closed() {
    let (front, _gateway) = Front::with_gateway(&["--header-timeout", "150ms"]).await;
    for start in ["", "POST /v1/tweets HTTP/1.1\r\nhost: clima\r\nx-slow:"] {
        let end = http::exchange(front.address, start.as_bytes().to_vec()).await;
        assert_eq!(String::from_utf8(end).unwrap(), "", "after {start:?}");
    }
    let mut idle = Connection::open(front.address).await;
    idle.write(kept()).await;
    assert_eq!(idle.answer().await.status, 200);
    assert_eq!(idle.rest().await, b"");
}

#[tokio::test]
async fn more_tweets_than_may_be_in_flight_are_refused_at_once() {
    let (front, gateway) = Front::with_gateway(&["--max-in-flight", "2"]).await;
    gateway.hold();
    let (mut one, mut two) = (
        Connection::open(front.address).await,
        Connection::open(front.address).await,
    );
    one.write(kept()).await;
    two.write(kept()).await;
    until_true("both in flight", || gateway.events().len() == 2).await;

    let answer = front.post(&[], TWEET).await;
    answer.assert_refusal(429, 8, "NOT_COUNTED", "the third");
    gateway.release();
    assert_eq!(one.answer().await.status, 200);
    assert_eq!(two.answer().await.status, 200);
    assert_eq!(front.post(&[], TWEET).await.status, 200);
    assert_eq!(gateway.events().len(), 3);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_and_are_served_later() {
    let (front, _gateway) = Front::with_gateway(&["--max-connections", "1"]).await;
    let mut one = Connection::open(front.address).await;
    one.write(kept()).await;
    assert_eq!(one.answer().await.status, 200);

    let mut two = Connection::open(front.address).await;
    two.write(kept()).await;
    for _ in 0..3 {
        one.write(kept()).await;
        assert_eq!(one.answer().await.status, 200);
        let nothing = two.0.try_read(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
    drop(one);
    assert_eq!(two.answer().await.status, 200);
}

#[tokio::test]
async fn requests_that_come_together_on_one_connection_are_answered_in_order() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let mut connection = Connection::open(front.address).await;
    connection.write([kept(), kept()].concat()).await;
    connection
        .write(http::request("GET", "/nowhere", &[], b""))
        .await;
    let answers = String::from_utf8(connection.rest().await).unwrap();
    let statuses: Vec<_> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "404"]);
    assert_eq!(gateway.events().len(), 2);
}
