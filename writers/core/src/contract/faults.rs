//! What holds while the broker is not well, or the writer ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clima_proto::fate::Fate;
use futures::future::join_all;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::calls::{Answer, Client, tweet};
use super::{Broker, ids};

const PLENTY: u32 = 4_096;

/// Whatever was OK is there after a crash of the broker, whatever was told to be NOT_COUNTED is not, and the
/// writer goes on by itself.
pub async fn a_killed_broker_loses_nothing_that_was_ok(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    let (done, accepted_by_now) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = join_all((0..16).map(|_| async {
        let mut answers: Vec<Answer> = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let answer = client.send_within(tweet(40), Duration::from_secs(3)).await;
            if answer.is_ok() {
                accepted_by_now.fetch_add(1, Ordering::SeqCst);
            } else {
                // A refusal is immediate while there is no connection.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            answers.push(answer);
        }
        answers
    }));
    let more = async |tweets| {
        let goal = accepted_by_now.load(Ordering::SeqCst) + tweets;
        while accepted_by_now.load(Ordering::SeqCst) < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let crash = async {
        more(300).await;
        broker.kill().await;
        broker.start().await;
        more(300).await;
        done.store(true, Ordering::SeqCst);
    };
    let (answers, ()) = tokio::join!(load, crash);
    let published = ids(&broker.published().await);
    let mut accepted = BTreeSet::new();
    for answer in answers.into_iter().flatten() {
        match answer {
            Ok(id) => {
                accepted.insert(id);
            }
            Err((status, Some(id))) if Fate::of(&status) == Fate::NotCounted => {
                assert!(!published.contains(&id), "{id} is there: {status:?}");
            }
            Err(_) => {}
        }
    }
    let lost: Vec<_> = accepted.difference(&published).collect();
    assert!(lost.is_empty(), "lost {lost:?} of {}", accepted.len());
}

/// A writer that is started before its broker refuses honestly, and is of use once the broker is there.
pub async fn a_writer_that_starts_before_its_broker_works_once_that_is_there(broker: &impl Broker) {
    broker.kill().await;
    let client = Client::of(&broker.start_writer(PLENTY).await);
    let answer = client.send_within(tweet(4), Duration::from_secs(1)).await;
    assert!(answer.is_err(), "accepted by a broker that is not there");
    broker.start().await;
    let id = client.send_until_accepted().await;
    assert!(ids(&broker.published().await).contains(&id));
}

/// Readiness says that the broker was reached once. Every writer has the same broker, so taking one out of service
/// when that is away would help nobody, and it would come back later than the broker.
pub async fn a_writer_is_in_service_once_its_broker_was_reached_and_stays_so(broker: &impl Broker) {
    broker.kill().await;
    let client = Client::of(&broker.start_writer(PLENTY).await);
    let answer = client.send_within(tweet(4), Duration::from_secs(1)).await;
    assert!(answer.is_err(), "accepted by a broker that is not there");
    assert!(!client.serving().await);
    broker.start().await;
    client.send_until_accepted().await;
    let serving = async {
        while !client.serving().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let serving = tokio::time::timeout(Duration::from_secs(30), serving).await;
    assert!(
        serving.is_ok(),
        "not in service with a broker that is there"
    );
    broker.kill().await;
    let answer = client.send_within(tweet(5), Duration::from_secs(1)).await;
    assert!(answer.is_err(), "accepted by a broker that is not there");
    assert!(client.serving().await);
    broker.start().await;
    client.send_until_accepted().await;
}

/// A broker that does not answer leaves the caller in doubt, at the caller's deadline, and says so.
pub async fn a_stalled_broker_makes_tweets_ambiguous_at_their_deadline(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(PLENTY).await);
    client.send_until_accepted().await;
    broker.pause().await;
    let answer = client.send_within(tweet(2), Duration::from_secs(1)).await;
    broker.resume().await;
    let Err((status, _)) = answer else {
        panic!("accepted by a broker that is stopped")
    };
    assert_eq!(Fate::of(&status), Fate::MaybeCounted, "{status:?}");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    client.send_until_accepted().await;
}

/// Overload is refused early and clearly, never queued without bound.
pub async fn more_than_the_limit_in_flight_is_refused_at_once(broker: &impl Broker) {
    let client = Client::of(&broker.start_writer(4).await);
    client.send_until_accepted().await;
    broker.pause().await;
    let time = Duration::from_secs(2);
    let answers = join_all((0..8).map(|_| client.send_within(tweet(3), time))).await;
    broker.resume().await;
    let refusals: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .filter(|(status, _)| status.code() == Code::ResourceExhausted)
        .collect();
    assert_eq!(refusals.len(), 4, "{answers:?}");
    for (status, _) in refusals {
        assert_eq!(Fate::of(status), Fate::NotCounted);
        assert!(status.get_details_retry_info().is_some());
    }
}

/// A writer that is asked to stop finishes what it has begun.
pub async fn a_draining_writer_answers_what_is_in_flight(broker: &impl Broker) {
    let writer = broker.start_writer(PLENTY).await;
    let client = Client::of(&writer);
    client.send_until_accepted().await;
    broker.pause().await;
    let in_flight = join_all((0..20).map(|n| client.send(tweet(n))));
    let stop = async {
        writer.shutdown.cancel();
        broker.resume().await;
    };
    let (answers, ()) = tokio::join!(in_flight, stop);
    let accepted: BTreeSet<_> = answers
        .iter()
        .filter_map(|a| a.as_ref().ok())
        .copied()
        .collect();
    // A call that the closing connection no longer took has an error of the transport; the others have theirs
    // from the writer, and what was OK is there.
    assert!(ids(&broker.published().await).is_superset(&accepted));
    match writer.ended.await {
        Ok(outcome) => assert!(outcome.is_ok(), "{outcome:?}"),
        Err(error) => panic!("{error}"),
    }
}
