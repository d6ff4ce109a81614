//! A second process of a part, beside the first.

use clima_local::load::{Load, Until};
use clima_local::{Part, Stack};

use crate::exposition::Exposition;
use crate::shared::drained;
use crate::wait::until;

const CONFIRMED: &str = "clima_publish_confirmed_total";

async fn send(stack: &Stack, tweets: u64) {
    let load = Load {
        address: stack.address(Part::Rest),
        clients: 8,
        until: Until::Requests(tweets),
        keys: false,
    };
    let load = load.run().await;
    assert_eq!(load.accepted_count(), tweets, "{load}");
}

async fn retries(stack: &Stack) -> f64 {
    let gateway = Exposition::of(stack, Part::Gateway).await;
    gateway.sum("clima_ingest_retries_total", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_has_its_share_and_serves_alone_while_the_first_is_dead() {
    let stack = Stack::builder()
        .fast_start(true)
        .breakable(true)
        .start()
        .await
        .unwrap();
    send(&stack, 200).await;
    assert_eq!(
        retries(&stack).await,
        0.0,
        "the way of a second writer that is not there costs attempts"
    );

    for part in [Part::WriterKafka, Part::WriterRabbitmq] {
        let second = stack.start_second(part).await.unwrap();
        let admin = second.admin_address().to_owned();
        until("both writers to publish", async || {
            let before = Exposition::of(&stack, part).await.sum(CONFIRMED, &[]);
            send(&stack, 50).await;
            let first = Exposition::of(&stack, part).await.sum(CONFIRMED, &[]);
            let second = Exposition::at(&admin).await.sum(CONFIRMED, &[]);
            (first > before && second > 0.0).then_some(())
        })
        .await;

        stack.kill(part).await.unwrap();
        let before = Exposition::at(&admin).await.sum(CONFIRMED, &[]);
        send(&stack, 50).await;
        let after = Exposition::at(&admin).await.sum(CONFIRMED, &[]);
        assert!(after - before >= 50.0, "{before} to {after}");

        stack.start_part(part).await.unwrap();
        assert!(second.stop().await.unwrap().success());
        send(&stack, 50).await;
    }
    drained(&stack).await;
}
