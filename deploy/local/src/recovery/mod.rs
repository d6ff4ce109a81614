//! How long the system takes to recover from each kill, measured one kill at a time.
//!
//! The adversary of [`chaos`](crate::chaos) kills one part while another is still coming back; what it sees is a mixture. Here
//! every kill begins from a system at rest, under a load that leaves the processor mostly idle: what is measured is this
//! kill, and not the machine.

mod flow;
mod kill;
mod load;
mod report;
mod settled;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use rand::RngExt as _;
use tokio::time::sleep;

use crate::{Backlog, Counts, PATHS, Part, Ports, Stack, StackFile, StateDir};
use flow::Flow;
use load::SteadyLoad;
use settled::settled;
use target::{Setting, Target};

pub use report::RecoveryReport;

/// The backlog must get less all the time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills come at any phase of what happens at intervals.
const PHASE: Duration = Duration::from_secs(2);

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Kills of each target.
    pub kills: u16,
    /// Tweets per second meanwhile.
    pub rate: u32,
    /// Parts to kill, each in all of its settings; all parts where there is none.
    pub parts: Vec<Part>,
    /// Where data and logs are kept; what is there is deleted first.
    pub state_dir: PathBuf,
}

impl Measurement {
    /// Measures on stacks of its own, one after the other. Progress is told to `say`, a line for each kill.
    ///
    /// # Errors
    /// When a part cannot be started, tweets do not flow any more, or an accepted tweet was not counted. A missed goal is
    /// no error: the report tells it.
    pub async fn run(&self, say: impl Fn(String)) -> anyhow::Result<RecoveryReport> {
        let mut report = RecoveryReport::new(self.kills, self.rate);
        let mut by_setting = BTreeMap::<Setting, Vec<Target>>::new();
        for target in Target::ALL {
            if self.parts.is_empty() || self.parts.contains(&target.part) {
                by_setting.entry(target.setting).or_default().push(target);
            }
        }
        for (setting, targets) in by_setting {
            self.measure(setting, &targets, &mut report, &say).await?;
        }
        Ok(report)
    }

    async fn measure(
        &self,
        setting: Setting,
        targets: &[Target],
        report: &mut RecoveryReport,
        say: &impl Fn(String),
    ) -> anyhow::Result<()> {
        let stack = self.stack(setting).await?;
        let mut others = Vec::new();
        if setting == Setting::TwoReplicas {
            for target in targets {
                others.push(stack.start_second(target.part).await?);
            }
        }
        let load = SteadyLoad::start(stack.address(Part::Rest), self.rate);
        let flow = Flow::of(&load, stack.address(Part::Valkey));
        let kafka = stack.address(Part::Kafka);
        settled(&load, &flow, &kafka).await?;
        // All targets in turn, not one after the other: what changes with time meets them all.
        for round in 1..=self.kills {
            for &target in targets {
                sleep(PHASE.mul_f64(rand::rng().random())).await;
                let failures = load.failures();
                let recovery = kill::kill(&stack, target.part, &flow).await?;
                settled(&load, &flow, &kafka).await?;
                let failed = load.failures() - failures;
                say(format!(
                    "{round:>3}/{} {target}: ready after {} ms, flowing after {} ms, {failed} failed",
                    self.kills,
                    recovery.ready.as_millis(),
                    recovery.flowing().as_millis(),
                ));
                report.note(target, recovery, failed);
            }
        }
        let accepted = load.finish().await?;
        Backlog::drained(&StackFile::of(&stack), PATIENCE).await?;
        let mut counts = Counts::connect(&stack.address(Part::Valkey)).await?;
        for path in PATHS {
            let lost = counts.missing(path, &accepted).await?;
            ensure!(
                lost.is_empty(),
                "{path} lost {} tweets: {lost:?}",
                lost.len()
            );
        }
        for other in others {
            other.stop().await?;
        }
        stack.shutdown().await
    }

    async fn stack(&self, setting: Setting) -> anyhow::Result<Stack> {
        let state = StateDir::claim(&self.state_dir.join(setting.folder()))?;
        state.clear()?;
        let builder = Stack::builder().ports(Ports::Free).claimed(state);
        let builder = match setting {
            Setting::Plain => builder,
            Setting::TwoReplicas => builder.breakable(true),
            Setting::StaticMember => {
                builder.env(Part::ConsumerKafka, "CLIMA_KAFKA_INSTANCE", "consumer-0")
            }
        };
        builder.start().await
    }
}
