//! What a client is told when the gateway is away, slow or broken, and what becomes of its tweet.

use std::collections::{BTreeSet, HashMap};

use clima_proto::fate::Fate;
use clima_testing::upstream::{Act, Upstream, free_port, url};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::front::Front;
use super::http::{Answer, TWEET, tweet};

/// Longer than a machine that is busy with other tests needs for one answer.
const LONG: &str = "--deadline=25s";

fn assert_failed(answer: &Answer, status: u16, fate: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.fate(), fate, "{answer:?}");
    assert!(answer.header("clima-tweet-id").is_some(), "{answer:?}");
    let retry = (status == 503 || status == 429).then_some("1");
    assert_eq!(answer.header("retry-after"), retry, "{answer:?}");
}

#[tokio::test]
async fn a_tweet_that_never_found_the_gateway_is_refused_and_503_says_that_it_is_not_counted() {
    let front = Front::start(&url(free_port().await), &["--deadline=500ms"]).await;
    let answer = front.send(&[], TWEET).await;
    if answer.status == 504 {
        // The deadline passed in the middle of an attempt, and nobody knows how far that had come.
        assert_failed(&answer, 504, "MAYBE_COUNTED");
        return;
    }
    assert_failed(&answer, 503, "NOT_COUNTED");
    assert_eq!(answer.json()["code"], 14);
    assert_eq!(answer.json()["message"], "gateway cannot be reached");
}

#[tokio::test]
async fn a_tweet_waits_for_a_gateway_that_comes_up_meanwhile() {
    let address = free_port().await;
    let front = Front::start(&url(address), &[LONG]).await;
    let mut connection = front.connect().await;
    connection.send(tweet(&[], TWEET)).await;
    front.retried().await;
    let upstream = Upstream::start_at(address).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(upstream.ids().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_never_answers_is_504_and_maybe_counted() {
    let (front, upstream) = Front::with_upstream(&["--deadline=500ms"]).await;
    upstream.always(Act::Silence);
    // Call and caller give up at the same moment: which of them is first must not matter.
    for sent in 1..=4 {
        let answer = front.send(&[], TWEET).await;
        assert_failed(&answer, 504, "MAYBE_COUNTED");
        assert_eq!(answer.json()["code"], 4);
        assert_eq!(upstream.ids().len(), sent);
    }
}

#[tokio::test]
async fn a_cut_connection_is_retried_with_the_same_id() {
    let (front, upstream) = Front::with_upstream(&[LONG]).await;
    upstream.script(|before, _| if before < 3 { Act::Reset } else { Act::Accept });
    let answer = front.send(&[], TWEET).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ids: BTreeSet<_> = upstream.ids().iter().map(ToString::to_string).collect();
    assert!(upstream.calls().len() >= 4);
    assert_eq!(
        ids,
        BTreeSet::from([answer.header("clima-tweet-id").unwrap().to_owned()])
    );
}

#[tokio::test]
async fn a_tweet_that_may_have_left_once_is_maybe_counted_whatever_follows() {
    let refusals: [fn() -> Act; 3] = [
        || Act::Reset,
        // A gateway that is sure of itself cannot speak for an attempt before.
        || {
            Act::Items(vec![Err(
                Fate::NotCounted.status(Code::Unavailable, "no writer")
            )])
        },
        || {
            Act::Items(vec![Err(
                Fate::NotCounted.status(Code::ResourceExhausted, "full")
            )])
        },
    ];
    for refusal in refusals {
        let (front, upstream) = Front::with_upstream(&["--deadline=700ms"]).await;
        upstream.script(move |before, _| if before == 0 { Act::Reset } else { refusal() });
        let answer = front.send(&[], TWEET).await;
        assert!(matches!(answer.status, 503 | 504 | 429), "{answer:?}");
        assert_failed(&answer, answer.status, "MAYBE_COUNTED");
        assert!(upstream.calls().len() >= 2);
    }

    // Nor can a connection that is refused afterwards.
    let (front, upstream) = Front::with_upstream(&["--deadline=1s"]).await;
    upstream.always(Act::Silence);
    let mut connection = front.connect().await;
    connection.send(tweet(&[], TWEET)).await;
    upstream.received(1).await;
    upstream.stop().await;
    let answer = connection.answer().await.expect("an answer");
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    assert_failed(&answer, answer.status, "MAYBE_COUNTED");
}

#[tokio::test]
async fn what_the_gateway_says_of_counting_is_passed_on() {
    let (front, upstream) = Front::with_upstream(&["--deadline=1s"]).await;
    for (code, status) in [
        (Code::Unavailable, 503),
        (Code::ResourceExhausted, 429),
        (Code::InvalidArgument, 400),
    ] {
        for fate in [Fate::NotCounted, Fate::MaybeCounted] {
            upstream.always(Act::Items(vec![Err(fate.status(code, "a word"))]));
            let answer = front.send(&[], TWEET).await;
            assert_failed(&answer, status, fate.reason());
            assert_eq!(answer.json()["message"], "a word");
        }
    }
}

#[tokio::test]
async fn overload_of_the_gateway_is_not_retried_by_the_front() {
    let (front, upstream) = Front::with_upstream(&[LONG]).await;
    let full = || Fate::NotCounted.status(Code::ResourceExhausted, "full");
    for act in [Act::Items(vec![Err(full())]), Act::Fail(full())] {
        let before = upstream.calls().len();
        upstream.always(act);
        assert_failed(&front.send(&[], TWEET).await, 429, "NOT_COUNTED");
        assert_eq!(upstream.calls().len(), before + 1);
    }
}

#[tokio::test]
async fn an_error_that_tells_no_fate_is_maybe_counted() {
    let (front, upstream) = Front::with_upstream(&["--deadline=300ms"]).await;
    let foreign = ErrorDetails::with_error_info("NOT_COUNTED", "elsewhere.example", HashMap::new());
    for act in [
        Act::Items(vec![Err(Status::unavailable("bare"))]),
        Act::Items(vec![Err(Status::invalid_argument("bare"))]),
        Act::Items(vec![Err(Status::with_error_details(
            Code::Unavailable,
            "foreign",
            foreign,
        ))]),
        // An answer with no status for the event.
        Act::Items(Vec::new()),
        Act::Fail(Status::unavailable("bare")),
        Act::Fail(Status::unimplemented("another service")),
    ] {
        upstream.always(act.clone());
        let answer = front.send(&[], TWEET).await;
        assert_eq!(answer.fate(), "MAYBE_COUNTED", "{act:?}");
    }
}

#[tokio::test]
async fn the_inside_of_an_error_is_not_shown() {
    let (front, upstream) = Front::with_upstream(&["--deadline=300ms"]).await;
    let secret = "amqp://user:hunter2@10.0.0.7";
    for code in [Code::Internal, Code::Unknown, Code::DataLoss] {
        let mut details = ErrorDetails::with_debug_info(vec![secret.to_owned()], secret);
        details.set_error_info("MAYBE_COUNTED", "clima.v1", HashMap::new());
        let status = Status::with_error_details(code, secret, details);
        for act in [
            Act::Items(vec![Err(status.clone())]),
            Act::Items(vec![Err(Status::new(code, secret))]),
            Act::Fail(status),
        ] {
            upstream.always(act);
            let answer = front.send(&[], TWEET).await;
            assert!(answer.status >= 500, "{answer:?}");
            assert_eq!(answer.fate(), "MAYBE_COUNTED", "{answer:?}");
            assert!(!answer.body.contains("hunter2"), "{answer:?}");
        }
    }
}
