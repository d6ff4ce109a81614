//! How long it takes after a kill until accepted tweets flow again, and until they are counted again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ledger::{Accepted, Ledger};
use crate::counts::BitWatch;
use crate::{PATHS, Part};

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a bit.
const POLL: Duration = Duration::from_millis(5);

/// One recovery, measured from the kill on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovery {
    /// Until the part was ready again: the start of a process, mostly.
    pub(super) ready: Duration,
    /// Until a tweet that was sent after the kill was accepted.
    pub(super) accepted: Duration,
    /// Until that tweet was counted on both paths.
    pub(super) counted: Duration,
}

/// The recoveries of a run, by what was killed.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    by_part: BTreeMap<Part, Vec<Recovery>>,
}

impl Recoveries {
    pub(super) fn note(&mut self, part: Part, recovery: Recovery) {
        self.by_part.entry(part).or_default().push(recovery);
    }

    /// For each part: how often it was killed, and the median and the 99th percentile of each time.
    pub(super) fn summary(&self) -> impl Iterator<Item = (Part, usize, [[Duration; 2]; 3])> + '_ {
        self.by_part.iter().map(|(part, all)| {
            let of = |time: fn(&Recovery) -> Duration| {
                let mut times: Vec<_> = all.iter().map(time).collect();
                times.sort_unstable();
                [0.5, 0.99].map(|share| times[((times.len() - 1) as f64 * share).ceil() as usize])
            };
            let times = [of(|it| it.ready), of(|it| it.accepted), of(|it| it.counted)];
            (*part, all.len(), times)
        })
    }
}

/// Watches recoveries.
pub(super) struct Watch {
    newest: watch::Receiver<Option<Accepted>>,
    bits: BitWatch,
}

impl Watch {
    /// Follows what the ledger takes in, and the Valkey at this `host:port`.
    pub(super) fn new(ledger: &Arc<Mutex<Ledger>>, valkey: String) -> Self {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            newest: ledger.newest(),
            bits: BitWatch::new(valkey),
        }
    }

    /// Waits until a tweet sent after `killed` was accepted, and then until it was counted on both paths.
    pub(super) async fn back(&mut self, killed: Instant) -> anyhow::Result<(Duration, Duration)> {
        let sent_after = |newest: &Option<Accepted>| newest.is_some_and(|it| it.sent > killed);
        let Ok(Ok(newest)) = timeout(PATIENCE, self.newest.wait_for(sent_after)).await else {
            bail!("no tweet was accepted for {PATIENCE:?}");
        };
        let id = newest.map(|newest| newest.id);
        drop(newest);
        let Some(id) = id else {
            bail!("the ledger has no accepted tweet")
        };
        let accepted = killed.elapsed();
        for path in PATHS {
            while !self.bits.is_counted(path, id).await {
                if killed.elapsed() > 2 * PATIENCE {
                    bail!("{id} is not counted on {path} after {:?}", killed.elapsed());
                }
                sleep(POLL).await;
            }
        }
        Ok((accepted, killed.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_median_and_worst_of_a_few() {
        let mut recoveries = Recoveries::default();
        for millis in [30, 10, 20] {
            let time = Duration::from_millis(millis);
            recoveries.note(
                Part::Kafka,
                Recovery {
                    ready: time,
                    accepted: time * 2,
                    counted: time * 3,
                },
            );
        }
        let all: Vec<_> = recoveries.summary().collect();
        let ms = Duration::from_millis;
        let expected = [[ms(20), ms(30)], [ms(40), ms(60)], [ms(60), ms(90)]];
        assert_eq!(all, [(Part::Kafka, 3, expected)]);
    }
}
