//! What the life of bits means. It is no setting: 24 h, twice what Kafka keeps records for. Here it is shorter.

use clima_consumer_core::store::{Applied, Broker};

use super::events::{SEEN, events};
use super::server::Server;
use super::versions::call;

const COUNTED: Applied = Applied {
    counted: 4,
    duplicates: 0,
};
const KNOWN: Applied = Applied {
    counted: 0,
    duplicates: 4,
};

#[tokio::test]
async fn a_redelivery_is_known_while_its_bits_live_and_makes_them_live_longer() {
    let server = Server::take().await;
    server.store(Broker::Kafka).ready().await.unwrap();
    let deliver = async || call(&server, "clima_count_v1", &events(0..4), 600).await;
    assert_eq!(deliver().await.unwrap(), COUNTED);
    server.run::<()>(&format!("EXPIRE {SEEN} 300")).await;
    assert_eq!(deliver().await.unwrap(), KNOWN);
    assert!(server.run::<u32>(&format!("TTL {SEEN}")).await > 300);
    assert_eq!(server.total(Broker::Kafka).await, 4);
}

/// What the settings of the topic are there to prevent: a record that is delivered again after its bit has gone.
#[tokio::test]
async fn a_redelivery_after_the_life_of_its_bits_is_counted_again() {
    let server = Server::take().await;
    server.store(Broker::Kafka).ready().await.unwrap();
    for deliveries in 1..=2 {
        let applied = call(&server, "clima_count_v1", &events(0..4), 1).await;
        assert_eq!(applied.unwrap(), COUNTED);
        assert_eq!(server.total(Broker::Kafka).await, 4 * deliveries);
        while server.run::<bool>(&format!("EXISTS {SEEN}")).await {}
    }
}
