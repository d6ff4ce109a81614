//! What was measured, against the goals; as Markdown, which reads well on a terminal too.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::kill::Recovery;
use super::target::{Goal, Target};

/// What was measured.
#[derive(Debug)]
pub struct RecoveryReport {
    kills: u16,
    rate: u32,
    rows: BTreeMap<Target, Row>,
}

/// All kills of one target.
#[derive(Debug, Default)]
struct Row {
    recoveries: Vec<Recovery>,
    failed: u64,
}

impl RecoveryReport {
    pub(super) fn new(kills: u16, rate: u32) -> Self {
        Self {
            kills,
            rate,
            rows: BTreeMap::new(),
        }
    }

    pub(super) fn note(&mut self, target: Target, recovery: Recovery, failed: u64) {
        let row = self.rows.entry(target).or_default();
        row.recoveries.push(recovery);
        row.failed += failed;
    }

    /// The targets that missed their goals, each in words.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        let rows = self.rows.iter();
        let missed = rows.filter(|(target, row)| !row.is_met(target.goal()));
        missed
            .map(|(target, row)| {
                let goal = target.goal();
                let worst = row.worst(goal).as_millis();
                format!(
                    "{target}: {goal}; the worst took {worst} ms, {} requests failed",
                    row.failed
                )
            })
            .collect()
    }
}

impl Row {
    fn times(&self, time: impl Fn(&Recovery) -> Duration) -> Times {
        Times::of(self.recoveries.iter().map(time))
    }

    /// The 99th percentile of what the goal is about.
    fn worst(&self, goal: Goal) -> Duration {
        self.times(|recovery| since(goal, recovery, recovery.flowing()))
            .p99
    }

    fn is_met(&self, goal: Goal) -> bool {
        match goal {
            Goal::AfterKill(limit) | Goal::AfterOpen(limit) => self.worst(goal) < limit,
            Goal::Unnoticed(limit) => self.worst(goal) < limit && self.failed == 0,
        }
    }
}

/// A time of a recovery, from where its goal begins to count.
fn since(goal: Goal, recovery: &Recovery, time: Duration) -> Duration {
    match (goal, recovery.open) {
        // Valkey may be needed for nothing before it is back.
        (Goal::AfterOpen(_), Some(open)) => time.saturating_sub(open),
        _ => time,
    }
}

/// Of several times: the median, the 99th percentile and the longest, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Self {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [self.p50, self.p99, self.max].map(|time| time.as_millis());
        write!(f, "{p50} / {p99} / {max}")
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} kills of each, at {} tweets per second. Times in ms: median / 99th percentile / longest, from SIGKILL on.\n\n\
             | killed | ready | a new tweet is accepted | counted from Kafka | counted from RabbitMQ | requests failed |\n\
             |---|---|---|---|---|---|",
            self.kills, self.rate
        )?;
        for (target, row) in &self.rows {
            writeln!(
                f,
                "| {target} | {} | {} | {} | {} | {} |",
                row.times(|it| it.ready),
                row.times(|it| it.accepted),
                row.times(|it| it.counted[0]),
                row.times(|it| it.counted[1]),
                row.failed,
            )?;
        }
        writeln!(
            f,
            "\nUntil tweets flow from one end to the other, against the goal:\n\n\
             | killed | takes connections | flows, counted as the goal does | goal | met |\n|---|---|---|---|---|"
        )?;
        for (target, row) in &self.rows {
            let goal = target.goal();
            let open = match goal {
                Goal::AfterOpen(_) => row.times(|it| it.open.unwrap_or_default()).to_string(),
                Goal::AfterKill(_) | Goal::Unnoticed(_) => "–".to_owned(),
            };
            let flows = row.times(|it| since(goal, it, it.flowing()));
            let met = if row.is_met(goal) { "yes" } else { "NO" };
            writeln!(f, "| {target} | {open} | {flows} | {goal} | {met} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn target(part: Part) -> Target {
        let of_part = |target: &Target| target.part == part;
        Target::ALL.into_iter().find(of_part).unwrap()
    }

    fn recovery(open: Option<u64>, accepted: u64, kafka: u64) -> Recovery {
        Recovery {
            ready: MS(1),
            open: open.map(MS),
            accepted: MS(accepted),
            counted: [MS(kafka), MS(accepted)],
        }
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = Times::of((1..=200).rev().map(MS));
        assert_eq!(
            (times.p50, times.p99, times.max),
            (MS(100), MS(198), MS(200))
        );
        let one = Times::of([MS(7)].into_iter());
        assert_eq!((one.p50, one.p99, one.max), (MS(7), MS(7), MS(7)));
    }

    #[test]
    fn the_slower_path_decides_whether_a_goal_is_met() {
        let mut report = RecoveryReport::new(2, 100);
        report.note(target(Part::Gateway), recovery(None, 100, 999), 0);
        assert!(report.missed().is_empty());
        report.note(target(Part::Gateway), recovery(None, 100, 1_001), 0);
        assert_eq!(report.missed().len(), 1);
    }

    #[test]
    fn a_server_is_measured_from_the_moment_on_at_which_it_takes_connections() {
        let mut report = RecoveryReport::new(1, 100);
        report.note(target(Part::Kafka), recovery(Some(4_000), 5_000, 5_900), 0);
        assert!(report.missed().is_empty(), "{report}");
        report.note(target(Part::Valkey), recovery(Some(100), 50, 2_101), 0);
        assert_eq!(report.missed().len(), 1, "{report}");
    }

    #[test]
    fn one_of_two_replicas_may_not_fail_a_request() {
        let mut report = RecoveryReport::new(1, 100);
        let one_of_two = Target::ALL[11];
        report.note(one_of_two, recovery(None, 10, 20), 0);
        assert!(report.missed().is_empty());
        report.note(one_of_two, recovery(None, 10, 20), 1);
        assert_eq!(report.missed().len(), 1);
    }
}
