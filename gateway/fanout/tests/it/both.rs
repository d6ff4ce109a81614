//! Each accepted tweet reaches both writers, under one id.

use std::collections::BTreeSet;

use clima_proto::event::SCHEMA_VERSION;
use clima_proto::fate::Fate;
use clima_testing::upstream::Act;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::gateway::{LONG, Running, call, events, id, tweet};

#[tokio::test]
async fn both_writers_get_each_tweet_once_under_the_id_that_the_client_is_told() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let answer = gateway.send(call(LONG)).await.expect("accepted");
        told.push(id(answer.metadata()));
        assert_eq!(answer.into_inner().status, "accepted");
    }
    for writer in [&kafka, &rabbitmq] {
        let ids: Vec<_> = writer.ids().iter().map(ToString::to_string).collect();
        assert_eq!(ids, told);
        assert_eq!(writer.calls()[0].events[0].tweet, Some(tweet(60)));
    }
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[tokio::test]
async fn ok_waits_for_both_writers() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for (slow, quick) in [(&kafka, &rabbitmq), (&rabbitmq, &kafka)] {
        slow.always(Act::Hold);
        quick.always(Act::Accept);
        let (slow_before, quick_before) = (slow.calls().len(), quick.calls().len());
        let sent = gateway.send(call(LONG));
        tokio::pin!(sent);
        tokio::select! {
            answer = &mut sent => panic!("answered before both had it: {answer:?}"),
            () = async {
                slow.received(slow_before + 1).await;
                quick.received(quick_before + 1).await;
            } => {}
        }
        slow.release(1);
        assert!(sent.await.is_ok());
    }
}

#[tokio::test]
async fn an_event_keeps_its_id_on_the_internal_port() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let sent = events(0..50);
    let statuses = gateway.ingest(sent.clone(), LONG).await.expect("an answer");
    assert!(statuses.len() == 50 && statuses.iter().all(|status| status.code == 0));
    for writer in [&kafka, &rabbitmq] {
        let mut got: Vec<_> = writer
            .calls()
            .into_iter()
            .flat_map(|call| call.events)
            .collect();
        got.sort_by_key(|event| event.sequence);
        assert_eq!(got, sent);
    }
}

#[tokio::test]
async fn a_mixed_batch_is_answered_item_by_item_in_order() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let refuse = |odd: i32| {
        move |_: usize, events: &[clima_proto::clima::v1::TweetEvent]| {
            let outcome = |event: &clima_proto::clima::v1::TweetEvent| {
                if event.tweet.unwrap().humidity == odd {
                    Err(Fate::NotCounted.status(Code::InvalidArgument, "not this one"))
                } else {
                    Ok(())
                }
            };
            Act::Items(events.iter().map(outcome).collect())
        }
    };
    kafka.script(refuse(3));
    rabbitmq.script(refuse(5));
    let mut batch = events(0..8);
    batch[1].source = vec![1, 2, 3];
    batch[6].tweet = Some(tweet(101));
    batch[7].tweet = None;
    let statuses = gateway.ingest(batch, LONG).await.expect("an answer");
    let codes: Vec<_> = statuses.iter().map(|status| status.code).collect();
    assert_eq!(codes, [0, 3, 0, 3, 0, 3, 3, 3]);
    for (index, fate) in [
        // What is not valid leaves for neither writer; what one refuses, the other has.
        (1, Fate::NotCounted),
        (3, Fate::MaybeCounted),
        (5, Fate::MaybeCounted),
        (6, Fate::NotCounted),
        (7, Fate::NotCounted),
    ] {
        let status = clima_proto::fate::from_message(&statuses[index]).unwrap_err();
        assert_eq!(Fate::of(&status), fate, "{index}: {status:?}");
    }
    for writer in [&kafka, &rabbitmq] {
        let mut sequences: Vec<_> = writer.ids().iter().map(|id| id.sequence()).collect();
        sequences.sort_unstable();
        assert_eq!(sequences, [0, 2, 3, 4, 5], "each once");
    }
}

#[tokio::test]
async fn an_event_of_a_newer_build_is_not_called_wrong_and_leaves_for_neither_writer() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let mut batch = events(0..2);
    batch[0].schema_version = SCHEMA_VERSION + 1;
    let statuses = gateway.ingest(batch, LONG).await.expect("an answer");
    // To be sent again: another replica may know it, or this one when it has been upgraded.
    let refusal = clima_proto::fate::from_message(&statuses[0]).unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);
    assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    assert!(refusal.get_details_retry_info().is_some());
    assert_eq!(statuses[1].code, 0);
    for writer in [&kafka, &rabbitmq] {
        assert_eq!(writer.ids().len(), 1);
    }
}

#[tokio::test]
async fn a_batch_of_none_or_too_many_is_refused_as_a_whole() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for count in [0, 1_025] {
        let batch = vec![events([1])[0].clone(); count];
        let refusal = gateway.ingest(batch, LONG).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    }
    assert!(kafka.calls().is_empty() && rabbitmq.calls().is_empty());
}

#[tokio::test]
async fn a_wrong_tweet_is_refused_with_all_violations_before_anything_leaves() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    let mut request = Request::new(tweet(101));
    request.get_mut().municipality = 99;
    let metadata = request.metadata_mut();
    metadata.append("idempotency-key", "a".parse().unwrap());
    metadata.append("idempotency-key", "b".parse().unwrap());
    let refusal = gateway.send(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    let violations = refusal.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations
        .iter()
        .map(|found| found.field.as_str())
        .collect();
    assert_eq!(fields, ["municipality", "humidity", "idempotency-key"]);
    assert!(kafka.calls().is_empty() && rabbitmq.calls().is_empty());
}

#[tokio::test]
async fn the_same_key_and_content_are_one_tweet_and_an_id_is_never_taken_from_a_client() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let forged = format!("{}-7", "ab".repeat(16));
    let mut told = Vec::new();
    for (key, humidity) in [("k", 60), ("k", 60), ("k", 61), ("l", 60)] {
        let mut request = Request::new(tweet(humidity));
        let metadata = request.metadata_mut();
        metadata.insert("idempotency-key", key.parse().unwrap());
        metadata.insert("clima-tweet-id", forged.parse().unwrap());
        let answer = gateway.send(request).await.expect("accepted");
        told.push(id(answer.metadata()));
    }
    assert_eq!(told[0], told[1]);
    let distinct: BTreeSet<_> = told.iter().collect();
    assert!(distinct.len() == 3 && !distinct.contains(&forged));
    let seen: Vec<_> = kafka.ids().iter().map(ToString::to_string).collect();
    assert_eq!(seen, told);
}

#[tokio::test]
async fn a_tweet_beyond_those_in_flight_is_refused_at_once() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&["--max-in-flight=2"]).await;
    kafka.always(Act::Hold);
    let waiting = gateway.ingest(events(0..2), LONG);
    tokio::pin!(waiting);
    tokio::select! {
        answer = &mut waiting => panic!("{answer:?}"),
        () = kafka.received(1) => {}
    }
    let refusal: Status = gateway.send(call(LONG)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    assert!(refusal.get_details_retry_info().is_some());
    kafka.release(10);
    assert!(waiting.await.is_ok());
    assert!(gateway.send(call(LONG)).await.is_ok());
}
