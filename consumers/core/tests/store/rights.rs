//! A user that may not do all, and a server that may not write: never a part of a batch.

use clima_consumer_core::store::{Broker, CountStore, StoreError};

use super::events::events;
use super::server::Server;

const RIGHTS: &str = "ACL SETUSER counter reset on >pw ~clima:* +@all";

fn store_of_user(server: &Server) -> CountStore {
    let mut config = server.config(Broker::Kafka);
    config.url = config.url.replace("redis://", "redis://counter:pw@");
    CountStore::new(config).unwrap()
}

fn code(error: &StoreError) -> &str {
    match error {
        StoreError::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_user_without_one_of_the_commands_counts_nothing() {
    let server = Server::take().await;
    server
        .store(Broker::Kafka)
        .apply(&events(0..4))
        .await
        .unwrap();
    let before = server.image().await;
    for (missing, expected) in [
        ("-hset", "CLIMA_NOPERM"),
        ("-xadd", "CLIMA_NOPERM"),
        ("-expire", "CLIMA_NOPERM"),
        ("-bitfield", "CLIMA_NOPERM"),
        ("-xinfo|stream", "CLIMA_BADKEY"),
        ("-hmget", "CLIMA_BADKEY"),
        ("-fcall", "NOPERM"),
        ("resetkeys %R~clima:*", "NOPERM"),
        ("resetkeys ~clima:{rabbitmq}:*", "NOPERM"),
    ] {
        server.run::<()>(&format!("{RIGHTS} {missing}")).await;
        let error = store_of_user(&server)
            .apply(&events(0..20))
            .await
            .unwrap_err();
        assert_eq!(code(&error), expected, "{missing}: {error:?}");
        assert_eq!(server.image().await, before, "{missing}");
    }
}

#[tokio::test]
async fn a_user_with_only_what_is_needed_can_count() {
    let server = Server::take().await;
    server.store(Broker::Kafka).ready().await.unwrap();
    // The function is there, so neither CONFIG nor FUNCTION is needed.
    let few = "ACL SETUSER counter reset on >pw ~clima:{kafka}:* +ping +info +fcall +hmget +hset +type \
               +xinfo|stream +xadd +bitfield_ro +bitfield +expire";
    let words: Vec<_> = few.split_whitespace().collect();
    server.run_words::<()>(&words).await;
    let store = store_of_user(&server);
    store.ready().await.unwrap();
    assert_eq!(store.apply(&events(0..20)).await.unwrap().counted, 20);
}

#[tokio::test]
async fn a_server_that_may_not_write_counts_nothing_and_then_all() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    store.apply(&events(0..4)).await.unwrap();
    for (forbid, expected, allow) in [
        ("CONFIG SET maxmemory 1", "OOM", "CONFIG SET maxmemory 0"),
        (
            "CONFIG SET min-replicas-to-write 1",
            "NOREPLICAS",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("REPLICAOF 127.0.0.1 1", "READONLY", "REPLICAOF NO ONE"),
    ] {
        let before = server.image().await;
        server.run::<()>(forbid).await;
        let error = store.apply(&events(0..20)).await.unwrap_err();
        let after = server.image().await;
        server.run::<()>(allow).await;
        assert_eq!(code(&error), expected, "{error:?}");
        assert_eq!(after, before, "{forbid}");
    }
    assert_eq!(store.apply(&events(0..20)).await.unwrap().counted, 16);
}
