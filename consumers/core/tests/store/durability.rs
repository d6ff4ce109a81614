//! A server that could forget what it answered is not used.

use clima_consumer_core::store::{Broker, StoreError};

use super::events::events;
use super::server::Server;

#[tokio::test]
async fn each_setting_that_could_lose_counts_is_named() {
    let server = Server::take().await;
    for (set, what, reset) in [
        (
            "CONFIG SET appendfsync everysec",
            "appendfsync is everysec, must be always",
            "CONFIG SET appendfsync always",
        ),
        (
            "CONFIG SET maxmemory-policy allkeys-lru",
            "maxmemory-policy is allkeys-lru, must be noeviction",
            "CONFIG SET maxmemory-policy noeviction",
        ),
        (
            "REPLICAOF 127.0.0.1 1",
            "role is slave, must be master",
            "REPLICAOF NO ONE",
        ),
        (
            "CONFIG SET appendonly no",
            "appendonly is no, must be yes",
            "CONFIG SET appendonly yes",
        ),
    ] {
        server.run::<()>(set).await;
        let store = server.store(Broker::Kafka);
        let (ready, applied) = (store.ready().await, store.apply(&events(0..4)).await);
        server.run::<()>(reset).await;
        for error in [ready.unwrap_err(), applied.unwrap_err()] {
            assert!(matches!(error, StoreError::NotDurable { .. }), "{error:?}");
            assert_eq!(error.to_string(), format!("Valkey is not durable: {what}"));
        }
        assert!(server.keys().await.is_empty());
        // The same store, once the setting is right.
        store.ready().await.unwrap();
    }
    // Turned on again, the file is complete only after a rewrite; the tests after this one kill the server.
    while server
        .run::<String>("INFO persistence")
        .await
        .contains("aof_rewrite_in_progress:1")
    {}
}
