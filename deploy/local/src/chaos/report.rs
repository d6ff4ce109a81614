//! What a run found, as a person reads it: on the terminal and, as Markdown, in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::campaign::Done;
use super::check::Verdict;
use super::ledger::Totals;
use super::recovery::Recoveries;
use super::{Aim, Chaos};
use crate::Part;

/// What a run found.
#[derive(Debug)]
pub struct ChaosReport {
    pub(super) chaos: Chaos,
    /// The faults that were done.
    pub(super) done: Vec<Done>,
    /// From the first request to the last.
    pub(super) attacked: Duration,
    /// The same, with draining and comparing.
    pub(super) elapsed: Duration,
    pub(super) totals: Totals,
    pub(super) recoveries: Recoveries,
    /// By path.
    pub(super) verdicts: Vec<(&'static str, Verdict)>,
    /// Why not everything was delivered and acknowledged in the end, if so.
    pub(super) undrained: Option<String>,
    /// By path.
    pub(super) dead_letters: [u64; 2],
    /// What is known of every id with which something is wrong, as Markdown.
    pub(super) evidence: String,
    /// Where data and logs are, if they were kept.
    pub(super) kept: Option<PathBuf>,
}

impl ChaosReport {
    /// Whether the promise was kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.dead_letters == [0, 0]
            && self.undrained.is_none()
            && self
                .verdicts
                .iter()
                .all(|(_, verdict)| verdict.is_kept(self.totals.nameless))
    }

    /// Answers that said OK.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.totals.accepted
    }

    /// Where data and logs are, if they were kept.
    #[must_use]
    pub fn kept(&self) -> Option<&Path> {
        self.kept.as_deref()
    }

    /// The last line of a run.
    #[must_use]
    pub fn summary(&self) -> String {
        let sum = |of: fn(&Verdict) -> u64| -> u64 {
            self.verdicts.iter().map(|(_, verdict)| of(verdict)).sum()
        };
        format!(
            "lost={} doubled={} counted_against_word={} differences={} dead_letters={} accepted={} ambiguous={} kills={} seed={}",
            sum(Verdict::lost),
            sum(|it| it.doubled),
            sum(|it| it.counted_against_word.len() as u64),
            sum(|it| it.differences.len() as u64),
            self.dead_letters.iter().sum::<u64>(),
            self.totals.accepted,
            self.totals.ambiguous,
            self.kills(),
            self.chaos.seed,
        )
    }

    fn kills(&self) -> u64 {
        let drawn: u64 = self.done.iter().map(|done| done.fault.kills()).sum();
        drawn + self.chaos.aim.map_or(0, Aim::kills)
    }

    /// How often each kind of fault was done.
    fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for done in &self.done {
            *kinds.entry(done.fault.kind()).or_default() += 1;
        }
        kinds
    }

    /// How often each part was killed, in whatever way.
    fn killed(&self) -> BTreeMap<Part, usize> {
        let mut killed = BTreeMap::new();
        for part in self.done.iter().flat_map(|done| done.fault.killed()) {
            *killed.entry(part).or_default() += 1;
        }
        killed
    }
}

impl fmt::Display for ChaosReport {
    /// Markdown, which reads well on a terminal too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals {
            requests,
            hurried,
            accepted,
            refused,
            ambiguous,
            nameless,
        } = self.totals;
        writeln!(
            f,
            "Seed {}, {} clients on REST and {} on gRPC, {:.0} s under attack, {:.0} s with draining and comparing.\n",
            self.chaos.seed,
            self.chaos.rest_clients,
            self.chaos.grpc_clients,
            self.attacked.as_secs_f32(),
            self.elapsed.as_secs_f32()
        )?;
        if let Some(aim) = self.chaos.aim {
            writeln!(f, "{aim}")?;
        } else {
            writeln!(f, "| fault | times |\n|---|---|")?;
        }
        for (kind, times) in self.kinds() {
            writeln!(f, "| {kind} | {times} |")?;
        }
        writeln!(f, "\n| part | killed |\n|---|---|")?;
        for (part, times) in self.killed() {
            writeln!(f, "| {part} | {times} |")?;
        }
        writeln!(
            f,
            "\n{requests} requests, {hurried} of them with a deadline of 1 to 500 ms: {accepted} accepted, {refused} refused \
             as NOT_COUNTED, {ambiguous} open ({nameless} of them without an id).\n"
        )?;
        writeln!(
            f,
            "| path | records | counted | lost in the broker | lost before it | doubled | counted against the word | unknown | differences | dead letters |\n\
             |---|---|---|---|---|---|---|---|---|---|"
        )?;
        for ((path, it), dead) in self.verdicts.iter().zip(self.dead_letters) {
            writeln!(
                f,
                "| {path} | {} | {} | {} | {} | {} | {} | {} | {} | {dead} |",
                it.records,
                it.counted,
                it.not_counted.len() as u64 + it.uncounted,
                it.not_given.len(),
                it.doubled,
                it.counted_against_word.len(),
                it.unknown,
                it.differences.len(),
            )?;
        }
        for (path, it) in &self.verdicts {
            for difference in &it.differences {
                writeln!(f, "\n{path}: {difference}")?;
            }
            if it.forgotten > 0 {
                writeln!(
                    f,
                    "\n{path}: {} accepted tweets are counted, but the broker does not have them",
                    it.forgotten
                )?;
            }
        }
        if let Some(why) = &self.undrained {
            writeln!(f, "\nNot everything was acknowledged in the end: {why}")?;
        }
        f.write_str(&self.evidence)?;
        if self.chaos.aim.is_some() {
            return Ok(());
        }
        writeln!(
            f,
            "\nAfter kills of one part alone, in ms (median, 99th percentile):\n\n\
             | part | kills | ready | a new tweet is accepted | and counted on both paths |\n|---|---|---|---|---|"
        )?;
        for (part, kills, times) in self.recoveries.summary() {
            let [ready, accepted, counted] =
                times.map(|[p50, p99]| format!("{}, {}", p50.as_millis(), p99.as_millis()));
            writeln!(f, "| {part} | {kills} | {ready} | {accepted} | {counted} |")?;
        }
        Ok(())
    }
}
