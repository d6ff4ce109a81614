//! With WAITAOF, a batch is counted when the replicas have it on disk too.

use std::time::Duration;

use clima_consumer_core::store::{Broker, CountStore, StoreError, WaitAof};
use clima_local::Part;

use super::events::events;
use super::server::{self, Server};

fn store(server: &Server, local: u8, replicas: u32, millis: u64) -> CountStore {
    let mut config = server.config(Broker::Kafka);
    config.waitaof = Some(WaitAof {
        local,
        replicas,
        timeout: Duration::from_millis(millis),
    });
    CountStore::new(config).unwrap()
}

#[tokio::test]
async fn the_server_itself_is_enough_where_no_more_is_asked_for() {
    let server = Server::take().await;
    let store = store(&server, 1, 0, 1_000);
    assert_eq!(store.apply(&events(0..8)).await.unwrap().counted, 8);
    assert_eq!(store.apply(&events(0..8)).await.unwrap().duplicates, 8);
}

#[tokio::test]
async fn a_batch_counts_only_when_the_replica_has_it_also_when_all_are_duplicates() {
    let server = Server::take().await;
    let replica = server::start().await;
    let mut to_replica = server::connect(&replica.valkey_url()).await;
    let port = server.stack.valkey_url();
    let port = port.trim_end_matches('/').rsplit(':').next().unwrap();
    let mut follow = bb8_redis::redis::cmd("REPLICAOF");
    follow.arg("127.0.0.1").arg(port);
    follow.query_async::<()>(&mut to_replica).await.unwrap();

    let patient = store(&server, 1, 1, 4_900);
    while patient.apply(&events(0..4)).await.is_err() {}

    replica.pause(Part::Valkey).await.unwrap();
    let hasty = store(&server, 1, 1, 50);
    for _ in 0..2 {
        let error = hasty.apply(&events(4..8)).await.unwrap_err();
        assert!(matches!(&error, StoreError::NotDurable { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .ends_with("on 1 of 1 local disks and 0 of 1 replicas"),
            "{error}"
        );
    }
    replica.resume(Part::Valkey).await.unwrap();
    let applied = patient.apply(&events(4..8)).await.unwrap();
    assert_eq!((applied.counted, applied.duplicates), (0, 4));
    assert_eq!(server.total(Broker::Kafka).await, 8);
}
