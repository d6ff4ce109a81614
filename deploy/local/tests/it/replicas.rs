//! Two writers of each path behind one gateway.

use clima_local::load::{Load, Until};
use clima_local::{Counts, PATHS, Part, Stack};
use clima_proto::id::TweetId;

use crate::shared::{PATIENCE, drained};

const TWEETS: u64 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn killing_one_of_two_writers_under_load_fails_no_request_and_each_tweet_is_counted_once() {
    let builder = Stack::builder().fast_start(true).breakable(true);
    let stack = builder.start().await.unwrap();
    let _kafka = stack.start_second(Part::WriterKafka).await.unwrap();
    let _rabbitmq = stack.start_second(Part::WriterRabbitmq).await.unwrap();
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    let mut before = 0;
    for part in [Part::WriterKafka, Part::WriterRabbitmq] {
        let load = Load {
            address: stack.address(Part::Rest),
            clients: 16,
            until: Until::Requests(TWEETS),
            keys: false,
        };
        let load = tokio::spawn(async move { load.run().await });
        counts.reach(before + TWEETS / 10, PATIENCE).await.unwrap();
        stack.kill(part).await.unwrap();
        assert!(!load.is_finished(), "{part} was killed after the load");
        let load = load.await.unwrap();
        assert_eq!(
            (load.accepted_count(), load.failed_count()),
            (TWEETS, 0),
            "{part}: {load}"
        );

        stack.start_part(part).await.unwrap();
        drained(&stack).await;
        before += TWEETS;
        let after = counts.totals().await.unwrap();
        let accepted: Vec<TweetId> = load.accepted().collect();
        for (path, counted) in PATHS.into_iter().zip([after.kafka, after.rabbitmq]) {
            assert_eq!(counted, before, "{path}, after the kill of {part}");
            let lost = counts.missing(path, &accepted).await.unwrap();
            assert!(lost.is_empty(), "{path} lost {lost:?}");
        }
    }
}
