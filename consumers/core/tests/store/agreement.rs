//! The function agrees with a model that was written without it.

use clima_consumer_core::store::Broker;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::events::{any_event, event};
use super::model::Model;
use super::server::Server;

#[tokio::test]
async fn every_key_and_field_is_what_the_model_says_after_any_batches() {
    let server = Server::take().await;
    for seed in 0..40 {
        server.run::<()>("FLUSHALL").await;
        let mut random = StdRng::seed_from_u64(seed);
        let store = server.store(Broker::Kafka);
        let mut model = Model::new(Broker::Kafka);
        for number in 0..random.random_range(1..8) {
            let length = [1, 2, 10, 300][random.random_range(0..4)];
            let batch: Vec<_> = (0..length).map(|_| any_event(&mut random)).collect();
            let at = format!("seed {seed}, batch {number}");
            assert_eq!(
                store.apply(&batch).await.unwrap(),
                model.apply(&batch),
                "{at}"
            );
            assert_eq!(server.contents().await, model.contents(), "{at}");
        }
    }
}

#[tokio::test]
async fn a_batch_of_any_size_and_spread_is_counted_whole() {
    let server = Server::take().await;
    let mut random = StdRng::seed_from_u64(1);
    let store = server.store(Broker::Kafka);
    let mut model = Model::new(Broker::Kafka);
    // Every id in a word of its own, every id in a block of its own, and more than one call takes.
    for (length, distance) in [(2_000, 32), (2_000, 65_536), (4_500, 1)] {
        let batch: Vec<_> = (0..length)
            .map(|number| {
                let mut event = any_event(&mut random);
                let sequence = 10_000_000 * distance + number * distance;
                event.id = clima_proto::id::TweetId::from_parts(&[9; 16], sequence).unwrap();
                event
            })
            .collect();
        let applied = store.apply(&batch).await.unwrap();
        assert_eq!((applied.counted, applied.duplicates), (length, 0));
        for call in batch.chunks(2_000) {
            model.apply(call);
        }
        assert_eq!(server.contents().await, model.contents());
    }
}

#[tokio::test]
async fn a_mean_just_below_zero_is_zero() {
    let server = Server::take().await;
    let batch: Vec<_> = (0..300)
        .map(|number| {
            let mut event = event(number * 4);
            event.tweet.temperature = if number == 0 { -1 } else { 0 };
            event
        })
        .collect();
    server.store(Broker::Kafka).apply(&batch).await.unwrap();
    for command in [
        "HGET clima:{kafka}:temperature_avg mixco",
        "HGET clima:{kafka}:municipality:mixco temperature_avg",
    ] {
        assert_eq!(server.run::<String>(command).await, "0.00");
    }
    let mut model = Model::new(Broker::Kafka);
    model.apply(&batch);
    assert_eq!(server.contents().await, model.contents());
}
