//! Carries the faults out, and puts everything back.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::sleep;

use super::clients::Hurry;
use super::fault::{Back, Fault, Way};
use crate::topic::{self, GROUP, TOPIC};
use crate::{Link, Part, Stack};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Time for Kafka to take the last member for dead: a session of 6 s, or that of a rebalance in between.
const EMPTY_LIMIT: Duration = Duration::from_secs(60);

/// How long the two work side by side, and how long deadlines are short before a kill.
const MOMENT: Duration = Duration::from_millis(500);

/// How long deadlines stay short after it: nothing else would be accepted while it takes a broker to come back.
const HURRY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Adversary<'a> {
    stack: &'a Stack,
    hurry: Hurry,
}

impl<'a> Adversary<'a> {
    pub(super) fn new(stack: &'a Stack, hurry: Hurry) -> Self {
        Self { stack, hurry }
    }

    /// Does it. Everything runs again afterwards, though what was killed may still be about its recovery.
    pub(super) async fn act(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(part) => self.kill(part).await.map(drop),
            Fault::KillBoth(one, other) => self.kill_both(one, other).await,
            Fault::KillInRecovery(one, other) => self.kill_in_recovery(one, other).await,
            Fault::KillInHurry(part, limit) => {
                let hurried = self.hurry.begin(limit);
                sleep(MOMENT).await;
                let for_a_while = async {
                    sleep(HURRY).await;
                    drop(hurried);
                };
                tokio::join!(self.kill(part), for_a_while).0.map(drop)
            }
            Fault::Pause(part, time) => {
                self.stack.pause(part).await?;
                sleep(time).await;
                self.stack.resume(part).await
            }
            Fault::Cut(way, time) => self.broken(way, time, Link::cut).await,
            Fault::Stall(way, time) => self.broken(way, time, Link::stall).await,
            Fault::Double(part, time) => {
                let second = self.stack.start_second(part).await?;
                sleep(time).await;
                second.kill().await
            }
            Fault::Halve(part, time) => self.halve(part, time).await,
            Fault::Rewind(back) => self.rewind(back).await,
        }
    }

    /// Kills a part and starts it again; how long it took from the kill until it was ready.
    pub(super) async fn kill(&self, part: Part) -> anyhow::Result<Duration> {
        let killed = Instant::now();
        self.stack.kill(part).await?;
        self.stack.start_part(part).await?;
        Ok(killed.elapsed())
    }

    async fn kill_both(&self, one: Part, other: Part) -> anyhow::Result<()> {
        tokio::try_join!(self.stack.kill(one), self.stack.kill(other))?;
        // At the same time, since one may need the other before it is ready.
        tokio::try_join!(self.stack.start_part(one), self.stack.start_part(other))?;
        Ok(())
    }

    async fn kill_in_recovery(&self, one: Part, other: Part) -> anyhow::Result<()> {
        self.stack.kill(one).await?;
        // The first may not be ready before the second is back.
        let (first, second) = tokio::join!(self.stack.start_part(one), self.kill(other));
        second?;
        if first.is_err() && !self.stack.is_running(one) {
            return self.stack.start_part(one).await;
        }
        first
    }

    async fn broken(&self, way: Way, time: Duration, how: fn(&Link)) -> anyhow::Result<()> {
        let link = self.stack.link(way.0, way.1)?;
        how(link);
        sleep(time).await;
        link.mend();
        Ok(())
    }

    async fn halve(&self, part: Part, time: Duration) -> anyhow::Result<()> {
        let second = self.stack.start_second(part).await?;
        sleep(MOMENT).await;
        self.stack.kill(part).await?;
        sleep(time).await;
        self.stack.start_part(part).await?;
        second.stop().await?;
        Ok(())
    }

    /// Kafka takes new offsets for a group only while it has no member, and one that was killed is a member until its
    /// session has run out.
    async fn rewind(&self, back: Back) -> anyhow::Result<()> {
        self.stack.stop(Part::ConsumerKafka).await?;
        let begun = Instant::now();
        loop {
            let brokers = self.stack.address(Part::Kafka);
            match tokio::task::spawn_blocking(move || rewind_group(&brokers, back)).await? {
                Ok(()) => break,
                Err(error) if begun.elapsed() > EMPTY_LIMIT => return Err(error),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
        self.stack.start_part(Part::ConsumerKafka).await
    }
}

fn rewind_group(brokers: &str, back: Back) -> anyhow::Result<()> {
    let client = topic::client(brokers, GROUP)?;
    let begin = match back {
        Back::Start => {
            let mut begin = all_partitions(&client)?;
            begin.set_all_offsets(Offset::Offset(0))?;
            begin
        }
        Back::Records(records) => {
            let committed = client.committed_offsets(all_partitions(&client)?, TIMEOUT)?;
            let mut begin = TopicPartitionList::new();
            for partition in committed.elements() {
                if let Offset::Offset(next) = partition.offset() {
                    let earlier = (next - i64::from(records)).max(0);
                    begin.add_partition_offset(
                        TOPIC,
                        partition.partition(),
                        Offset::Offset(earlier),
                    )?;
                }
            }
            begin
        }
    };
    client.commit(&begin, CommitMode::Sync)?;
    Ok(())
}

fn all_partitions(client: &BaseConsumer) -> anyhow::Result<TopicPartitionList> {
    let mut all = TopicPartitionList::new();
    for partition in topic::partitions(client, TOPIC, TIMEOUT)? {
        all.add_partition(TOPIC, partition);
    }
    Ok(all)
}
