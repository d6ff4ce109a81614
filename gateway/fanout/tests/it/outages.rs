//! One path fails: it alone is retried, and what is said covers both.

use std::collections::BTreeSet;
use std::time::Duration;

use clima_proto::fate::Fate;
use clima_testing::upstream::{Act, Upstream, free_port, url};
use tonic::{Code, Status};

use super::gateway::{LONG, Running, call, id};

/// Enough for a few attempts.
const SHORT: Duration = Duration::from_millis(800);

fn assert_failed(status: &Status, code: Code, fate: Fate) {
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(Fate::of(status), fate, "{status:?}");
    id(status.metadata());
}

fn refusal(code: Code) -> Act {
    Act::Items(vec![Err(Fate::NotCounted.status(code, "a writer's word"))])
}

#[tokio::test]
async fn a_path_that_fails_is_retried_alone_under_the_same_id() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    // The last: overload of a writer is retried too, since the other path may have taken the tweet.
    let failures: [fn() -> Act; 4] = [
        || Act::Reset,
        || Act::Fail(Status::unavailable("going away")),
        || refusal(Code::Unavailable),
        || refusal(Code::ResourceExhausted),
    ];
    for failure in failures {
        for (failing, steady) in [(&kafka, &rabbitmq), (&rabbitmq, &kafka)] {
            let (before, steady_before) = (failing.calls().len(), steady.calls().len());
            failing.script(move |count, _| {
                if count < before + 2 {
                    failure()
                } else {
                    Act::Accept
                }
            });
            steady.always(Act::Accept);
            let answer = gateway.send(call(LONG)).await.expect("accepted");
            let told = id(answer.metadata());
            assert!(failing.calls().len() >= before + 3);
            let ids: BTreeSet<_> = failing.ids()[before..]
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(ids, BTreeSet::from([told]));
            assert_eq!(steady.calls().len(), steady_before + 1);
        }
    }
}

#[tokio::test]
async fn a_writer_that_comes_up_meanwhile_gets_the_tweet() {
    let rabbitmq = Upstream::start().await;
    let address = free_port().await;
    let gateway = Running::start(&url(address), &rabbitmq.url(), &[]).await;
    let sent = gateway.send(call(LONG));
    tokio::pin!(sent);
    tokio::select! {
        answer = &mut sent => panic!("{answer:?}"),
        () = rabbitmq.received(1) => {}
    }
    let kafka = Upstream::start_at(address).await;
    let answer = sent.await.expect("accepted");
    assert_eq!(kafka.ids()[0].to_string(), id(answer.metadata()));
    assert_eq!(rabbitmq.calls().len(), 1);
}

#[tokio::test]
async fn a_tweet_that_found_neither_writer_is_not_counted() {
    let (kafka, rabbitmq) = (free_port().await, free_port().await);
    let gateway = Running::start(&url(kafka), &url(rabbitmq), &[]).await;
    let status = gateway.send(call(SHORT)).await.unwrap_err();
    assert_failed(&status, Code::Unavailable, Fate::NotCounted);
}

#[tokio::test]
async fn a_tweet_that_one_writer_has_is_maybe_counted_when_the_other_stays_away() {
    let writer = Upstream::start().await;
    let away = url(free_port().await);
    let there = writer.url();
    for (kafka, rabbitmq) in [(&away, &there), (&there, &away)] {
        let gateway = Running::start(kafka, rabbitmq, &[]).await;
        let status = gateway.send(call(SHORT)).await.unwrap_err();
        assert_failed(&status, Code::Unavailable, Fate::MaybeCounted);
    }
    assert_eq!(writer.calls().len(), 2, "never sent twice");
}

#[tokio::test]
async fn a_writer_that_never_answers_costs_the_callers_time_and_no_more() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    kafka.always(Act::Silence);
    // The call's own timeout is the only thing that ends it: the default would be beyond patience.
    let status = gateway.send(call(SHORT)).await.unwrap_err();
    assert_failed(&status, Code::DeadlineExceeded, Fate::MaybeCounted);
    for writer in [&kafka, &rabbitmq] {
        let timeout = writer.calls()[0].timeout.clone().expect("a timeout");
        let (value, unit) = timeout.split_at(timeout.len() - 1);
        let nanos = match unit {
            "m" => 1_000_000,
            "u" => 1_000,
            "n" => 1,
            _ => panic!("{timeout} is more than was left"),
        };
        let left = Duration::from_nanos(value.parse::<u64>().unwrap() * nanos);
        assert!(left < SHORT, "{timeout} is more than was left");
    }
}

#[tokio::test]
async fn a_writer_that_is_overloaded_to_the_end_is_told_with_the_fate_of_both() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    kafka.always(refusal(Code::ResourceExhausted));
    let status = gateway.send(call(SHORT)).await.unwrap_err();
    assert_failed(&status, Code::ResourceExhausted, Fate::MaybeCounted);
    assert!(kafka.calls().len() > 1 && rabbitmq.calls().len() == 1);
    rabbitmq.always(refusal(Code::ResourceExhausted));
    let status = gateway.send(call(SHORT)).await.unwrap_err();
    assert_failed(&status, Code::ResourceExhausted, Fate::NotCounted);
}

#[tokio::test]
async fn what_a_retry_cannot_mend_is_not_retried() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for code in [
        Code::InvalidArgument,
        Code::Internal,
        Code::FailedPrecondition,
        Code::PermissionDenied,
    ] {
        let (before, other) = (kafka.calls().len(), rabbitmq.calls().len());
        kafka.always(refusal(code));
        let status = gateway.send(call(LONG)).await.unwrap_err();
        // The other path has it.
        assert_failed(&status, code, Fate::MaybeCounted);
        assert_eq!(kafka.calls().len(), before + 1, "{code:?}");
        assert_eq!(rabbitmq.calls().len(), other + 1, "{code:?}");
    }
}
