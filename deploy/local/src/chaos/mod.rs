//! An adversary against the promise: load from many clients, faults from a seed, and a verdict id by id.
//!
//! Clients send over REST and gRPC, at full speed, and write every answer down. Meanwhile parts are killed, paused,
//! cut off and doubled. In the end everything drains, and three witnesses are compared: what the clients were told,
//! what the brokers were given (read by an audit that shares no code with the consumers), and what Valkey holds.

mod adversary;
mod aim;
mod audit;
mod check;
mod clients;
mod group;
mod holdings;
mod ledger;
mod recount;
mod recovery;
mod report;
mod schedule;
mod tweets;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{Backlog, PATHS, Part, Ports, Stack, StackFile, StateDir};
use adversary::Adversary;
use clients::{Clients, Door};
use ledger::Ledger;
use recovery::Watch;

pub use aim::Aim;
pub use report::ChaosReport;

/// The backlog must get less all the time; a rewound group has the whole topic before it.
const PATIENCE: Duration = Duration::from_secs(90);

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
    /// Where data and logs are kept; what is there is deleted first. A folder that goes with the run by default.
    pub state_dir: Option<PathBuf>,
}

impl Chaos {
    /// Runs on a stack of its own. Progress is told to `say`, a line for each fault.
    ///
    /// # Errors
    /// When a part cannot be started, nothing is accepted or counted any more, or the witnesses cannot be heard. A
    /// broken promise is no error: the report tells it.
    pub async fn run(&self, say: impl Fn(String)) -> anyhow::Result<ChaosReport> {
        let begun = Instant::now();
        let stack = self.stack().await?;
        let ledger = Arc::<Mutex<Ledger>>::default();
        let audit = audit::RabbitmqAudit::start(&stack.rabbitmq_url()).await?;
        let clients = Clients::start(self.doors(&stack), self.seed, &ledger)?;

        let mut adversary =
            Adversary::new(&stack, Watch::new(&ledger, stack.address(Part::Valkey)));
        let steps = match self.aim {
            Some(aim) => {
                say(format!("doing what would expose {}", aim.mistake.name()));
                aim.act(&stack, &ledger, &mut adversary).await?;
                Vec::new()
            }
            None => schedule::draw(self.kills, self.seed),
        };
        let mut killed = 0;
        for (number, step) in steps.iter().enumerate() {
            killed += step.fault.kills();
            let accepted = lock(&ledger).totals().accepted;
            say(format!(
                "{:>4}/{} {:>6.1} s  accepted={accepted} killed={killed}  {}",
                number + 1,
                steps.len(),
                begun.elapsed().as_secs_f32(),
                step.fault
            ));
            adversary
                .act(step)
                .await
                .with_context(|| format!("step {}: {}", number + 1, step.fault))?;
        }
        clients.finish().await?;
        say(format!(
            "{:.1} s: the load has ended, waiting until everything is counted",
            begun.elapsed().as_secs_f32()
        ));
        Backlog::drained(&StackFile::of(&stack), PATIENCE).await?;

        say("reading what the brokers were given".to_owned());
        let published = [
            audit::kafka(stack.address(Part::Kafka)).await?,
            audit.finish().await?,
        ];
        say("comparing".to_owned());
        let valkey = stack.address(Part::Valkey);
        let ledger = take(&ledger);
        let mut verdicts = Vec::new();
        for (path, published) in PATHS.into_iter().zip(&published) {
            verdicts.push((path, check::path(&valkey, path, &ledger, published).await?));
        }
        let dead_letters = audit::dead_letters(&stack).await?;
        let report = ChaosReport {
            chaos: self.clone(),
            steps,
            elapsed: begun.elapsed(),
            totals: ledger.totals(),
            recoveries: adversary.recoveries,
            verdicts,
            dead_letters,
        };
        stack.shutdown().await?;
        Ok(report)
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
        builder.start().await
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
    std::mem::take(&mut *lock(ledger))
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
