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

#[tokio::test(flavor = "multi_thread")]
async fn tmp_dead_address() {
    for (base, dead) in [(23_000, false), (23_100, true)] {
        let mut builder = Stack::builder().ports(clima_local::Ports::Base(base));
        if dead {
            builder = builder
                .env(
                    Part::Gateway,
                    "CLIMA_WRITER_KAFKA_URL",
                    format!("http://127.0.0.1:{},http://127.0.0.1:1", base + 5),
                )
                .env(
                    Part::Gateway,
                    "CLIMA_WRITER_RABBITMQ_URL",
                    format!("http://127.0.0.1:{},http://127.0.0.1:1", base + 6),
                );
        }
        let stack = builder.start().await.unwrap();
        send(&stack, 500).await;
        let before = retries(&stack).await;
        for clients in [1, 16] {
            let load = Load {
                address: stack.address(Part::Rest),
                clients,
                until: Until::Requests(3_000),
                keys: false,
            };
            let load = load.run().await;
            println!(
                "dead={dead} clients={clients} {load} p50={:?} retries={}",
                load.quantile(0.5),
                retries(&stack).await - before
            );
        }
    }
}
