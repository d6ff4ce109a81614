//! What a run found, goal by goal: on the terminal and, as Markdown, in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::cores::Cores;
use super::generator::{Offered, Outcome};
use super::{CLIENTS, Overload, settling};
use crate::Part;

/// The least that is offered, as a multiple of the best rate.
const OFFERED: f64 = 10.0;
/// The least that is accepted meanwhile, as a share of the best rate.
const KEPT: f64 = 0.8;
/// The most memory that a service of ours may ever have.
const MEMORY: u64 = 64 << 20;
/// The longest time until all is normal again.
const SETTLED: Duration = Duration::from_secs(2);

/// What became of the accepted tweets on one path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    /// All that the path has counted.
    pub(super) counted: u64,
    /// Accepted ids that it has not.
    pub(super) missing: u64,
}

/// What a run found.
#[derive(Debug)]
pub struct OverloadReport {
    pub(super) overload: Overload,
    pub(super) cores: Cores,
    /// Accepted tweets a second, in a closed loop.
    pub(super) best: f64,
    pub(super) before: Offered,
    pub(super) offered: Offered,
    pub(super) after: Offered,
    /// From the last answer until everything was counted.
    pub(super) drained: Duration,
    pub(super) told_accepted: u64,
    pub(super) told_ambiguous: u64,
    /// By path.
    pub(super) lost: BTreeMap<&'static str, Lost>,
    /// Most resident memory of each part, in bytes.
    pub(super) peak: BTreeMap<Part, u64>,
    /// CPU time that each part used for the three phases of the open loop.
    pub(super) cpu: BTreeMap<Part, Duration>,
}

struct Goal {
    what: String,
    goal: String,
    measured: String,
    met: bool,
}

impl OverloadReport {
    /// Whether every goal was met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.goals().iter().all(|goal| goal.met)
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = vec![self.load(), self.answers(), self.kept(), self.settled()];
        goals.extend(Part::SERVICES.map(|part| self.memory(part)));
        goals.extend(
            self.lost
                .iter()
                .map(|(path, lost)| self.counted(path, *lost)),
        );
        goals
    }

    fn load(&self) -> Goal {
        let times = self.offered.due_rate() / self.best;
        let outcomes = self.offered.outcomes();
        let refused: u64 = outcomes
            .iter()
            .filter(|(outcome, _)| **outcome != Outcome::Accepted)
            .map(|(_, count)| count)
            .sum();
        Goal {
            what: "requests that were due, in best rates, and some of them refused".to_owned(),
            goal: format!("≥ {OFFERED}"),
            measured: format!(
                "{times:.1} ({:.0}/s, {:.0}/s of them sent), {refused} refused",
                self.offered.due_rate(),
                self.offered.rate()
            ),
            // Where nothing is refused, the best rate was not the best.
            met: times >= OFFERED && refused > 0,
        }
    }

    /// Shedding is 429 or 503 with `Retry-After`, and says that the tweet is not counted.
    fn answers(&self) -> Goal {
        let others: u64 = self
            .offered
            .outcomes()
            .into_iter()
            .filter(|(outcome, _)| !is_accepted_or_shed(*outcome))
            .map(|(_, count)| count)
            .sum();
        Goal {
            what: "answers other than 200, and 429 or 503 with Retry-After and NOT_COUNTED"
                .to_owned(),
            goal: "0".to_owned(),
            measured: others.to_string(),
            met: others == 0,
        }
    }

    fn kept(&self) -> Goal {
        let (accepted, best) = (self.offered.accepted_rate(), self.best);
        Goal {
            what: "accepted meanwhile, of the best rate".to_owned(),
            goal: format!("≥ {:.0} %", KEPT * 100.0),
            measured: format!(
                "{:.0} % ({accepted:.0} of {best:.0}/s)",
                accepted / best * 100.0
            ),
            met: accepted >= best * KEPT,
        }
    }

    fn settled(&self) -> Goal {
        let before = self.before.quantile(0.99, |_| true);
        let settled = settling::time(&self.after, settling::normal(before));
        Goal {
            what: "normal again after the overload".to_owned(),
            goal: format!("≤ {} s", SETTLED.as_secs()),
            measured: settled.map_or("not at all".to_owned(), |time| {
                format!("{:.2} s", time.as_secs_f64())
            }),
            met: settled.is_some_and(|time| time <= SETTLED),
        }
    }

    fn memory(&self, part: Part) -> Goal {
        let peak = self.peak.get(&part).copied();
        Goal {
            what: format!("most memory of {part}"),
            goal: format!("≤ {} MiB", MEMORY >> 20),
            measured: peak.map_or("not known".to_owned(), |peak| {
                format!("{:.1} MiB", peak as f64 / f64::from(1 << 20))
            }),
            met: peak.is_some_and(|peak| peak <= MEMORY),
        }
    }

    fn counted(&self, path: &str, lost: Lost) -> Goal {
        let Lost { counted, missing } = lost;
        let most = self.told_accepted + self.told_ambiguous;
        Goal {
            what: format!("accepted tweets and counted ones, {path}"),
            goal: format!("{} to {most}, none missing", self.told_accepted),
            measured: format!("{counted}, {missing} missing"),
            met: missing == 0 && (self.told_accepted..=most).contains(&counted),
        }
    }
}

