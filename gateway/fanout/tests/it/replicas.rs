//! Several replicas of a writer.

use std::sync::atomic::{AtomicUsize, Ordering};

use clima_testing::{Endpoint, until_true};
use futures::future::join_all;

use crate::gateway::{LONG, Running};

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spread_and_a_replica_that_dies_fails_no_tweet() {
    let (one, two, rabbitmq) = (Endpoint::start(), Endpoint::start(), Endpoint::start());
    let kafka = format!("{},{}", one.url(), two.url());
    let gateway = Running::between(&kafka, &rabbitmq.url(), &[]).await;
    let accepted = AtomicUsize::new(0);
    let client = || async {
        for _ in 0..50 {
            gateway.send(LONG).await.unwrap();
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let clients = join_all((0..4).map(|_| client()));
    let ((), ()) = tokio::join!(async { drop(clients.await) }, async {
        until_true("both replicas to be used", || {
            !one.calls().is_empty() && !two.calls().is_empty()
        })
        .await;
        until_true("some tweets", || accepted.load(Ordering::Relaxed) >= 20).await;
        drop(one);
    });
    assert_eq!(accepted.load(Ordering::Relaxed), 200);
    assert_eq!(rabbitmq.ids().len(), 200);
}
