//! How fast `apply` is. Not a claim: run it on an idle machine, and read what it prints.

use std::time::{Duration, Instant};

use clima_consumer_core::store::Broker;

use super::events::events;
use super::server::Server;

#[tokio::test]
#[ignore = "measures; run with --release --ignored --nocapture"]
async fn tweets_per_second_by_batch() {
    let server = Server::take().await;
    let store = server.store(Broker::Kafka);
    for fsync in ["always", "everysec"] {
        // Set after connecting, which would be refused otherwise.
        store.ready().await.unwrap();
        server
            .run::<()>(&format!("CONFIG SET appendfsync {fsync}"))
            .await;
        for length in [1, 10, 100, 500, 2_000] {
            server.run::<()>("FLUSHALL").await;
            server.run::<()>("CONFIG RESETSTAT").await;
            let begun = Instant::now();
            let mut next = 0;
            while begun.elapsed() < Duration::from_secs(3) {
                store.apply(&events(next..next + length)).await.unwrap();
                next += length;
            }
            let rate = next as f64 / begun.elapsed().as_secs_f64();
            let stats: String = server.run("INFO commandstats").await;
            let fcall = stats
                .lines()
                .find(|line| line.starts_with("cmdstat_fcall:"))
                .unwrap();
            let per_call: f64 = fcall
                .split("usec_per_call=")
                .nth(1)
                .unwrap()
                .split(',')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            println!(
                "appendfsync {fsync}, batch {length}: {rate:.0} tweets/s, {:.1} µs of FCALL per tweet",
                per_call / length as f64
            );
        }
    }
}