fn is_accepted_or_shed(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Accepted => true,
        Outcome::Refused {
            status,
            not_counted,
            retry_after,
        } => matches!(status, 429 | 503) && not_counted && retry_after,
        Outcome::Broken | Outcome::Silent => false,
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => write!(f, "200"),
            Self::Refused {
                status,
                not_counted,
                retry_after,
            } => {
                let fate = if *not_counted { "NOT" } else { "MAYBE" };
                let after = if *retry_after { "with" } else { "without" };
                write!(f, "{status} {fate}_COUNTED {after} Retry-After")
            }
            Self::Broken => write!(f, "connection lost"),
            Self::Silent => write!(f, "no answer"),
        }
    }
}

impl fmt::Display for OverloadReport {
    /// Markdown, which reads well on a terminal too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.overload.time.as_secs();
        writeln!(
            f,
            "Best rate: the fastest of closed loops with {CLIENTS:?} clients, {time} s each. Overload: {time} s of an open loop of \
             {:.1} best rates over {} connections, between two phases at a fifth of the best rate; {}.\n",
            self.overload.times, self.overload.connections, self.cores
        )?;
        writeln!(f, "| | goal | measured | met |\n|---|---|---|---|")?;
        for Goal {
            what,
            goal,
            measured,
            met,
        } in self.goals()
        {
            let met = if met { "yes" } else { "**no**" };
            writeln!(f, "| {what} | {goal} | {measured} | {met} |")?;
        }
        writeln!(
            f,
            "\n| phase | sent/s | accepted/s | p50, p99 of accepted, ms | p50, p99 of refused, ms | CPU of the generator |\n\
             |---|---|---|---|---|---|"
        )?;
        for (name, phase) in [
            ("before", &self.before),
            ("overload", &self.offered),
            ("after", &self.after),
        ] {
            writeln!(
                f,
                "| {name} | {:.0} | {:.0} | {} | {} | {:.0} % of a core |",
                phase.rate(),
                phase.accepted_rate(),
                quantiles(phase, true),
                quantiles(phase, false),
                phase.cpu.as_secs_f64() / phase.elapsed.as_secs_f64() * 100.0
            )?;
        }
        writeln!(f, "\n| answer during the overload | times |\n|---|---|")?;
        for (outcome, count) in self.offered.outcomes() {
            writeln!(f, "| {outcome} | {count} |")?;
        }
        let Offered {
            unsent,
            refused_connections,
            ..
        } = self.offered;
        writeln!(
            f,
            "| not sent when it was due: all connections waited for an answer | {unsent} |"
        )?;
        writeln!(f, "| connection refused | {refused_connections} |")?;
        writeln!(f, "\n| part | most memory, MiB | CPU, s |\n|---|---|---|")?;
        for (part, peak) in &self.peak {
            let cpu = self.cpu.get(part).copied().unwrap_or_default();
            let mib = *peak as f64 / f64::from(1 << 20);
            writeln!(f, "| {part} | {mib:.1} | {:.1} |", cpu.as_secs_f64())?;
        }
        writeln!(
            f,
            "\nEverything was counted {:.1} s after the last answer.",
            self.drained.as_secs_f64()
        )
    }
}

fn quantiles(phase: &Offered, accepted: bool) -> String {
    let of =
        |request: &super::generator::Request| (request.outcome == Outcome::Accepted) == accepted;
    let millis = |share| phase.quantile(share, of).as_secs_f64() * 1e3;
    format!("{:.1}, {:.1}", millis(0.5), millis(0.99))
}
