//! Readiness, metrics, and an orderly end.

use clima_testing::upstream::{Act, Upstream, free_port, url};
use clima_testing::wait::until;

use super::front::Front;
use super::http::{Connection, TWEET, tweet};

#[tokio::test]
async fn a_front_is_alive_at_once_and_ready_after_its_gateway_served_once() {
    let address = free_port().await;
    let front = Front::start(&url(address), &[]).await;
    let alive = front.admin("/livez").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "alive\n"));
    let missing = front.admin("/readyz").await;
    assert_eq!(missing.status, 503);
    assert_eq!(missing.body, "not ready: gateway\n");

    let upstream = Upstream::start_at(address).await;
    front.ready().await;
    // A gateway that restarts is waited for by each tweet; a front taken out of service would not help.
    upstream.stop().await;
    assert_eq!(front.admin("/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn metrics_tell_what_became_of_tweets() {
    let (front, upstream) = Front::with_upstream(&["--deadline=300ms"]).await;
    assert_eq!(front.send(&[], TWEET).await.status, 200);
    upstream.always(Act::Silence);
    assert_eq!(front.send(&[], TWEET).await.status, 504);
    let metrics = front.admin("/metrics").await;
    let media = metrics.header("content-type").unwrap();
    assert!(media.starts_with("application/openmetrics-text"), "{media}");
    for line in [
        "clima_tweets_accepted_total 1",
        "clima_tweets_refused_total{code=\"DEADLINE_EXCEEDED\",fate=\"MAYBE_COUNTED\"} 1",
        "clima_tweets_accept_latency_seconds_count 1",
        "clima_ingest_batch_tweets_count{to=\"gateway\"} 2",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}");
    }
    assert!(metrics.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_stopping_front_answers_what_is_in_flight_and_ends_well() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    front.ready().await;
    upstream.always(Act::Hold);
    let mut idle = front.connect().await;
    let mut fresh = front.connect().await;
    let mut half = front.connect().await;
    half.send("POST /v1/tweets HTTP/1.1\r\nhost: a\r\n").await;
    let mut waiting = front.connect().await;
    waiting.send(tweet(&[], TWEET)).await;
    upstream.received(1).await;

    front.stop();
    assert!(half.answer().await.is_none(), "nothing is owed to it");
    assert!(
        idle.answer().await.is_none(),
        "an idle connection is closed"
    );
    assert!(fresh.answer().await.is_none());
    let refused = async || {
        let connecting = tokio::net::TcpStream::connect(front.address).await;
        connecting.is_err().then_some(())
    };
    until("the port to be closed", refused).await;

    upstream.release(1);
    let answer = waiting.answer().await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(waiting.answer().await.is_none());
    front.ended().await.expect("an orderly end");
}

#[tokio::test]
async fn a_client_that_goes_on_sending_is_answered_and_told_to_go() {
    let (front, _upstream) = Front::with_upstream(&[]).await;
    front.ready().await;
    let mut busy = front.connect().await;
    busy.send(tweet(&[], TWEET)).await;
    let answer = busy.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    // As one that connects in the moment of the shutdown: it is not accepted yet.
    let mut waiting = front.connect().await;
    waiting.send(tweet(&[], TWEET)).await;
    front.stop();
    busy.send(tweet(&[], TWEET)).await;
    for client in [&mut busy, &mut waiting] {
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.answer().await.is_none());
    }
    front.ended().await.expect("an orderly end");
}

#[tokio::test]
async fn a_stopping_front_waits_for_the_gateway_up_to_the_deadline() {
    let (front, upstream) = Front::with_upstream(&["--deadline=500ms"]).await;
    upstream.always(Act::Silence);
    let mut waiting = front.connect().await;
    waiting.send(tweet(&[], TWEET)).await;
    upstream.received(1).await;
    front.stop();
    let answer = waiting.answer().await.expect("an answer");
    assert_eq!(
        (answer.status, answer.fate().as_str()),
        (504, "MAYBE_COUNTED")
    );
    front.ended().await.expect("an orderly end");
}

#[tokio::test]
async fn a_client_that_says_half_a_request_does_not_hold_up_the_end() {
    for half in [
        "",
        "POST /v1/tweets HT",
        "POST /v1/tweets HTTP/1.1\r\nhost: a\r\n",
    ] {
        let settings = ["--deadline=200ms", "--body-timeout=200ms"];
        let (front, _upstream) = Front::with_upstream(&settings).await;
        let mut slow = front.connect().await;
        slow.send(half).await;
        let mut probe = Connection::open(front.admin).await;
        probe.send(half).await;
        // Served after the others: those are known to the front by now.
        assert_eq!(front.send(&[], TWEET).await.status, 200);
        assert_eq!(front.admin("/livez").await.status, 200);
        front.stop();
        let outcome = front.ended().await;
        assert!(outcome.is_ok(), "{half:?}: {outcome:?}");
    }
}
