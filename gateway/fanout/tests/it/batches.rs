//! Batches: what goes together, and what each event is told.

use clima_proto::fate::Fate;
use clima_testing::until_true;
use futures::future::join_all;
use tonic::Code;

use crate::gateway::{LONG, Running, assert_status, id, numbered};

#[tokio::test]
async fn each_event_of_a_batch_has_its_own_outcome() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    kafka.answer(|_, event| match event.sequence {
        2 => Err(Fate::NotCounted.status(Code::InvalidArgument, "kafka says no")),
        _ => Ok(()),
    });
    rabbitmq.answer(|seen, event| match (event.sequence, seen) {
        (3, _) => Err(Fate::NotCounted.status(Code::InvalidArgument, "rabbitmq says no")),
        (4, 0) => Err(Fate::MaybeCounted.status(Code::Unavailable, "not confirmed")),
        _ => Ok(()),
    });
    let mut unfit = numbered(5);
    unfit.source.pop();
    let mut empty = numbered(6);
    empty.tweet = None;
    let mut newer = numbered(7);
    newer.schema_version += 1;
    let events = vec![
        numbered(1),
        numbered(2),
        unfit,
        numbered(3),
        empty,
        numbered(4),
        newer,
    ];

    let outcomes = gateway.ingest(events, LONG).await.unwrap();
    let wrong = |outcome: &Result<(), tonic::Status>, fate| {
        assert_status(outcome.as_ref().unwrap_err(), Code::InvalidArgument, fate);
    };
    assert_eq!(outcomes.len(), 7);
    assert!(outcomes[0].is_ok() && outcomes[5].is_ok(), "{outcomes:?}");
    wrong(&outcomes[1], Fate::MaybeCounted);
    wrong(&outcomes[3], Fate::MaybeCounted);
    for never_left in [2, 4, 6] {
        wrong(&outcomes[never_left], Fate::NotCounted);
    }
    let mut seen = kafka.ids();
    seen.sort();
    assert_eq!(seen, [1, 2, 3, 4].map(id));
    let mut seen = rabbitmq.ids();
    seen.sort();
    assert_eq!(seen, [1, 2, 3, 4, 4].map(id));
}

#[tokio::test]
async fn a_batch_has_1_to_1024_events() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for size in [0, 1_025] {
        let events = (0..size).map(numbered).collect();
        let status = gateway.ingest(events, LONG).await.unwrap_err();
        assert_status(&status, Code::InvalidArgument, Fate::NotCounted);
    }
    assert!(kafka.calls().is_empty() && rabbitmq.calls().is_empty());
    let events = (0..1_024).map(numbered).collect();
    let outcomes = gateway.ingest(events, LONG).await.unwrap();
    assert!(outcomes.len() == 1_024 && outcomes.iter().all(Result::is_ok));
    for writer in [kafka, rabbitmq] {
        let mut ids = writer.ids();
        ids.sort();
        assert_eq!(ids, (0..1_024).map(id).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn more_tweets_than_may_be_in_flight_are_refused_and_the_rest_is_not() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&["--max-in-flight", "4"]).await;
    kafka.hold();
    let events = (0..10).map(numbered).collect();
    let (outcomes, ()) = tokio::join!(gateway.ingest(events, LONG), async {
        until_true("four in flight", || kafka.events().len() == 4).await;
        let status = gateway.send(LONG).await.unwrap_err();
        assert_status(&status, Code::ResourceExhausted, Fate::NotCounted);
        kafka.release();
    });
    let outcomes = outcomes.unwrap();
    assert!(outcomes[..4].iter().all(Result::is_ok), "{outcomes:?}");
    for refused in &outcomes[4..] {
        let status = refused.as_ref().unwrap_err();
        assert_status(status, Code::ResourceExhausted, Fate::NotCounted);
    }
    assert_eq!((kafka.ids().len(), rabbitmq.ids().len()), (4, 4));
    gateway.send(LONG).await.unwrap();
}

#[tokio::test]
async fn with_idle_writers_a_lone_tweet_goes_at_once_and_alone() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for sent in 1..=10 {
        gateway.send(LONG).await.unwrap();
        for writer in [&kafka, &rabbitmq] {
            assert_eq!(writer.calls().len(), sent);
            assert_eq!(writer.calls()[sent - 1].events.len(), 1);
        }
    }
}

#[tokio::test]
async fn while_a_writer_is_slow_tweets_gather_and_go_together() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    kafka.hold();
    // Calls in flight to one writer; one at a time, so that each finds an idle lane.
    let mut first = Vec::new();
    for number in 0..8 {
        let gateway = gateway.internal.clone();
        first.push(tokio::spawn(crate::gateway::ingest_one(
            gateway,
            numbered(number),
        )));
        let calls = usize::try_from(number).unwrap() + 1;
        until_true("a call for each", || kafka.calls().len() == calls).await;
    }
    let events = (8..108).map(numbered).collect();
    let (outcomes, ()) = tokio::join!(gateway.ingest(events, LONG), async {
        // RabbitMQ is idle: the tweets pass there, and wait at Kafka.
        until_true("all at the idle writer", || rabbitmq.ids().len() == 108).await;
        assert_eq!(kafka.calls().len(), 8);
        kafka.release();
    });
    assert!(outcomes.unwrap().iter().all(Result::is_ok));
    assert!(
        join_all(first)
            .await
            .into_iter()
            .all(|outcome| outcome.unwrap().is_ok())
    );
    let sizes: Vec<_> = kafka.calls().iter().map(|call| call.events.len()).collect();
    assert_eq!(sizes[..8], [1; 8]);
    assert_eq!(sizes.iter().sum::<usize>(), 108);
    assert!(
        sizes[8] == 100,
        "what waited for one lane goes in one call: {sizes:?}"
    );
}
