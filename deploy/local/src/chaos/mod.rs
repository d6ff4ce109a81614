//! An adversary against the promise: load from many clients, faults from a seed, and a verdict id by id.
//!
//! Clients send over REST and gRPC, at full speed, and write every answer down. Meanwhile parts are killed, paused,
//! cut off, doubled and halved. In the end everything drains, and three witnesses are compared: what the clients were told,
//! what the brokers were given (read by an audit that shares no code with the consumers), and what Valkey holds.

mod adversary;
mod aim;
mod audit;
mod campaign;
mod check;
mod clients;
mod evidence;
mod fault;
mod group;
mod holdings;
mod ledger;
mod logs;
mod published;
mod recount;
mod recovery;
mod report;
mod schedule;
mod tweets;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{Backlog, PATHS, Part, Ports, Stack, StackFile, StateDir};
use adversary::Adversary;
use campaign::Campaign;
use clients::{Clients, Door, Hurry};
use evidence::Witnesses;
use ledger::Ledger;
use logs::Logs;
use recovery::Watch;

pub use aim::Aim;
pub use report::ChaosReport;

/// The backlog must get less all the time, whole topics that are read again included.
const PATIENCE: Duration = Duration::from_secs(90);

/// RabbitMQ may spoil a queue when it is killed within about a second of its creation (docs/adr/0010), the audit's as well.
const SETTLE: Duration = Duration::from_secs(2);

/// One run.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Processes to kill.
    pub kills: u64,
    /// What faults and tweets are drawn from.
    pub seed: u64,
    /// Clients of the front.
    pub rest_clients: u16,
    /// Clients of the gateway.
    pub grpc_clients: u16,
    /// What to aim at, in place of faults drawn from the seed.
    pub aim: Option<Aim>,
    /// Where data and logs are; what is there is deleted first. A folder of its own by default.
    pub state_dir: Option<PathBuf>,
    /// Keeps data and logs in any case, not only where the promise was broken or the run failed.
    pub keep: bool,
}

impl Chaos {
    /// Runs on a stack of its own. Progress is told to `say`, a line for each fault. With `stop` nothing new begins: what
    /// was accepted until then is drained and checked.
    ///
    /// # Errors
    /// When a part cannot be started, nothing is accepted or counted any more, or the witnesses cannot be heard. A
    /// broken promise is no error: the report tells it. In both cases data and logs are kept, and it is told where.
    pub async fn run(
        &self,
        stop: CancellationToken,
        say: impl Fn(String),
    ) -> anyhow::Result<ChaosReport> {
        let stack = self.stack().await?;
        let outcome = self.attack(&stack, &stop, say).await;
        let kept = || format!("data and logs are kept in {}", stack.state_dir().display());
        match outcome {
            Ok(mut report) => {
                stack.shutdown().await?;
                if self.keep || !report.is_kept() {
                    stack.keep_state()?;
                    report.kept = Some(stack.state_dir().to_owned());
                } else {
                    stack.clear_state()?;
                }
                Ok(report)
            }
            Err(error) => {
                stack.keep_state()?;
                Err(error.context(kept()))
            }
        }
    }

    async fn attack(
        &self,
        stack: &Stack,
        stop: &CancellationToken,
        say: impl Fn(String),
    ) -> anyhow::Result<ChaosReport> {
        let began = Instant::now();
        let logs = Logs::follow(stack.state_dir().join("logs"), began);
        let ledger = Arc::new(Mutex::new(Ledger::new(began)));
        let audit = audit::RabbitmqAudit::start(&stack.rabbitmq_url()).await?;
        let hurry = Hurry::default();
        let clients = Clients::start(self.doors(stack), self.seed, &hurry, &ledger)?;
        let mut watch = Watch::new(&ledger, stack.address(Part::Valkey));
        watch.back(Instant::now()).await?;
        sleep(SETTLE).await;

        let mut campaign = Campaign::default();
        let adversary = Adversary::new(stack, hurry);
        if let Some(aim) = self.aim {
            say(format!("doing what would expose {}", aim.mistake.name()));
            aim.act(stack, &ledger, &adversary).await?;
        } else {
            let steps = schedule::draw(self.kills, self.seed);
            let tell = |number: usize, step: &schedule::Step| {
                let accepted = lock(&ledger).totals().accepted;
                let killed: u64 = steps[..=number].iter().map(|step| step.fault.kills()).sum();
                say(format!(
                    "{:>4}/{} {:>6.1} s  accepted={accepted} killed={killed}  {}",
                    number + 1,
                    steps.len(),
                    began.elapsed().as_secs_f32(),
                    step.fault
                ));
            };
            campaign
                .run(&steps, &adversary, &mut watch, began, stop, tell)
                .await?;
        }
        clients.finish().await?;
        let attacked = began.elapsed();
        say(format!(
            "{:.1} s: the load has ended, waiting until everything is counted",
            attacked.as_secs_f32()
        ));
        // What stands still is compared all the same: the verdict names the tweets.
        let drained = Backlog::drained(&StackFile::of(stack), PATIENCE).await;
        let undrained = drained.err().map(|error| format!("{error:#}"));

        say(format!(
            "{:.1} s: reading what the brokers were given",
            began.elapsed().as_secs_f32()
        ));
        let published = [
            audit::kafka(stack.address(Part::Kafka)).await?,
            audit.finish().await?,
        ];
        say(format!("{:.1} s: comparing", began.elapsed().as_secs_f32()));
        let valkey = stack.address(Part::Valkey);
        let ledger = take(&ledger);
        let mut verdicts = Vec::new();
        for (path, published) in PATHS.into_iter().zip(&published) {
            verdicts.push((path, check::path(&valkey, path, &ledger, published).await?));
        }
        let witnesses = Witnesses {
            ledger: &ledger,
            published: &published,
            valkey,
            done: &campaign.done,
            logs: &logs,
        };
        Ok(ChaosReport {
            chaos: self.clone(),
            evidence: witnesses.about(&verdicts).await?,
            attacked,
            elapsed: began.elapsed(),
            totals: ledger.totals(),
            done: campaign.done,
            recoveries: campaign.recoveries,
            verdicts,
            undrained,
            dead_letters: audit::dead_letters(stack).await?,
            kept: None,
        })
    }

    async fn stack(&self) -> anyhow::Result<Stack> {
        let mut builder = Stack::builder().ports(Ports::Free).breakable(true);
        if let Some(folder) = &self.state_dir {
            let state = StateDir::claim(folder)?;
            state.clear()?;
            builder = builder.claimed(state);
        }
        if let Some(aim) = self.aim {
            builder = aim.arm(builder)?;
        }
        builder.start().await.context("the system does not start")
    }

    fn doors(&self, stack: &Stack) -> Vec<Door> {
        let rest = Door::Rest(stack.address(Part::Rest));
        let grpc = Door::Grpc(stack.address(Part::Gateway));
        let mut doors = vec![rest; usize::from(self.rest_clients)];
        doors.extend(vec![grpc; usize::from(self.grpc_clients)]);
        doors
    }
}

/// The ledger as it is when nobody writes to it any more.
fn take(ledger: &Mutex<Ledger>) -> Ledger {
    std::mem::replace(&mut *lock(ledger), Ledger::new(Instant::now()))
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
