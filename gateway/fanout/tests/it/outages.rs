//! Both paths, or one, or none.

use std::time::Duration;

use clima_proto::fate::Fate;
use clima_testing::{Reserved, Silent, Wire, until_true};
use tonic::{Code, Status};

use crate::gateway::{LONG, Running, assert_status, id, numbered};

const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn each_writer_gets_an_accepted_tweet_once_and_with_the_id_that_the_client_is_told() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(gateway.send(LONG).await.unwrap());
    }
    assert_eq!(kafka.ids(), told);
    assert_eq!(rabbitmq.ids(), told);
    assert_eq!(kafka.events(), rabbitmq.events());
}

#[tokio::test]
async fn ok_waits_for_the_slower_writer() {
    for slow_is_kafka in [true, false] {
        let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
        let (slow, fast) = if slow_is_kafka {
            (&kafka, &rabbitmq)
        } else {
            (&rabbitmq, &kafka)
        };
        slow.hold();
        let mut answer = std::pin::pin!(gateway.send(LONG));
        let arrived = async {
            until_true("both writers to have it", || {
                slow.events().len() == 1 && fast.events().len() == 1
            })
            .await;
            // The fast one has answered by the time that a second tweet is through to it.
            let second = gateway.ingest(vec![numbered(9)], Duration::from_millis(300));
            drop(second.await);
        };
        tokio::select! {
            early = &mut answer => panic!("answered with one writer: {early:?}"),
            () = arrived => {}
        }
        slow.release();
        answer.await.unwrap();
    }
}

#[tokio::test]
async fn a_writer_that_is_down_is_tried_again_while_the_other_keeps_its_one_copy() {
    let (kafka, rabbitmq) = (clima_testing::Endpoint::start(), Reserved::new());
    let gateway = Running::between(&kafka.url(), &rabbitmq.url(), &[]).await;
    let (answer, rabbitmq) = tokio::join!(gateway.send(LONG), async {
        until_true("the other writer to have it", || kafka.events().len() == 1).await;
        rabbitmq.start()
    });
    let id = answer.unwrap();
    assert_eq!(kafka.ids(), [id]);
    assert_eq!(rabbitmq.ids(), [id]);
}

#[tokio::test]
async fn with_no_writer_in_reach_nothing_is_counted() {
    let (kafka, rabbitmq) = (Reserved::new(), Reserved::new());
    let gateway = Running::between(&kafka.url(), &rabbitmq.url(), &[]).await;
    let status = gateway.send(SHORT).await.unwrap_err();
    assert_status(&status, Code::Unavailable, Fate::NotCounted);
    assert!(status.metadata().get("clima-tweet-id").is_some());
    let outcomes = gateway
        .ingest(vec![numbered(1), numbered(2)], SHORT)
        .await
        .unwrap();
    for outcome in outcomes {
        assert_status(&outcome.unwrap_err(), Code::Unavailable, Fate::NotCounted);
    }
}

#[tokio::test]
async fn with_one_writer_out_of_reach_the_other_path_may_count() {
    let (up, down) = (clima_testing::Endpoint::start(), Reserved::new());
    for (kafka, rabbitmq) in [(up.url(), down.url()), (down.url(), up.url())] {
        let gateway = Running::between(&kafka, &rabbitmq, &[]).await;
        let before = up.events().len();
        let status = gateway.send(SHORT).await.unwrap_err();
        assert_status(&status, Code::Unavailable, Fate::MaybeCounted);
        assert_eq!(up.events().len(), before + 1);
    }
}

#[tokio::test]
async fn a_writer_that_never_answers_may_have_counted() {
    let (kafka, rabbitmq) = (Reserved::new(), Silent::start().await);
    let gateway = Running::between(&kafka.url(), &rabbitmq.url(), &[]).await;
    let outcome = gateway.ingest(vec![numbered(1)], SHORT).await;
    let status = outcome
        .and_then(|mut outcomes| outcomes.remove(0))
        .unwrap_err();
    assert_eq!(Fate::of(&status), Fate::MaybeCounted, "{status:?}");
}

