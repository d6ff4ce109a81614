//! A broker that has been away for longer than a restart takes: what more can be refused at once.
//!
//! A short outage is a slow answer, since attempts are repeated until the deadline. In a long one that would only let
//! every caller wait in vain, and hold a place meanwhile. So once nothing has been confirmed for [`LONG`], a tweet is
//! tried now and then, and the others are refused before they are handed over. The first confirmation ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Longer than a broker needs for a restart, shorter than the default deadline.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// Between two tweets that are tried in a long outage.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// How long a tweet that is tried is waited for: as long as the gateway waits for an attempt. A broker that confirms later
/// than that is of no use to it either.
pub(crate) const TRY_FOR: Duration = Duration::from_secs(4);

/// A broker that has not confirmed for this long does not answer. A caller that gives up sooner proves nothing.
const SILENCE: Duration = Duration::from_secs(1);

/// What is known of the broker by what became of the tweets that it was handed.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// Whether there is one: read for every tweet, without the lock.
    begun: AtomicBool,
    failing: Mutex<Option<Failing>>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    next_try: Instant,
}

/// What is to be done with a tweet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it over.
    Publish,
    /// Hand it over, for [`TRY_FOR`] at most: somebody has to find out.
    Try,
    /// Refuse it.
    Hold,
}

impl Outage {
    /// What is to be done with a tweet that came now.
    pub(crate) fn verdict(&self, now: Instant) -> Verdict {
        if !self.begun.load(Ordering::Relaxed) {
            return Verdict::Publish;
        }
        match &mut *self.failing.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failing) if now.duration_since(failing.since) >= LONG => {
                if now < failing.next_try {
                    return Verdict::Hold;
                }
                failing.next_try = now + TRY_EVERY;
                Verdict::Try
            }
            _ => Verdict::Publish,
        }
    }

    /// A tweet that was handed over then was confirmed.
    pub(crate) fn confirmed(&self) {
        if self.begun.load(Ordering::Relaxed) && self.begun.swap(false, Ordering::Relaxed) {
            *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// One that was handed over at `since` failed for want of a broker.
    pub(crate) fn failed(&self, since: Instant) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.is_none() {
            *failing = Some(Failing {
                since,
                next_try: since,
            });
        }
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Nobody waits any more for one that was handed over at `since`.
    pub(crate) fn silent(&self, since: Instant, now: Instant) {
        if now.duration_since(since) >= SILENCE {
            self.failed(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn in_a_long_outage_a_tweet_is_tried_now_and_then_until_one_is_confirmed() {
        let (outage, begun) = (Outage::default(), Instant::now());
        outage.failed(begun);
        outage.failed(begun + LONG);
        for (after, verdict) in [
            (Duration::ZERO, Verdict::Publish),
            (LONG - MOMENT, Verdict::Publish),
            (LONG, Verdict::Try),
            (LONG, Verdict::Hold),
            (LONG + TRY_EVERY - MOMENT, Verdict::Hold),
            (LONG + TRY_EVERY, Verdict::Try),
            (LONG + TRY_EVERY, Verdict::Hold),
        ] {
            assert_eq!(outage.verdict(begun + after), verdict, "{after:?}");
        }
        outage.confirmed();
        assert_eq!(outage.verdict(begun + LONG + TRY_EVERY), Verdict::Publish);
    }

    #[test]
    fn callers_with_little_time_make_no_outage() {
        let outage = Outage::default();
        let begun = Instant::now();
        outage.silent(begun, begun + SILENCE - MOMENT);
        assert_eq!(outage.verdict(begun + LONG), Verdict::Publish);
        outage.silent(begun, begun + SILENCE);
        assert_eq!(outage.verdict(begun + LONG), Verdict::Try);
    }
}
