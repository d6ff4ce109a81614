//! Far more than the system can carry: what it accepts meanwhile, what it tells the others, what it costs, and how soon
//! all is normal again.
//!
//! The load is an open loop: each request is started at its time, whatever became of those before it. A machine
//! that has a core to spare gives it to the load generator, and the others to the system, in every phase of a run: the
//! generator's own work then takes nothing from the system, and the rates of two phases can be compared.

mod connection;
mod cores;
mod generator;
mod report;
mod settling;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clima_proto::id::TweetId;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::load::{Load, Until};
use crate::{Backlog, Counts, PATHS, Part, Ports, Stack, StackFile, StateDir, proc_fs};
use cores::Cores;
use generator::{Generator, Offered, Phase};
use report::Lost;

pub use report::OverloadReport;

/// The backlog must get less all the time.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the system is used before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// Clients of the closed loops, of which the fastest is the best rate. All are fewer than the front lets in at a time.
const CLIENTS: [usize; 3] = [100, 300, 900];
/// A load that is no burden, as a share of the best rate, and how long it lasts.
const MODEST: f64 = 0.2;
const MODEST_FOR: Duration = Duration::from_secs(5);

/// One run.
#[derive(Debug, Clone)]
pub struct Overload {
    /// The offered rate, as a multiple of the best one.
    pub times: f64,
    /// Connections that offer it. More than the front's limit of requests in flight.
    pub connections: usize,
    /// Length of the overload, and of each closed loop.
    pub time: Duration,
    /// Where data and logs are kept; what is there is deleted first.
    pub state_dir: PathBuf,
}

impl Overload {
    /// Runs on a stack of its own. Progress is told to `say`.
    ///
    /// # Errors
    /// When a part cannot be started, or nothing is counted any more. A goal that is missed is no error: the report tells it.
    pub async fn run(&self, say: impl Fn(String)) -> anyhow::Result<OverloadReport> {
        // Before anything is started, which inherits it.
        raise_limit_of_files()?;
        let state = StateDir::claim(&self.state_dir)?;
        state.clear()?;
        let stack = Stack::builder()
            .ports(Ports::Free)
            .claimed(state)
            .start()
            .await?;
        let cores = Cores::divide(&stack)?;
        let address = stack.address(Part::Rest);

        say("warming up".to_owned());
        let mut told = Told::default();
        told.closed_loop(&closed_loop(&address, CLIENTS[0], WARM_UP))
            .await;
        let mut best = 0.0_f64;
        for clients in CLIENTS {
            let rate = told
                .closed_loop(&closed_loop(&address, clients, self.time))
                .await;
            say(format!("{clients} clients in a closed loop: {rate:.0}/s"));
            best = best.max(rate);
        }
        ensure!(best > 0.0, "nothing is accepted, even without a burden");

        let modest = Phase {
            rate: best * MODEST,
            time: MODEST_FOR,
        };
        let far_too_much = Phase {
            rate: best * self.times,
            time: self.time,
        };
        say(format!(
            "{:.0}/s, then {:.0}/s, then {:.0}/s again",
            modest.rate, far_too_much.rate, modest.rate
        ));
        let cpu = cpu(&stack);
        let phases = self.offer(&address, vec![modest, far_too_much, modest]);
        let [before, offered, after] = <[Offered; 3]>::try_from(phases.await?)
            .map_err(|_| anyhow::anyhow!("a phase is missing"))?;
        let cpu = used_since(&cpu, &stack);

        say("waiting until everything is counted".to_owned());
        let drained = Instant::now();
        Backlog::drained(&StackFile::of(&stack), PATIENCE).await?;
        let drained = drained.elapsed();
        for phase in [&before, &offered, &after] {
            told.offered(phase);
        }
        let report = OverloadReport {
            overload: self.clone(),
            cores,
            best,
            lost: lost(&stack, &told).await?,
            told_accepted: told.accepted.len() as u64,
            told_ambiguous: told.ambiguous,
            peak: peak(&stack),
            cpu,
            before,
            offered,
            after,
            drained,
        };
        stack.shutdown().await?;
        Ok(report)
    }

    async fn offer(&self, address: &str, phases: Vec<Phase>) -> anyhow::Result<Vec<Offered>> {
        let generator = Generator {
            address: address.to_owned(),
            connections: self.connections,
            phases,
        };
        // A thread of its own: nothing else may delay a request that is due.
        tokio::task::spawn_blocking(move || generator.run()).await?
    }
}

/// As many open files as this user may have: each connection is one, here and in the front.
fn raise_limit_of_files() -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

fn closed_loop(address: &str, clients: usize, time: Duration) -> Load {
    Load {
        address: address.to_owned(),
        clients,
        until: Until::Elapsed(time),
        keys: false,
    }
}

/// What clients were told, over all phases.
#[derive(Debug, Default)]
struct Told {
    accepted: Vec<TweetId>,
    ambiguous: u64,
}

impl Told {
    /// Runs this load and returns its rate.
    async fn closed_loop(&mut self, load: &Load) -> f64 {
        let report = load.run().await;
        self.accepted.extend(report.accepted());
        self.ambiguous += report.ambiguous_count();
        report.rate()
    }

    fn offered(&mut self, offered: &Offered) {
        self.accepted.extend(&offered.accepted);
        self.ambiguous += offered.ambiguous();
    }
}

/// What was accepted and is not counted, and what is counted twice, for each path.
async fn lost(stack: &Stack, told: &Told) -> anyhow::Result<BTreeMap<&'static str, Lost>> {
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await?;
    let totals = counts.totals().await?;
    let mut lost = BTreeMap::new();
    for (path, counted) in PATHS.into_iter().zip([totals.kafka, totals.rabbitmq]) {
        let missing = counts.missing(path, &told.accepted).await?.len() as u64;
        lost.insert(path, Lost { counted, missing });
    }
    Ok(lost)
}

fn peak(stack: &Stack) -> BTreeMap<Part, u64> {
    stack
        .parts()
        .filter_map(|part| Some((part, proc_fs::peak_resident_bytes(stack.pid(part)?)?)))
        .collect()
}

fn cpu(stack: &Stack) -> BTreeMap<Part, Duration> {
    stack
        .parts()
        .filter_map(|part| Some((part, stack.cpu_time(part)?)))
        .collect()
}

fn used_since(before: &BTreeMap<Part, Duration>, stack: &Stack) -> BTreeMap<Part, Duration> {
    let mut used = cpu(stack);
    for (part, time) in &mut used {
        *time = time.saturating_sub(before.get(part).copied().unwrap_or_default());
    }
    used
}
