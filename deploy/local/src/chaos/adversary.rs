//! Carries the faults out, and puts everything back.

use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::sleep;

use super::recovery::{Recoveries, Recovery, Watch};
use super::schedule::{Fault, Step, Way};
use crate::{Link, Part, Stack, topic};

const TOPIC: &str = "clima.tweets";
const GROUP: &str = "clima-counter";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time for Kafka to take the last member for dead: a session of 6 s, or that of a rebalance in between.
const EMPTY_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Adversary<'a> {
    stack: &'a Stack,
    watch: Watch,
    pub(super) recoveries: Recoveries,
}

impl<'a> Adversary<'a> {
    pub(super) fn new(stack: &'a Stack, watch: Watch) -> Self {
        Self {
            stack,
            watch,
            recoveries: Recoveries::default(),
        }
    }

    /// Lets the system alone for a while, then does what the step says. Everything runs again afterwards.
    pub(super) async fn act(&mut self, step: &Step) -> anyhow::Result<()> {
        sleep(step.after).await;
        match step.fault {
            Fault::Kill(part) => self.kill(part).await,
            Fault::KillBoth(one, other) => self.kill_both(one, other).await,
            Fault::KillInRecovery(one, other) => self.kill_in_recovery(one, other).await,
            Fault::Pause(part, time) => {
                self.stack.pause(part).await?;
                sleep(time).await;
                self.stack.resume(part).await
            }
            Fault::Cut(way, time) => self.broken(way, time, Link::cut).await,
            Fault::Stall(way, time) => self.broken(way, time, Link::stall).await,
            Fault::Double(part, time) => self.double(part, time).await,
            Fault::Rewind => self.rewind().await,
        }
    }

    async fn kill(&mut self, part: Part) -> anyhow::Result<()> {
        let killed = Instant::now();
        self.stack.kill(part).await?;
        self.stack.start_part(part).await?;
        let ready = killed.elapsed();
        let (accepted, counted) = self.watch.back(killed).await?;
        self.recoveries.note(
            part,
            Recovery {
                ready,
                accepted,
                counted,
            },
        );
        Ok(())
    }

    async fn kill_both(&self, one: Part, other: Part) -> anyhow::Result<()> {
        tokio::try_join!(self.stack.kill(one), self.stack.kill(other))?;
        self.start_all(&[one, other]).await
    }

    async fn kill_in_recovery(&self, one: Part, other: Part) -> anyhow::Result<()> {
        self.stack.kill(one).await?;
        let (started, killed) = tokio::join!(self.stack.start_part(one), self.stack.kill(other));
        killed?;
        // A service whose broker was killed is not ready before that is back.
        if started.is_err() && self.stack.is_running(one) {
            self.stack.kill(one).await?;
        }
        let missing: Vec<_> = [one, other]
            .into_iter()
            .filter(|&part| !self.stack.is_running(part))
            .collect();
        self.start_all(&missing).await
    }

    /// Servers first, all at the same time: a service may need a server before it is ready.
    async fn start_all(&self, parts: &[Part]) -> anyhow::Result<()> {
        futures::future::try_join_all(parts.iter().map(|&part| self.stack.start_part(part)))
            .await?;
        Ok(())
    }

    async fn broken(&self, way: Way, time: Duration, how: fn(&Link)) -> anyhow::Result<()> {
        let link = self.stack.link(way.0, way.1)?;
        how(link);
        sleep(time).await;
        link.mend();
        Ok(())
    }

    async fn double(&self, part: Part, time: Duration) -> anyhow::Result<()> {
        let mut second = self.stack.start_second(part)?;
        sleep(time).await;
        second.kill().await?;
        Ok(())
    }

    /// Kafka takes new offsets for a group only while it has no member, and one that was killed is a member until its
    /// session has run out.
    async fn rewind(&self) -> anyhow::Result<()> {
        self.stack.stop(Part::ConsumerKafka).await?;
        let begun = Instant::now();
        loop {
            let brokers = self.stack.address(Part::Kafka);
            match tokio::task::spawn_blocking(move || rewind_group(&brokers)).await? {
                Ok(()) => break,
                Err(error) if begun.elapsed() > EMPTY_LIMIT => return Err(error),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
        self.stack.start_part(Part::ConsumerKafka).await
    }
}

fn rewind_group(brokers: &str) -> anyhow::Result<()> {
    let client = topic::client(brokers, GROUP)?;
    let mut start = TopicPartitionList::new();
    for partition in topic::partitions(&client, TOPIC, TIMEOUT)? {
        start.add_partition_offset(TOPIC, partition, Offset::Offset(0))?;
    }
    client.commit(&start, CommitMode::Sync)?;
    Ok(())
}
