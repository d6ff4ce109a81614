//! Killed, down, stalled: late, but never lost and never twice.

use std::time::{Duration, Instant};

use clima_consumer_core::store::{Applied, Broker, CountStore, StoreError};
use clima_local::Part;
use clima_proto::event::CheckedEvent;
use tokio::time::timeout;

use super::events::events;
use super::model::Model;
use super::server::Server;

/// As a consumer does: again and again, until it is counted. Not for ever, as a consumer would.
async fn persist(store: &CountStore, batch: &[CheckedEvent]) -> Applied {
    let counted = async {
        loop {
            match store.apply(batch).await {
                Ok(applied) => return applied,
                Err(StoreError::Unreachable(_) | StoreError::Timeout(_)) => {}
                Err(StoreError::Refused { code, .. }) if code == "LOADING" => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(Duration::from_secs(60), counted).await.unwrap()
}

#[tokio::test]
async fn what_was_counted_survives_a_kill() {
    let mut server = Server::take().await;
    let store = server.store(Broker::Kafka);
    let mut model = Model::new(Broker::Kafka);
    for round in 0..3 {
        let batch = events(round * 100..round * 100 + 150);
        assert_eq!(persist(&store, &batch).await, model.apply(&batch));
        server.stack.kill(Part::Valkey).await.unwrap();
        server.stack.start_part(Part::Valkey).await.unwrap();
        server.reconnect().await;
        assert_eq!(server.contents().await, model.contents());
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_many_calls_loses_and_doubles_nothing() {
    let mut server = Server::take().await;
    let store = server.store(Broker::Kafka);
    let batches: Vec<_> = (0..200)
        .map(|number| events(number * 10..number * 10 + 10))
        .collect();
    let counting = async {
        for batch in &batches {
            persist(&store, batch).await;
        }
    };
    let killing = async {
        for total in [300, 900] {
            while server.total(Broker::Kafka).await < total {}
            server.stack.kill(Part::Valkey).await.unwrap();
            server.stack.start_part(Part::Valkey).await.unwrap();
            server.reconnect().await;
        }
    };
    tokio::join!(counting, killing);
    assert_eq!(server.total(Broker::Kafka).await, 2_000);
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable_until_it_is_back() {
    let mut server = Server::take().await;
    let store = server.store(Broker::Kafka);
    store.apply(&events(0..4)).await.unwrap();
    server.stack.kill(Part::Valkey).await.unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        let error = store.apply(&events(0..8)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "the reason is known at once"
        );
    }
    assert!(matches!(
        store.ready().await,
        Err(StoreError::Unreachable(_))
    ));
    server.stack.start_part(Part::Valkey).await.unwrap();
    server.reconnect().await;
    assert_eq!(store.apply(&events(0..8)).await.unwrap().counted, 4);
    assert_eq!(server.total(Broker::Kafka).await, 8);
}

#[tokio::test]
async fn a_stalled_server_is_a_timeout_and_counts_nothing_twice() {
    let server = Server::take().await;
    let mut config = server.config(Broker::Kafka);
    config.connect_timeout = Duration::from_millis(300);
    config.response_timeout = Duration::from_millis(300);
    let store = CountStore::new(config).unwrap();
    store.ready().await.unwrap();
    server.stack.pause(Part::Valkey).await.unwrap();
    // The first waits for the answer of a call, the second for a connection.
    for _ in 0..2 {
        let begun = Instant::now();
        let error = store.apply(&events(0..8)).await.unwrap_err();
        assert!(matches!(error, StoreError::Timeout(_)), "{error:?}");
        assert!(
            (300..1_500).contains(&begun.elapsed().as_millis()),
            "{:?}",
            begun.elapsed()
        );
    }
    server.stack.resume(Part::Valkey).await.unwrap();
    // The first call was in the server's socket, and is executed now.
    let applied = persist(&store, &events(0..8)).await;
    assert_eq!(applied.counted + applied.duplicates, 8);
    assert_eq!(server.total(Broker::Kafka).await, 8);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_connection_half_used() {
    let server = Server::take().await;
    let mut config = server.config(Broker::Kafka);
    config.connections = 1;
    let store = CountStore::new(config).unwrap();
    store.ready().await.unwrap();
    let clients = "CLIENT LIST TYPE normal";
    let before: String = server.run(clients).await;
    server.stack.pause(Part::Valkey).await.unwrap();
    let batch = events(0..8);
    assert!(
        timeout(Duration::from_millis(50), store.apply(&batch))
            .await
            .is_err()
    );
    server.stack.resume(Part::Valkey).await.unwrap();
    let applied = store.apply(&events(0..8)).await.unwrap();
    assert_eq!(applied.counted + applied.duplicates, 8);
    assert_eq!(server.total(Broker::Kafka).await, 8);
    let after: String = server.run(clients).await;
    let last_id = |list: &str| {
        list.lines()
            .last()
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_ne!(
        last_id(&before),
        last_id(&after),
        "the call went over a new connection"
    );
}
