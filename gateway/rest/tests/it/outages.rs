//! What a client is told when the gateway fails, and what becomes of its tweet.

use std::collections::HashMap;

use clima_proto::fate::Fate;
use clima_testing::{Endpoint, Reserved, Silent, Wire, until, until_true};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::front::{Front, TWEET};

#[tokio::test]
async fn a_gateway_that_is_down_is_503_within_the_deadline_and_nothing_is_counted() {
    let gateway = Reserved::new();
    let front = Front::before(&gateway.url(), &["--deadline", "400ms"]).await;
    let answer = front.post(&[], TWEET).await;
    answer.assert_refusal(503, 14, "NOT_COUNTED", "down");
    assert!(answer.header("clima-tweet-id").is_some());

    // It recovers by itself.
    let gateway = gateway.start();
    until("an accepted tweet", async || {
        (front.post(&[], TWEET).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(gateway.events().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_comes_back_before_the_deadline_is_a_slow_answer() {
    let gateway = Reserved::new();
    let front = Front::before(&gateway.url(), &["--deadline", "20s"]).await;
    let (answer, gateway) = tokio::join!(front.post(&[], TWEET), async {
        until("retries", async || {
            let retries = r#"clima_ingest_retries_total{service="gateway"}"#;
            (front.metric(retries).await >= 2.0).then_some(())
        })
        .await;
        gateway.start()
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(gateway.events().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_never_answers_is_504_at_the_deadline_and_may_have_counted() {
    let gateway = Silent::start().await;
    let front = Front::before(&gateway.url(), &["--deadline", "300ms"]).await;
    // More than once: the call and its caller give up at the same moment.
    for _ in 0..8 {
        let answer = front.post(&[], TWEET).await;
        answer.assert_refusal(504, 4, "MAYBE_COUNTED", "silence");
        assert!(answer.header("clima-tweet-id").is_some());
    }
}

#[tokio::test]
async fn a_tweet_whose_call_was_reset_is_sent_again_with_its_id() {
    let gateway = Endpoint::start();
    let wire = Wire::to(gateway.address()).await;
    let front = Front::before(&wire.url(), &[]).await;
    gateway.hold();
    let (answer, ()) = tokio::join!(front.post(&[], TWEET), async {
        until_true("the tweet to arrive", || gateway.events().len() == 1).await;
        gateway.release();
        // The first call is answered into a wire that is gone, or not at all.
        wire.reset();
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("clima-tweet-id").unwrap().parse().unwrap();
    assert!(gateway.ids().iter().all(|seen| *seen == id));
}

#[tokio::test]
async fn what_may_have_been_counted_once_stays_so_whatever_comes_after() {
    let gateway = Endpoint::start();
    let wire = Wire::to(gateway.address()).await;
    let front = Front::before(&wire.url(), &["--deadline", "2s"]).await;
    gateway.hold();
    let (answer, ()) = tokio::join!(front.post(&[], TWEET), async {
        until_true("the tweet to arrive", || gateway.events().len() == 1).await;
        // From here on the gateway says that nothing was counted, which is true of the later attempts only.
        gateway.answer(|_, _| Err(Fate::NotCounted.status(Code::Unavailable, "no writer")));
        wire.reset();
        gateway.release();
    });
    answer.assert_refusal(503, 14, "MAYBE_COUNTED", "reset, then refused");
    assert!(gateway.ids().len() > 1);
    assert!(gateway.ids().iter().all(|id| *id == gateway.ids()[0]));

    // The same where later attempts make no connection at all.
    gateway.hold();
    let before = gateway.events().len();
    let mut gateway = Some(gateway);
    let (answer, ()) = tokio::join!(front.post(&[], TWEET), async {
        let arrived = || gateway.as_ref().unwrap().events().len() > before;
        until_true("the tweet to arrive", arrived).await;
        drop(gateway.take());
    });
    assert_eq!(answer.reason(), "MAYBE_COUNTED", "{answer:?}");
}

#[tokio::test]
async fn words_of_an_internal_error_are_not_shown() {
    let (front, gateway) = Front::with_gateway(&["--deadline", "300ms"]).await;
    let secret = "connect amqp://clima:hunter2@10.0.0.7: no route";
    for code in [Code::Internal, Code::Unknown, Code::DataLoss] {
        gateway.answer(move |_, _| {
            let details = ErrorDetails::with_debug_info(vec![secret.to_owned()], secret);
            Err(Status::with_error_details(code, secret, details))
        });
        let answer = front.post(&[], TWEET).await;
        let code = i64::from(i32::from(code));
        answer.assert_refusal(500, code, "MAYBE_COUNTED", "an event");
        assert!(!answer.body.contains("hunter2"), "{answer:?}");
    }
    for code in [Code::Internal, Code::ResourceExhausted, Code::Unimplemented] {
        gateway.fail(Status::new(code, secret));
        let answer = front.post(&[], TWEET).await;
        assert!([503, 429].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.reason(), "MAYBE_COUNTED", "{answer:?}");
        assert!(!answer.body.contains("hunter2"), "{answer:?}");
    }
}

#[tokio::test]
async fn each_answer_of_the_gateway_has_its_http_status_and_keeps_its_fate() {
    let (front, gateway) = Front::with_gateway(&["--deadline", "300ms"]).await;
    for (code, http) in [
        (Code::InvalidArgument, 400),
        (Code::ResourceExhausted, 429),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 504),
        (Code::FailedPrecondition, 400),
        (Code::PermissionDenied, 403),
    ] {
        for fate in [Fate::NotCounted, Fate::MaybeCounted] {
            gateway.answer(move |_, _| Err(fate.status(code, "said the gateway")));
            let answer = front.post(&[], TWEET).await;
            let what = format!("{code:?} {fate:?}");
            answer.assert_refusal(http, i64::from(i32::from(code)), fate.reason(), &what);
            assert_eq!(answer.json()["message"], "said the gateway");
        }
    }
    // A fate that somebody else tells is none of ours.
    gateway.answer(|_, _| {
        let info = ErrorDetails::with_error_info("NOT_COUNTED", "elsewhere", HashMap::new());
        Err(Status::with_error_details(
            Code::FailedPrecondition,
            "?",
            info,
        ))
    });
    assert_eq!(front.post(&[], TWEET).await.reason(), "MAYBE_COUNTED");
}

#[tokio::test]
async fn overload_of_the_gateway_is_told_at_once_and_not_retried() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    gateway.answer(|_, _| Err(Fate::NotCounted.status(Code::ResourceExhausted, "full")));
    front
        .post(&[], TWEET)
        .await
        .assert_refusal(429, 8, "NOT_COUNTED", "full");
    assert_eq!(gateway.events().len(), 1);
}
