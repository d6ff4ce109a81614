//! The front as a process: ready, measured, drained.

use clima_testing::{Reserved, until, until_true};
use tokio::net::TcpStream;

use crate::front::{Front, JSON, TWEET};
use crate::http::{self, Connection};

#[tokio::test]
async fn the_front_is_ready_once_the_gateway_was_reached_and_stays_so() {
    let gateway = Reserved::new();
    let front = Front::before(&gateway.url(), &[]).await;
    let answer = front.admin("/readyz").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "not ready: gateway\n")
    );
    assert_eq!(front.admin("/livez").await.status, 200);

    let gateway = gateway.start();
    until("readiness", async || {
        (front.admin("/readyz").await.status == 200).then_some(())
    })
    .await;
    // Many fronts must not all leave their load balancer because one gateway restarts.
    drop(gateway);
    assert_eq!(front.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn the_metrics_are_open_metrics_and_count_what_was_answered() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    for _ in 0..3 {
        assert_eq!(front.post(&[], TWEET).await.status, 200);
    }
    gateway.answer(|_, _| {
        Err(clima_proto::fate::Fate::NotCounted.status(tonic::Code::ResourceExhausted, "full"))
    });
    assert_eq!(front.post(&[], TWEET).await.status, 429);

    let answer = front.admin("/metrics").await;
    let kind = answer.header("content-type").unwrap();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = answer.body.strip_suffix("# EOF\n").unwrap();
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, _] | ["#", "TYPE", name, _] | ["#", "UNIT", name, _] => {
                assert!(name.starts_with("clima_"), "{line}");
            }
            [name, value] => {
                assert!(name.starts_with("clima_"), "{line}");
                value.parse::<f64>().unwrap();
            }
            _ => panic!("not a line of OpenMetrics: {line}"),
        }
    }
    for (name, value) in [
        ("clima_tweets_accepted_total", 3.0),
        (
            r#"clima_tweets_refused_total{code="ResourceExhausted"}"#,
            1.0,
        ),
        ("clima_tweets_accept_latency_seconds_count", 3.0),
        (r#"clima_ingest_batch_events_count{service="gateway"}"#, 4.0),
    ] {
        assert_eq!(front.metric(name).await, value, "{name} in {text}");
    }
}

fn kept() -> Vec<u8> {
    let length = format!("content-length: {}", TWEET.len());
    let mut request = http::head("POST", "/v1/tweets", ["host: clima", JSON, &length]);
    request.extend_from_slice(TWEET.as_bytes());
    request
}

#[tokio::test]
async fn a_stopped_front_answers_what_is_in_flight_and_waits_for_nothing_else() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let mut idle = Connection::open(front.address).await;
    idle.write(kept()).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut silent = Connection::open(front.address).await;
    let mut slow = Connection::open(front.address).await;
    slow.write("POST /v1/tweets HTTP/1.1\r\nhost: clima\r\n")
        .await;
    gateway.hold();
    let mut busy = Connection::open(front.address).await;
    busy.write(kept()).await;
    until_true("a tweet in flight", || gateway.events().len() == 2).await;

    front.stop();
    assert_eq!(idle.rest().await, b"");
    assert_eq!(silent.rest().await, b"");
    assert_eq!(slow.rest().await, b"");
    until("a closed port", async || {
        TcpStream::connect(front.address).await.err()
    })
    .await;
    // The admin port still says what is going on.
    let answer = front.admin("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("draining"), "{answer:?}");

    gateway.release();
    assert_eq!(busy.answer().await.status, 200);
    assert_eq!(busy.rest().await, b"");
    front.ended().await.unwrap();
}

#[tokio::test]
async fn a_front_that_has_nothing_to_finish_ends_at_once() {
    let gateway = Reserved::new();
    let front = Front::before(&gateway.url(), &[]).await;
    front.stop();
    front.ended().await.unwrap();
}
