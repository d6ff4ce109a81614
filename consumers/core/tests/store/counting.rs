//! What is counted, and for how long it is kept.

use clima_consumer_core::store::{Applied, Broker};
use clima_proto::id::SEQUENCE_LIMIT;

use super::events::{SEEN, event, events, seen};
use super::server::Server;

fn applied(counted: u64, duplicates: u64) -> Applied {
    Applied {
        counted,
        duplicates,
    }
}

#[tokio::test]
async fn an_id_is_counted_once_within_a_batch_and_across_batches() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    let batch = [event(1), event(2), event(1)];
    assert_eq!(store.apply(&batch).await.unwrap(), applied(2, 1));
    assert_eq!(store.apply(&batch).await.unwrap(), applied(0, 3));
    assert_eq!(
        store.apply(&[event(2), event(3)]).await.unwrap(),
        applied(1, 1)
    );
    assert_eq!(server.total(Broker::Kafka).await, 3);
}

#[tokio::test]
async fn an_empty_batch_needs_no_server() {
    let server = Server::take().await;
    let mut config = server.config(Broker::Kafka);
    config.url = "redis://127.0.0.1:1".into();
    let nowhere = clima_consumer_core::store::CountStore::new(config).unwrap();
    assert_eq!(nowhere.apply(&[]).await.unwrap(), applied(0, 0));
    assert_eq!(
        server.store(Broker::Kafka).apply(&[]).await.unwrap(),
        applied(0, 0)
    );
    assert!(server.keys().await.is_empty());
}

#[tokio::test]
async fn the_two_paths_count_the_same_id_once_each() {
    let server = Server::take().await;
    for path in [Broker::Kafka, Broker::Rabbitmq] {
        let store = server.store(path);
        assert_eq!(store.apply(&[event(7)]).await.unwrap(), applied(1, 0));
        assert_eq!(store.apply(&[event(7)]).await.unwrap(), applied(0, 1));
        assert_eq!(server.total(path).await, 1);
    }
}

#[tokio::test]
async fn ids_at_the_borders_of_blocks_and_words_are_told_apart() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    let borders = [
        0,
        1,
        31,
        32,
        65_535,
        65_536,
        131_071,
        SEQUENCE_LIMIT - 65_536,
        SEQUENCE_LIMIT - 1,
    ];
    for sequence in borders {
        assert_eq!(
            store.apply(&[event(sequence)]).await.unwrap(),
            applied(1, 0),
            "{sequence}"
        );
    }
    let all: Vec<_> = borders.into_iter().map(event).collect();
    assert_eq!(
        store.apply(&all).await.unwrap(),
        applied(0, borders.len() as u64)
    );
    // As Valkey itself numbers the bits.
    for (bit, set) in [
        (0, 1),
        (1, 1),
        (2, 0),
        (31, 1),
        (32, 1),
        (65_534, 0),
        (65_535, 1),
    ] {
        assert_eq!(
            server.run::<u8>(&format!("GETBIT {SEEN} {bit}")).await,
            set,
            "{bit}"
        );
    }
    let last = seen("4294967295");
    assert_eq!(server.run::<u8>(&format!("GETBIT {last} 65535")).await, 1);
}

#[tokio::test]
async fn a_bit_that_setbit_set_is_a_duplicate() {
    let server = Server::take().await;
    server.run::<()>(&format!("SETBIT {SEEN} 41 1")).await;
    let store = server.store(Broker::Kafka);
    assert_eq!(store.apply(&events(40..43)).await.unwrap(), applied(2, 1));
}

#[tokio::test]
async fn every_call_renews_the_time_to_live_of_every_key() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    for (counted, duplicates) in [(4, 0), (0, 4)] {
        assert_eq!(
            store.apply(&events(0..4)).await.unwrap(),
            applied(counted, duplicates)
        );
        let keys = server.keys().await;
        assert_eq!(keys.len(), 14);
        for key in keys {
            let full = if key == SEEN { 86_400 } else { 7 * 86_400 };
            let left: i64 = server.run(&format!("TTL {key}")).await;
            assert!((full - 60..=full).contains(&left), "{key}: {left}");
            server.run::<()>(&format!("EXPIRE {key} 1000")).await;
        }
    }
    // One tweet of one municipality: the keys of the others are kept as long as its own.
    store.apply(&[event(4)]).await.unwrap();
    for key in server.keys().await {
        assert!(
            server.run::<i64>(&format!("TTL {key}")).await > 1_000,
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_series_keeps_about_twenty_thousand_entries() {
    let server = Server::take().await;
    let fill = "for i = 1, 20500 do
        server.call('XADD', KEYS[1], '*', 'temperature', '1.00', 'humidity', '1.00', 'count', '1')
    end";
    server
        .run_words::<()>(&["EVAL", fill, "1", "clima:{kafka}:series:mixco"])
        .await;
    server
        .store(Broker::Kafka)
        .apply(&[event(0)])
        .await
        .unwrap();
    let length: u64 = server.run("XLEN clima:{kafka}:series:mixco").await;
    assert!((20_000..20_200).contains(&length), "{length}");
}
