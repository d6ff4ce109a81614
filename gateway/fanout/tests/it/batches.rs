//! Tweets travel together only when they have to wait anyway.

use clima_proto::fate::{self, Fate};
use clima_testing::upstream::Act;
use clima_testing::wait::until;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tonic::Code;

use super::gateway::{LONG, Running, call, events};

#[tokio::test]
async fn a_lone_tweet_goes_alone() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for _ in 0..10 {
        gateway.send(call(LONG)).await.expect("accepted");
    }
    for writer in [&kafka, &rabbitmq] {
        let sizes: Vec<_> = writer
            .calls()
            .iter()
            .map(|call| call.events.len())
            .collect();
        assert_eq!(sizes, [1; 10]);
    }
}

#[tokio::test]
async fn while_a_writer_is_slow_tweets_gather_there_and_go_together() {
    /// Calls in flight to one writer.
    const LANES: i32 = 8;
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    kafka.always(Act::Hold);
    // One after the other, so that each finds an idle lane.
    let mut first = FuturesUnordered::new();
    for (calls, humidity) in (1..).zip(0..LANES) {
        first.push(gateway.ingest(events([humidity]), LONG));
        tokio::select! {
            Some(answer) = first.next() => panic!("{answer:?}"),
            () = kafka.received(calls) => {}
        }
    }
    let gathering = gateway.ingest(events(LANES..100), LONG);
    tokio::pin!(gathering);
    let passed = until("the other writer to have all", async || {
        (rabbitmq.ids().len() == 100).then_some(())
    });
    tokio::select! {
        answer = &mut gathering => panic!("{answer:?}"),
        Some(answer) = first.next() => panic!("{answer:?}"),
        () = passed => {}
    }
    let sizes = || {
        kafka
            .calls()
            .iter()
            .map(|call| call.events.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(), [1; 8], "what follows waits for a lane");
    kafka.release(100);
    let (first, gathered) = tokio::join!(first.collect::<Vec<_>>(), gathering);
    assert!(
        first
            .into_iter()
            .flat_map(Result::unwrap)
            .all(|status| status.code == 0)
    );
    assert!(gathered.unwrap().iter().all(|status| status.code == 0));
    assert_eq!(sizes()[8..], [92], "one lane takes all that has gathered");
}

#[tokio::test]
async fn the_largest_batch_passes_and_each_event_reaches_each_writer_once() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let mut batch: Vec<_> = (0..1_024).map(|_| events([60]).remove(0)).collect();
    for (sequence, event) in (0..).zip(&mut batch) {
        event.sequence = sequence;
    }
    let statuses = gateway.ingest(batch, LONG).await.expect("an answer");
    assert!(statuses.len() == 1_024 && statuses.iter().all(|status| status.code == 0));
    for writer in [&kafka, &rabbitmq] {
        let mut sequences: Vec<_> = writer.ids().iter().map(|id| id.sequence()).collect();
        sequences.sort_unstable();
        assert!(sequences.into_iter().eq(0..1_024));
    }
}

#[tokio::test]
async fn of_a_batch_beyond_what_may_be_in_flight_only_the_excess_is_refused() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&["--max-in-flight=4"]).await;
    let statuses = gateway
        .ingest(events(0..10), LONG)
        .await
        .expect("an answer");
    for (index, status) in statuses.iter().enumerate() {
        match fate::from_message(status) {
            Ok(()) => assert!(index < 4),
            Err(refusal) => {
                assert!(index >= 4, "{index}: {refusal:?}");
                assert_eq!(refusal.code(), Code::ResourceExhausted);
                assert_eq!(Fate::of(&refusal), Fate::NotCounted);
            }
        }
    }
    assert_eq!((kafka.ids().len(), rabbitmq.ids().len()), (4, 4));
}