#[tokio::test]
async fn a_call_that_was_reset_is_repeated_with_its_id_and_may_have_been_counted_ever_after() {
    let (kafka, rabbitmq) = (
        clima_testing::Endpoint::start(),
        clima_testing::Endpoint::start(),
    );
    let wire = Wire::to(rabbitmq.address()).await;
    let gateway = Running::between(&kafka.url(), &wire.url(), &[]).await;
    kafka.answer(|_, _| Err(Fate::NotCounted.status(Code::Unavailable, "no broker")));
    rabbitmq.hold();
    let (outcomes, ()) = tokio::join!(gateway.ingest(vec![numbered(1)], 3 * SHORT), async {
        until_true("the event to arrive", || rabbitmq.ids().len() == 1).await;
        rabbitmq.answer(|_, _| Err(Fate::NotCounted.status(Code::Unavailable, "no broker")));
        wire.reset();
        rabbitmq.release();
    });
    let status = outcomes.unwrap().remove(0).unwrap_err();
    assert_eq!(Fate::of(&status), Fate::MaybeCounted, "{status:?}");
    assert!(rabbitmq.ids().len() > 1);
    assert!(rabbitmq.ids().iter().all(|seen| *seen == id(1)));
}

#[tokio::test]
async fn overload_of_a_writer_is_retried_and_a_tweet_that_is_wrong_is_not() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for code in [
        Code::ResourceExhausted,
        Code::Unavailable,
        Code::Aborted,
        Code::DeadlineExceeded,
    ] {
        let before = (kafka.ids().len(), rabbitmq.ids().len());
        rabbitmq.answer(move |seen, _| match seen {
            0 | 1 => Err(Fate::NotCounted.status(code, "not yet")),
            _ => Ok(()),
        });
        gateway.send(LONG).await.unwrap();
        let after = (kafka.ids().len(), rabbitmq.ids().len());
        assert_eq!(after, (before.0 + 1, before.1 + 3), "{code:?}");
    }
    for code in [
        Code::InvalidArgument,
        Code::FailedPrecondition,
        Code::Internal,
    ] {
        let before = (kafka.ids().len(), rabbitmq.ids().len());
        rabbitmq.answer(move |_, _| Err(Fate::NotCounted.status(code, "never")));
        let status = gateway.send(LONG).await.unwrap_err();
        assert_status(&status, code, Fate::MaybeCounted);
        let after = (kafka.ids().len(), rabbitmq.ids().len());
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{code:?}");
    }
    // Where both refuse, and say so, nothing is counted.
    kafka.answer(|_, _| Err(Fate::NotCounted.status(Code::InvalidArgument, "never")));
    let status = gateway.send(LONG).await.unwrap_err();
    assert_status(&status, Code::InvalidArgument, Fate::NotCounted);
}

#[tokio::test]
async fn words_of_a_writers_internal_error_are_not_shown() {
    let (gateway, _kafka, rabbitmq) = Running::with_writers(&[]).await;
    rabbitmq.answer(|_, _| Err(Status::internal("amqp://clima:hunter2@10.0.0.7")));
    let status = gateway.send(LONG).await.unwrap_err();
    assert_status(&status, Code::Internal, Fate::MaybeCounted);
    assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
    rabbitmq.fail(Status::unavailable("amqp://clima:hunter2@10.0.0.7"));
    let status = gateway.send(SHORT).await.unwrap_err();
    assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
}

#[tokio::test]
async fn the_time_that_is_left_is_passed_on_and_kept() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    rabbitmq.hold();
    let status = gateway.send(SHORT).await.unwrap_err();
    assert_eq!(Fate::of(&status), Fate::MaybeCounted, "{status:?}");
    for writer in [&kafka, &rabbitmq] {
        let limit = writer.calls()[0].timeout.clone().unwrap();
        let nanos = match limit.split_at(limit.len() - 1) {
            (value, "n") => value.parse::<u64>().unwrap(),
            (value, "u") => value.parse::<u64>().unwrap() * 1_000,
            (value, "m") => value.parse::<u64>().unwrap() * 1_000_000,
            _ => panic!("{limit} is longer than what was asked"),
        };
        assert!(
            nanos <= 450_000_000,
            "{limit} leaves nothing for the way back"
        );
    }
}
