//! The steps of a run, one after the other and several at a time.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::adversary::Adversary;
use super::fault::Fault;
use super::recovery::{Recoveries, Recovery, Watch};
use super::schedule::Step;

/// Most faults at the same time. More would leave nothing that could accept a tweet.
const AT_ONCE: usize = 3;

/// How long a new tweet may take until it is counted before a kill that is to be timed. Where a long topic is being read
/// again it takes longer, and says nothing of the kill.
const CALM: Duration = Duration::from_secs(10);

/// A step that was done, with its times since the run began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) fault: Fault,
    pub(super) began: Duration,
    pub(super) ended: Duration,
}

/// What a campaign leaves.
#[derive(Debug, Default)]
pub(super) struct Campaign {
    /// In the order in which they ended.
    pub(super) done: Vec<Done>,
    pub(super) recoveries: Recoveries,
}

impl Campaign {
    /// Carries all steps out, or those that begin before `stop`. A step waits for those that it would undo, and there are
    /// never more than three at a time; one that is timed is alone. Times are told from `began` on, steps to `tell`.
    pub(super) async fn run(
        &mut self,
        steps: &[Step],
        adversary: &Adversary<'_>,
        watch: &mut Watch,
        began: Instant,
        stop: &CancellationToken,
        tell: impl Fn(usize, &Step),
    ) -> anyhow::Result<()> {
        let mut under_way = FuturesUnordered::new();
        let mut faults: Vec<Fault> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let quiet = sleep(step.after);
            tokio::pin!(quiet);
            let mut is_quiet = false;
            loop {
                let has_room = if step.measured {
                    faults.is_empty()
                } else {
                    faults.len() < AT_ONCE && !faults.iter().any(|fault| fault.clashes(step.fault))
                };
                if is_quiet && has_room {
                    break;
                }
                tokio::select! {
                    () = &mut quiet, if !is_quiet => is_quiet = true,
                    Some(done) = under_way.next() => self.note(done, &mut faults)?,
                    () = stop.cancelled() => break,
                }
            }
            if stop.is_cancelled() {
                break;
            }
            tell(number, step);
            if step.measured {
                let of_step = || format!("step {}: {}", number + 1, step.fault);
                let measured = measure(step.fault, adversary, watch, began);
                let (done, recovery) = measured.await.with_context(of_step)?;
                self.done.push(done);
                if let (Some(recovery), Fault::Kill(part)) = (recovery, step.fault) {
                    self.recoveries.note(part, recovery);
                }
            } else {
                faults.push(step.fault);
                under_way.push(act(number, step.fault, adversary, began));
            }
        }
        while let Some(done) = under_way.next().await {
            self.note(done, &mut faults)?;
        }
        Ok(())
    }

    fn note(&mut self, done: anyhow::Result<Done>, faults: &mut Vec<Fault>) -> anyhow::Result<()> {
        let done = done?;
        if let Some(place) = faults.iter().position(|fault| *fault == done.fault) {
            faults.swap_remove(place);
        }
        self.done.push(done);
        Ok(())
    }
}

async fn act(
    number: usize,
    fault: Fault,
    adversary: &Adversary<'_>,
    begin: Instant,
) -> anyhow::Result<Done> {
    let began = begin.elapsed();
    let done = adversary.act(fault).await;
    done.with_context(|| format!("step {}: {fault}", number + 1))?;
    Ok(Done {
        fault,
        began,
        ended: begin.elapsed(),
    })
}

/// Kills a part when counting is calm, and waits until it is calm again. What is not calm is not timed.
async fn measure(
    fault: Fault,
    adversary: &Adversary<'_>,
    watch: &mut Watch,
    begin: Instant,
) -> anyhow::Result<(Done, Option<Recovery>)> {
    let Fault::Kill(part) = fault else {
        anyhow::bail!("only kills of one part are timed");
    };
    let counted = timeout(CALM, watch.back(Instant::now())).await;
    let is_calm = matches!(counted, Ok(Ok(_)));
    let (began, killed) = (begin.elapsed(), Instant::now());
    let ready = adversary.kill(part).await?;
    let recovery = if is_calm {
        let (accepted, counted) = watch.back(killed).await?;
        Some(Recovery {
            ready,
            accepted,
            counted,
        })
    } else {
        None
    };
    let done = Done {
        fault,
        began,
        ended: begin.elapsed(),
    };
    Ok((done, recovery))
}
