//! The library is loaded where it is unknown, and never replaced.

use clima_consumer_core::store::Broker;

use super::events::events;
use super::server::Server;

/// A library of the same name that counts nothing.
const OTHER: &str = "#!lua name=clima_v1
server.register_function('clima_count_v1', function(keys, args) return {#args[1] / 20, 0} end)";

#[tokio::test]
async fn it_is_loaded_where_it_is_unknown() {
    let server = Server::take().await;
    server.store(Broker::Kafka).ready().await.unwrap();
    let list: String = format!(
        "{:?}",
        server.run::<bb8_redis::redis::Value>("FUNCTION LIST").await
    );
    assert!(
        list.contains("clima_v1") && list.contains("clima_count_v1"),
        "{list}"
    );
}

#[tokio::test]
async fn it_is_not_replaced_where_it_exists() {
    let server = Server::take().await;
    server.run_words::<()>(&["FUNCTION", "LOAD", OTHER]).await;
    let store = server.store(Broker::Kafka);
    assert_eq!(store.apply(&events(0..4)).await.unwrap().counted, 4);
    assert!(
        server.keys().await.is_empty(),
        "the other function was called"
    );
}

#[tokio::test]
async fn it_is_loaded_again_when_it_is_gone() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    store.apply(&events(0..4)).await.unwrap();
    server.run::<()>("FUNCTION FLUSH").await;
    assert_eq!(store.apply(&events(0..8)).await.unwrap().counted, 4);
    assert_eq!(server.total(Broker::Kafka).await, 8);
}

#[tokio::test]
async fn many_stores_may_find_it_missing_at_once() {
    let server = Server::take().await;
    let stores: Vec<_> = (0..8).map(|_| server.store(Broker::Kafka)).collect();
    let mut applied = 0;
    let (one, two) = (events(0..8), events(0..8));
    for round in stores.chunks(2) {
        let (a, b) = tokio::join!(round[0].apply(&one), round[1].apply(&two));
        applied += a.unwrap().counted + b.unwrap().counted;
        server.run::<()>("FUNCTION FLUSH").await;
    }
    assert_eq!(applied, 8);
}
