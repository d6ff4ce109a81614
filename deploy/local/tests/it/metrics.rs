//! What the metrics of the six running services tell, and that the documentation tells the same.

use std::collections::BTreeMap;

use clima_local::load::{Load, Until};
use clima_local::{Part, Stack};

use crate::block::{self, Block};
use crate::exposition::{Exposition, table};
use crate::http::ask;
use crate::shared::{drained, stack};
use crate::wait::until;

const CONSUMERS: [Part; 2] = [Part::ConsumerKafka, Part::ConsumerRabbitmq];
const LAG: &str = "clima_consumer_lag_records";
const AGE: &str = "clima_consumer_oldest_unacknowledged_age_seconds";

async fn scrape(stack: &Stack) -> BTreeMap<Part, Exposition> {
    let mut scraped = BTreeMap::new();
    for part in Part::SERVICES {
        scraped.insert(part, Exposition::of(stack, part).await);
    }
    scraped
}

async fn send(stack: &Stack, tweets: u64) {
    let load = Load {
        address: stack.address(Part::Rest),
        clients: 10,
        until: Until::Requests(tweets),
        keys: false,
    };
    let load = load.run().await;
    assert_eq!(load.accepted_count(), tweets, "{load}");
}

/// Waits until the consumer's metrics are as they should be.
async fn until_both(stack: &Stack, what: &str, holds: impl Fn(&Exposition) -> bool) {
    for part in CONSUMERS {
        until(&format!("{part}: {what}"), async || {
            holds(&Exposition::of(stack, part).await).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_documented_metrics_are_those_of_the_running_services() {
    let stack = stack().await;
    until_both(&stack, "the lag is known", |metrics| metrics.has(LAG)).await;
    let found = table(&scrape(&stack).await);
    if let Err(stale) = block::check("metrics.md", vec![Block::new("metrics", found)]) {
        panic!("{stale}; `make docs` writes docs/metrics.md anew");
    }
}

#[tokio::test]
async fn a_tweet_is_one_in_the_counters_of_every_stage() {
    let stack = stack().await;
    drained(&stack).await;
    let before = scrape(&stack).await;
    send(&stack, 1_000).await;
    drained(&stack).await;
    let after = scrape(&stack).await;
    let grown = |part: Part, name: &str| after[&part].sum(name, &[]) - before[&part].sum(name, &[]);
    for part in [
        Part::Rest,
        Part::Gateway,
        Part::WriterKafka,
        Part::WriterRabbitmq,
    ] {
        assert_eq!(
            grown(part, "clima_tweets_accepted_total"),
            1_000.0,
            "{part}"
        );
        assert_eq!(grown(part, "clima_tweets_refused_total"), 0.0, "{part}");
        let latencies = grown(part, "clima_tweets_accept_latency_seconds_count");
        assert_eq!(latencies, 1_000.0, "{part}");
        assert_eq!(after[&part].sum("clima_tweets_in_flight", &[]), 0.0);
    }
    // Each neighbour holds connections of its own.
    for part in [Part::Gateway, Part::WriterKafka, Part::WriterRabbitmq] {
        let internal = ["port=\"internal grpc\""];
        let open = after[&part].sum("clima_grpc_connections", &internal);
        assert!(open >= 1.0, "{part}");
    }
    for (part, ways) in [(Part::Rest, 1.0), (Part::Gateway, 2.0)] {
        let sent = grown(part, "clima_ingest_batch_tweets_sum");
        assert_eq!(sent, ways * 1_000.0, "{part}");
        assert_eq!(grown(part, "clima_ingest_retries_total"), 0.0, "{part}");
    }
    for part in [Part::WriterKafka, Part::WriterRabbitmq] {
        assert_eq!(grown(part, "clima_publish_confirmed_total"), 1_000.0);
        assert_eq!(grown(part, "clima_publish_failed_total"), 0.0, "{part}");
    }
    for part in CONSUMERS {
        for name in [
            "clima_consumer_records_total",
            "clima_consumer_counted_total",
            "clima_consumer_batch_records_sum",
            "clima_consumer_accept_to_count_seconds_count",
        ] {
            assert_eq!(grown(part, name), 1_000.0, "{part} {name}");
        }
        assert_eq!(grown(part, "clima_consumer_duplicates_total"), 0.0);
    }
}

#[tokio::test]
async fn every_refusal_of_the_front_is_counted_by_status_code_and_fate() {
    let stack = stack().await;
    let front = stack.address(Part::Rest);
    let json = ["content-type: application/json"];
    let large = vec![b' '; 5_000];
    let long = format!("a: {}", "b".repeat(20_000));
    let before = Exposition::of(&stack, Part::Rest).await;
    for (status, answer) in [
        (400, ask(&front, "POST", "/v1/tweets", &json, b"{").await),
        (404, ask(&front, "POST", "/nowhere", &json, b"{}").await),
        (405, ask(&front, "GET", "/v1/tweets", &[], b"").await),
        (413, ask(&front, "POST", "/v1/tweets", &json, &large).await),
        (415, ask(&front, "POST", "/v1/tweets", &[], b"{}").await),
        (
            431,
            ask(&front, "POST", "/v1/tweets", &[&long], b"{}").await,
        ),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let after = Exposition::of(&stack, Part::Rest).await;
    let grown = |name: &str, labels: &[&str]| {
        let had = if before.has_series(name, labels) {
            before.sum(name, labels)
        } else {
            0.0
        };
        after.sum(name, labels) - had
    };
    for status in [400, 404, 405, 413, 415, 431] {
        let label = format!("status=\"{status}\"");
        assert_eq!(
            grown("clima_http_responses_total", &[&label]),
            1.0,
            "{label}"
        );
    }
    let not_counted = "fate=\"NOT_COUNTED\"";
    for (code, refusals) in [
        ("code=\"INVALID_ARGUMENT\"", 4.0),
        ("code=\"NOT_FOUND\"", 1.0),
        ("code=\"UNIMPLEMENTED\"", 1.0),
    ] {
        let refused = grown("clima_tweets_refused_total", &[code, not_counted]);
        assert_eq!(refused, refusals, "{code}");
    }
}

#[tokio::test]
async fn lag_and_age_grow_while_valkey_is_away_and_are_zero_after() {
    let stack = stack().await;
    drained(&stack).await;
    until_both(&stack, "nothing waits", |metrics| {
        metrics.has(LAG) && metrics.sum(LAG, &[]) == 0.0 && metrics.sum(AGE, &[]) == 0.0
    })
    .await;
    stack.kill(Part::Valkey).await.unwrap();
    send(&stack, 300).await;
    until_both(&stack, "300 tweets wait", |metrics| {
        metrics.sum(LAG, &[]) == 300.0 && metrics.sum(AGE, &[]) > 2.0
    })
    .await;
    for part in CONSUMERS {
        let metrics = Exposition::of(&stack, part).await;
        let first = metrics.sum(AGE, &[]);
        assert!(metrics.sum("clima_consumer_unacknowledged", &[]) >= 1.0);
        assert!(metrics.sum("clima_consumer_store_failures_total", &[]) > 0.0);
        let valkey = ["server=\"valkey\""];
        assert_eq!(metrics.sum("clima_connections", &valkey), 0.0, "{part}");
        // An outage is no reason to be unready.
        let ready = metrics.sum("clima_ready", &["part=\"valkey\""]);
        assert_eq!(ready, 1.0, "{part}");
        until(&format!("the age of {part} grows"), async || {
            let now = Exposition::of(&stack, part).await.sum(AGE, &[]);
            (now > first).then_some(())
        })
        .await;
    }
    stack.start_part(Part::Valkey).await.unwrap();
    drained(&stack).await;
    until_both(&stack, "nothing waits any more", |metrics| {
        metrics.sum(LAG, &[]) == 0.0 && metrics.sum(AGE, &[]) == 0.0
    })
    .await;
}

#[tokio::test]
async fn connections_come_back_after_a_kill_of_each_broker() {
    let stack = stack().await;
    for (broker, server, writer, consumer) in [
        (Part::Kafka, "kafka", Part::WriterKafka, Part::ConsumerKafka),
        (
            Part::Rabbitmq,
            "rabbitmq",
            Part::WriterRabbitmq,
            Part::ConsumerRabbitmq,
        ),
    ] {
        let server = format!("server=\"{server}\"");
        let up = async |part: Part, purpose: &str| {
            let purpose = format!("purpose=\"{purpose}\"");
            let metrics = Exposition::of(&stack, part).await;
            metrics.sum("clima_connections", &[&server, &purpose])
        };
        let all = [
            (writer, "publish"),
            (consumer, "consume"),
            (consumer, "dead_letters"),
        ];
        for (part, purpose) in all {
            until(&format!("{part} is connected to {purpose}"), async || {
                (up(part, purpose).await >= 1.0).then_some(())
            })
            .await;
        }
        stack.kill(broker).await.unwrap();
        for (part, purpose) in all {
            until(&format!("{part} misses {purpose}"), async || {
                (up(part, purpose).await == 0.0).then_some(())
            })
            .await;
            let ready = Exposition::of(&stack, part).await.sum("clima_ready", &[]);
            assert!(ready >= 1.0, "{part}");
        }
        stack.start_part(broker).await.unwrap();
        for (part, purpose) in all {
            until(&format!("{part} is back to {purpose}"), async || {
                (up(part, purpose).await >= 1.0).then_some(())
            })
            .await;
            let made = Exposition::of(&stack, part).await;
            assert!(
                made.sum("clima_connects_total", &[&server]) >= 2.0,
                "{part}"
            );
        }
    }
    send(&stack, 100).await;
    drained(&stack).await;
}
