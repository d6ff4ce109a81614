//! Two versions of the function, side by side on the same keys.
//!
//! There is one version so far. The second is the first under the names that a second would have; what a version may not
//! change, key names and the layout of bits, is the same by that. What is tried here is that nothing else keeps two
//! versions apart: no state in the library, no order in which they have to be called.

use std::collections::{BTreeMap, HashMap};

use bb8_redis::redis::{RedisError, cmd};
use clima_consumer_core::store::{Applied, Broker};
use clima_proto::event::CheckedEvent;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::events::any_event;
use super::model::Model;
use super::server::{Content, Server};

/// The library, as the consumer of the next version would embed it.
fn next_library() -> String {
    let library = concat!(
        include_str!("../../src/store/count/argument.lua"),
        include_str!("../../src/store/count/state.lua"),
        include_str!("../../src/store/count/writes.lua"),
    );
    library
        .replace("clima_v1", "clima_v2")
        .replace("clima_count_v1", "clima_count_v2")
}

/// The keys that every call names, in their order (`DATA` in count/argument.lua).
fn data_keys() -> Vec<String> {
    let single = [
        "counts",
        "weather",
        "temperature_avg",
        "humidity_avg",
        "extremes",
    ];
    let municipalities = ["mixco", "guatemala", "amatitlan", "chinautla"];
    let of = |kind: &'static str| municipalities.map(|name| format!("{kind}:{name}"));
    let names = single.map(str::to_owned).into_iter();
    let names = names.chain(of("municipality")).chain(of("series"));
    names
        .map(|name| format!("clima:{{kafka}}:{name}"))
        .collect()
}

/// Calls a version of the function, as docs/data-model.md says how.
pub(crate) async fn call(
    server: &Server,
    function: &str,
    events: &[CheckedEvent],
    seen_ttl: u32,
) -> Result<Applied, RedisError> {
    let (mut keys, mut records) = (data_keys(), Vec::new());
    let (data, mut blocks) = (keys.len(), HashMap::new());
    for event in events {
        let (id, tweet) = (event.id, &event.tweet);
        let block = (id.source(), id.sequence() / 65_536);
        let number = *blocks.entry(block).or_insert_with(|| {
            keys.push(format!("clima:{{kafka}}:seen:{}:{}", block.0, block.1));
            (keys.len() - data) as u16
        });
        records.extend(number.to_be_bytes());
        records.extend(((id.sequence() % 65_536) as u16).to_be_bytes());
        records.extend([
            tweet.municipality as u8,
            tweet.weather as u8,
            tweet.temperature.cast_unsigned(),
            tweet.humidity,
        ]);
        records.extend(event.received_at.seconds.to_be_bytes());
        records.extend(event.received_at.nanos.to_be_bytes());
    }
    let mut call = cmd("FCALL");
    call.arg(function).arg(keys.len()).arg(keys).arg(records);
    call.arg(7 * 86_400).arg(seen_ttl);
    let (counted, duplicates) = call.query_async(&mut server.raw()).await?;
    Ok(Applied {
        counted,
        duplicates,
    })
}

/// A server that has both versions.
async fn with_both() -> Server {
    let server = Server::take().await;
    server.store(Broker::Kafka).ready().await.unwrap();
    let load = ["FUNCTION", "LOAD", &next_library()];
    assert_eq!(server.run_words::<String>(&load).await, "clima_v2");
    server
}

async fn next_version(server: &Server, events: &[CheckedEvent]) -> Applied {
    call(server, "clima_count_v2", events, 86_400)
        .await
        .unwrap()
}

#[tokio::test]
async fn whichever_version_gets_a_tweet_first_every_key_is_as_if_there_were_one() {
    let server = with_both().await;
    for seed in 0..20 {
        server.run::<()>("FLUSHALL").await;
        let mut random = StdRng::seed_from_u64(seed);
        let store = server.store(Broker::Kafka);
        let mut model = Model::new(Broker::Kafka);
        for number in 0..random.random_range(2..10) {
            let length = [1, 2, 10, 300][random.random_range(0..4)];
            let batch: Vec<_> = (0..length).map(|_| any_event(&mut random)).collect();
            let applied = if random.random() {
                store.apply(&batch).await.unwrap()
            } else {
                next_version(&server, &batch).await
            };
            let at = format!("seed {seed}, batch {number}");
            assert_eq!(applied, model.apply(&batch), "{at}");
            assert_eq!(server.contents().await, model.contents(), "{at}");
        }
    }
}

/// Counts of the entries of a series added up: how tweets fall into batches is left to chance.
fn without_batches(contents: BTreeMap<String, Content>) -> BTreeMap<String, Content> {
    let added_up = |(key, content)| match content {
        Content::Stream(entries) => {
            let counts = entries.iter().map(|entry| entry["count"].parse::<u64>());
            let sum: u64 = counts.map(Result::unwrap).sum();
            let entry = BTreeMap::from([("count".to_owned(), sum.to_string())]);
            (key, Content::Stream(vec![entry]))
        }
        other => (key, other),
    };
    contents.into_iter().map(added_up).collect()
}

#[tokio::test]
async fn two_versions_that_count_the_same_tweets_at_the_same_time_count_each_once() {
    let server = with_both().await;
    let mut random = StdRng::seed_from_u64(7);
    let events: Vec<_> = (0..2_000).map(|_| any_event(&mut random)).collect();
    // One event per id: with two, which of them counts would be left to chance.
    let ids: HashMap<_, _> = events.iter().map(|event| (event.id, *event)).collect();
    let mut first: Vec<_> = ids.into_values().collect();
    first.sort_by_key(|event| event.id);
    let mut model = Model::new(Broker::Kafka);
    model.apply(&first);
    let mut second = first.clone();
    first.shuffle(&mut random);
    second.shuffle(&mut random);
    let store = server.store(Broker::Kafka);
    let this = async {
        let mut counted = 0;
        for batch in first.chunks(23) {
            counted += store.apply(batch).await.unwrap().counted;
        }
        counted
    };
    let next = async {
        let mut counted = 0;
        for batch in second.chunks(19) {
            counted += next_version(&server, batch).await.counted;
        }
        counted
    };
    let (this, next) = tokio::join!(this, next);
    assert!(this > 0 && next > 0, "{this} {next}");
    assert_eq!(this + next, first.len() as u64);
    assert_eq!(
        without_batches(server.contents().await),
        without_batches(model.contents())
    );
}

#[tokio::test]
async fn a_version_that_is_gone_leaves_the_other_and_what_it_has_counted() {
    let server = with_both().await;
    let mut random = StdRng::seed_from_u64(9);
    let batch: Vec<_> = (0..50).map(|_| any_event(&mut random)).collect();
    let mut model = Model::new(Broker::Kafka);
    assert_eq!(next_version(&server, &batch).await, model.apply(&batch));
    server.run::<()>("FUNCTION DELETE clima_v2").await;
    let store = server.store(Broker::Kafka);
    assert_eq!(store.apply(&batch).await.unwrap(), model.apply(&batch));
    assert_eq!(server.contents().await, model.contents());
}
