//! Tweets travel together only when they have to wait anyway.

use super::gateway::{LONG, Running, call};

#[tokio::test]
async fn a_lone_tweet_goes_alone() {
    let (gateway, kafka, rabbitmq) = Running::with_writers(&[]).await;
    for _ in 0..10 {
        gateway.send(call(LONG)).await.expect("accepted");
    }
    for writer in [&kafka, &rabbitmq] {
        let sizes: Vec<_> = writer
            .calls()
            .iter()
            .map(|call| call.events.len())
            .collect();
        assert_eq!(sizes, [1; 10]);
    }
}
