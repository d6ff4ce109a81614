//! Several replicas of a writer.

use std::sync::atomic::{AtomicBool, Ordering};

use clima_testing::upstream::Upstream;
use clima_testing::wait::until;
use futures::future::join_all;

use super::gateway::{LONG, Running, call};

#[tokio::test]
async fn calls_are_spread_over_replicas_and_the_loss_of_one_fails_no_request() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let rabbitmq = Upstream::start().await;
    let urls = format!("{},{}", first.url(), second.url());
    let gateway = Running::start(&urls, &rabbitmq.url(), &[]).await;
    let mut sent = 0;
    until("both replicas to be used", async || {
        gateway.send(call(LONG)).await.expect("accepted");
        sent += 1;
        (!first.calls().is_empty() && !second.calls().is_empty()).then_some(())
    })
    .await;

    let address = first.address();
    first.stop().await;
    for _ in 0..50 {
        gateway.send(call(LONG)).await.expect("accepted");
    }
    assert_eq!(
        rabbitmq.calls().len(),
        sent + 50,
        "the other path is not asked twice"
    );

    let back = Upstream::start_at(address).await;
    until("the replica to be used again", async || {
        gateway.send(call(LONG)).await.expect("accepted");
        (!back.calls().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_is_killed_under_load_fails_no_request() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let rabbitmq = Upstream::start().await;
    let urls = format!("{},{}", first.url(), second.url());
    let gateway = Running::start(&urls, &rabbitmq.url(), &[]).await;
    let killed = AtomicBool::new(false);
    // Until the kill and beyond it, so that it meets tweets on their way.
    let client = || async {
        let mut more = 25;
        while more > 0 {
            gateway.send(call(LONG)).await.expect("accepted");
            more -= i32::from(killed.load(Ordering::Relaxed));
        }
    };
    let load = join_all((0..8).map(|_| client()));
    let kill = async {
        first.received(1).await;
        first.stop().await;
        killed.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, kill);
}
