//! Runs that aim at one mistake: would it be found?
//!
//! Services that make one on purpose ([`Sabotage`]) must fail such a run. Chance exposes a mistake late or never, so for
//! each there are a few faults after which its harm is certain. Services that are as they should be take none from
//! the same faults.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clima_service::sabotage::{self, Sabotage};
use futures::future::try_join_all;
use tokio::time::{sleep, timeout};

use super::adversary::Adversary;
use super::fault::{Back, Fault};
use super::ledger::Ledger;
use super::{group, lock};
use crate::Part::{ConsumerKafka, ConsumerRabbitmq, Kafka, Rabbitmq, Valkey, WriterKafka};
use crate::scrape::metric;
use crate::{Part, Stack, StackBuilder, broken};

/// Tweets that are accepted before a fault, or during it: more than all clients have in flight.
const SOME: u64 = 300;

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than one attempt of front and gateway (4 s), so that they try again.
const LONGER_THAN_AN_ATTEMPT: Duration = Duration::from_secs(6);

const CONSUMERS: [Part; 2] = [ConsumerKafka, ConsumerRabbitmq];

/// What a run aims at, in place of faults that are drawn from its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// The mistake that its faults would expose.
    pub mistake: Sabotage,
    /// Whether the services make it. They are another program then: the example `clima-broken` of this crate, built with
    /// the feature `sabotage`.
    pub is_made: bool,
}

impl Aim {
    /// Takes services that make the mistake, where they are to make it.
    pub(super) fn arm(self, mut builder: StackBuilder) -> anyhow::Result<StackBuilder> {
        if self.is_made {
            builder = builder.bin_dir(broken::bin_dir()?);
            for service in Part::SERVICES {
                builder = builder.env(service, sabotage::VARIABLE, self.mistake.name());
            }
        }
        Ok(builder)
    }

    /// How many processes its faults kill.
    pub(super) fn kills(self) -> u64 {
        match self.mistake {
            Sabotage::AckBeforeCounting => 3,
            Sabotage::NoConfirms => 2,
            Sabotage::BitsAfterCounts | Sabotage::NewIdPerAttempt | Sabotage::OffsetLatest => 0,
        }
    }

    /// Does the faults, under load.
    pub(super) async fn act(
        self,
        stack: &Stack,
        ledger: &Mutex<Ledger>,
        adversary: &Adversary<'_>,
    ) -> anyhow::Result<()> {
        some_accepted(ledger).await?;
        match self.mistake {
            Sabotage::AckBeforeCounting => die_with_a_batch(stack, ledger).await,
            Sabotage::BitsAfterCounts => deliver_again(adversary).await,
            Sabotage::NoConfirms => lose_what_is_unconfirmed(stack, ledger).await,
            Sabotage::NewIdPerAttempt => answer_late(stack).await,
            Sabotage::OffsetLatest => forget_the_group(stack, ledger).await,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = if self.is_made { "made" } else { "not made" };
        write!(f, "Aimed at {}, which was {made}.", self.mistake.name())
    }
}

/// Consumers have a batch that they cannot count, and are killed with it.
async fn die_with_a_batch(stack: &Stack, ledger: &Mutex<Ledger>) -> anyhow::Result<()> {
    let failures = try_join_all(CONSUMERS.map(|part| failures(stack, part))).await?;
    // Valkey finishes what it was given meanwhile, and its answers wait: they are to die with a batch that it never saw.
    try_join_all(CONSUMERS.map(|part| stack.pause(part))).await?;
    some_accepted(ledger).await?;
    stack.kill(Valkey).await?;
    for (consumer, before) in CONSUMERS.into_iter().zip(failures) {
        stack.resume(consumer).await?;
        fails_again(stack, consumer, before).await?;
        stack.kill(consumer).await?;
    }
    start(stack, &[Valkey, ConsumerKafka, ConsumerRabbitmq]).await
}

/// Everything in Kafka comes again.
async fn deliver_again(adversary: &Adversary<'_>) -> anyhow::Result<()> {
    adversary.act(Fault::Rewind(Back::Start)).await
}

/// Neither broker takes anything. Then what Kafka's writer holds dies with it, and what RabbitMQ's has sent dies with
/// the broker.
async fn lose_what_is_unconfirmed(stack: &Stack, ledger: &Mutex<Ledger>) -> anyhow::Result<()> {
    try_join_all([Kafka, Rabbitmq].map(|part| stack.pause(part))).await?;
    // Writers that wait for confirmations accept nothing.
    accepts(ledger, SOME, Duration::from_secs(3)).await;
    try_join_all([WriterKafka, Rabbitmq].map(|part| stack.kill(part))).await?;
    stack.resume(Kafka).await?;
    start(stack, &[WriterKafka, Rabbitmq]).await
}

/// Kafka confirms when front and gateway have given up their first attempts and begun others. Both are published.
async fn answer_late(stack: &Stack) -> anyhow::Result<()> {
    stack.pause(Kafka).await?;
    sleep(LONGER_THAN_AN_ATTEMPT).await;
    stack.resume(Kafka).await
}

/// Kafka no longer knows how far the group has read, and tweets have come since.
async fn forget_the_group(stack: &Stack, ledger: &Mutex<Ledger>) -> anyhow::Result<()> {
    let brokers = stack.address(Kafka);
    stack.stop(ConsumerKafka).await?;
    group::delete(&brokers).await?;
    some_accepted(ledger).await?;
    stack.start_part(ConsumerKafka).await?;
    // A group that began at the end of a partition has no offset there until the next record: it would look like a backlog.
    group::has_offsets(&brokers).await
}

async fn start(stack: &Stack, parts: &[Part]) -> anyhow::Result<()> {
    try_join_all(parts.iter().map(|&part| stack.start_part(part))).await?;
    Ok(())
}

/// Calls of a consumer to Valkey that failed.
async fn failures(stack: &Stack, consumer: Part) -> anyhow::Result<u64> {
    metric(
        &stack.address(consumer),
        "clima_consumer_store_failures_total",
    )
    .await
}

/// Waits until a consumer has called Valkey in vain once more.
async fn fails_again(stack: &Stack, consumer: Part, before: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    while failures(stack, consumer).await? == before {
        ensure!(begun.elapsed() < PATIENCE, "{consumer} waits for nothing");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn some_accepted(ledger: &Mutex<Ledger>) -> anyhow::Result<()> {
    ensure!(
        accepts(ledger, SOME, PATIENCE).await,
        "fewer than {SOME} tweets were accepted in {PATIENCE:?}"
    );
    Ok(())
}

/// Waits until so many more tweets are accepted; says whether they were within the limit.
async fn accepts(ledger: &Mutex<Ledger>, tweets: u64, limit: Duration) -> bool {
    let (enough, mut newest) = {
        let ledger = lock(ledger);
        (ledger.totals().accepted + tweets, ledger.newest())
    };
    let accepted = async {
        while lock(ledger).totals().accepted < enough && newest.changed().await.is_ok() {}
    };
    timeout(limit, accepted).await.is_ok()
}
