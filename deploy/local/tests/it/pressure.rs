//! Servers that are there and cannot go on as they should: Valkey stopped or slow, RabbitMQ out of memory or disk.

use std::time::Duration;

use clima_local::load::{Load, LoadReport, Outcome, Until};
use clima_local::{Backlog, Counts, PATHS, Part, Stack, StackFile, Totals};
use clima_proto::id::TweetId;

use crate::http::ask;
use crate::shared::{assert_counted_as_told, drained, stack};
use crate::wait::until;

const TWEET: &[u8] = br#"{"municipality":1,"temperature":20,"humidity":50,"weather":1}"#;
const TWEETS: u64 = 600;

async fn totals(stack: &Stack) -> Totals {
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.totals().await.unwrap()
}

async fn load(stack: &Stack, until: Until) -> LoadReport {
    let address = stack.address(Part::Rest);
    let load = Load {
        address,
        clients: 16,
        until,
        keys: false,
    };
    load.run().await
}

#[tokio::test]
async fn while_valkey_is_stopped_tweets_are_accepted_and_the_brokers_hold_them() {
    let stack = stack().await;
    drained(&stack).await;
    let before = totals(&stack).await;
    stack.pause(Part::Valkey).await.unwrap();
    let load = load(&stack, Until::Requests(TWEETS)).await;
    let kafka = Backlog::read(&StackFile::of(&stack)).await.unwrap().kafka;
    // Those that wait, and those that were delivered and are not acknowledged. RabbitMQ counts them now and then.
    let held = format!("clima.tweets\t{TWEETS}");
    until("RabbitMQ to tell of every tweet", async || {
        let queues = ["list_queues", "name", "messages"];
        let queues = stack.rabbitmqctl(&queues).await.unwrap();
        queues.lines().any(|line| line == held).then_some(())
    })
    .await;
    stack.resume(Part::Valkey).await.unwrap();
    assert_eq!(
        (load.accepted_count(), load.failed_count()),
        (TWEETS, 0),
        "{load}"
    );
    assert_eq!(kafka, TWEETS);
    assert_counted_as_told(&stack, before, &load).await;
}

#[tokio::test]
async fn a_slow_valkey_costs_nothing_but_time() {
    let stack = stack().await;
    let before = totals(&stack).await;
    // It stands still nine tenths of the time.
    let slow = async {
        loop {
            stack.pause(Part::Valkey).await.unwrap();
            tokio::time::sleep(Duration::from_millis(450)).await;
            stack.resume(Part::Valkey).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let load = tokio::select! {
        load = load(&stack, Until::Elapsed(Duration::from_secs(4))) => load,
        () = slow => unreachable!("it goes on for ever"),
    };
    stack.resume(Part::Valkey).await.unwrap();
    assert!(load.accepted_count() > 0, "{load}");
    assert_eq!(load.failed_count(), 0, "{load}");
    assert_counted_as_told(&stack, before, &load).await;
}

/// The status of one tweet, and whether it carries `Retry-After`.
async fn post(stack: &Stack) -> (u16, bool) {
    let address = stack.address(Part::Rest);
    let json = ["content-type: application/json"];
    let answer = ask(&address, "POST", "/v1/tweets", &json, TWEET).await;
    (answer.status, answer.headers.contains_key("retry-after"))
}

async fn until_answered(stack: &Stack, what: &str, answer: (u16, bool)) {
    until(what, async || (post(stack).await == answer).then_some(())).await;
}

#[tokio::test]
async fn while_rabbitmq_has_an_alarm_tweets_are_refused_at_once_by_both_paths() {
    let stack = stack().await;
    for (alarm, end) in [
        (
            ["set_vm_memory_high_watermark", "absolute", "1MB"].as_slice(),
            ["set_vm_memory_high_watermark", "absolute", "512MB"].as_slice(),
        ),
        (
            &["set_disk_free_limit", "1000000000000000"],
            &["set_disk_free_limit", "64MB"],
        ),
    ] {
        stack.rabbitmqctl(alarm).await.unwrap();
        until_answered(&stack, "503", (503, true)).await;
        let refused = load(&stack, Until::Requests(TWEETS)).await;
        let refusals = refused
            .answers
            .iter()
            .filter(|answer| matches!(answer.outcome, Outcome::Refused { status: 503, .. }));
        assert_eq!(refusals.count() as u64, TWEETS, "{refused}");
        // Now and then one is tried, which the other path counts; the rest is refused at the door.
        let at_the_door: Vec<TweetId> = refused.not_counted().collect();
        assert!(at_the_door.len() as u64 > TWEETS / 2, "{refused}");
        let mut waits: Vec<_> = refused.answers.iter().map(|it| it.latency).collect();
        waits.sort_unstable();
        let median = waits[waits.len() / 2];
        assert!(median < Duration::from_secs(1), "refused after {median:?}");

        stack.rabbitmqctl(end).await.unwrap();
        until_answered(&stack, "200", (200, false)).await;
        drained(&stack).await;
        let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
        for path in PATHS {
            let uncounted = counts.missing(path, &at_the_door).await.unwrap();
            assert_eq!(uncounted, at_the_door, "{path}");
        }
        let before = totals(&stack).await;
        let accepted = load(&stack, Until::Requests(TWEETS)).await;
        assert_eq!(accepted.accepted_count(), TWEETS, "{accepted}");
        assert_counted_as_told(&stack, before, &accepted).await;
    }
}
