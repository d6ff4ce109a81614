//! What a load was told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clima_proto::fate::Fate;
use clima_proto::id::TweetId;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200, with the id.
    Accepted(TweetId),
    /// Any other answer.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the answer says of counting; one that does not say may have been counted.
        fate: Fate,
        /// The id, where the tweet had got one.
        id: Option<TweetId>,
    },
    /// No connection could be made.
    NotSent,
    /// The connection broke, or no answer came in time: 30 s, where nothing else is said.
    Broken,
}

/// One request's outcome, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What became of it.
    pub outcome: Outcome,
    /// From the first byte sent to the last byte of the answer; of a lost request, to its loss.
    pub latency: Duration,
}

/// All answers of a load.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// The answers, in no order.
    pub answers: Vec<Answer>,
    /// How long the load took.
    pub elapsed: Duration,
    /// Latencies of accepted tweets, sorted.
    latencies: Vec<Duration>,
}

impl LoadReport {
    pub(super) fn new(answers: Vec<Answer>, elapsed: Duration) -> Self {
        let mut latencies: Vec<_> = answers
            .iter()
            .filter(|answer| matches!(answer.outcome, Outcome::Accepted(_)))
            .map(|answer| answer.latency)
            .collect();
        latencies.sort_unstable();
        Self {
            answers,
            elapsed,
            latencies,
        }
    }

    /// The ids of the accepted tweets.
    pub fn accepted(&self) -> impl Iterator<Item = TweetId> + '_ {
        self.answers
            .iter()
            .filter_map(|answer| match answer.outcome {
                Outcome::Accepted(id) => Some(id),
                _ => None,
            })
    }

    /// The ids of the tweets that surely are not counted.
    pub fn not_counted(&self) -> impl Iterator<Item = TweetId> + '_ {
        self.answers
            .iter()
            .filter_map(|answer| match answer.outcome {
                Outcome::Refused {
                    fate: Fate::NotCounted,
                    id,
                    ..
                } => id,
                _ => None,
            })
    }

    /// How many tweets were accepted.
    #[must_use]
    pub fn accepted_count(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// How many requests have another outcome.
    #[must_use]
    pub fn failed_count(&self) -> u64 {
        self.answers.len() as u64 - self.accepted_count()
    }

    /// How many tweets may have been counted although they were not accepted.
    #[must_use]
    pub fn ambiguous_count(&self) -> u64 {
        let ambiguous = |answer: &&Answer| {
            matches!(
                answer.outcome,
                Outcome::Broken
                    | Outcome::Refused {
                        fate: Fate::MaybeCounted,
                        ..
                    }
            )
        };
        self.answers.iter().filter(ambiguous).count() as u64
    }

    /// Accepted tweets a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.accepted_count() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the accepted tweets did not exceed; zero where none was accepted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let Some(last) = self.latencies.len().checked_sub(1) else {
            return Duration::ZERO;
        };
        self.latencies[(last as f64 * share).round() as usize]
    }

    /// The outcomes other than "accepted", with their numbers.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for answer in &self.answers {
            let kind = match answer.outcome {
                Outcome::Accepted(_) => continue,
                Outcome::Refused { status, fate, .. } => format!("HTTP {status} {}", fate.reason()),
                Outcome::NotSent => "no connection".to_owned(),
                Outcome::Broken => "connection lost".to_owned(),
            };
            *kinds.entry(kind).or_default() += 1;
        }
        kinds
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |share| self.quantile(share).as_secs_f64() * 1e3;
        write!(
            f,
            "{} accepted in {:.1} s ({:.0}/s), p50 {:.1} ms, p99 {:.1} ms, {} failed",
            self.accepted_count(),
            self.elapsed.as_secs_f64(),
            self.rate(),
            millis(0.5),
            millis(0.99),
            self.failed_count()
        )?;
        for (kind, count) in self.failures() {
            write!(f, "; {count} × {kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome, millis: u64) -> Answer {
        Answer {
            outcome,
            latency: Duration::from_millis(millis),
        }
    }

    #[test]
    fn only_accepted_tweets_have_a_latency_and_only_unknown_fates_are_ambiguous() {
        let id = |n| TweetId::from_parts(&[0; 16], n).unwrap();
        let refused = |fate, n| Outcome::Refused {
            status: 503,
            fate,
            id: Some(id(n)),
        };
        let mut answers: Vec<_> = (1..=100)
            .map(|n| answer(Outcome::Accepted(id(n)), n))
            .collect();
        answers.push(answer(refused(Fate::NotCounted, 200), 9_000));
        answers.push(answer(refused(Fate::MaybeCounted, 201), 9_000));
        answers.push(answer(Outcome::Broken, 9_000));
        answers.push(answer(Outcome::NotSent, 9_000));
        let report = LoadReport::new(answers, Duration::from_secs(2));
        assert_eq!((report.accepted_count(), report.failed_count()), (100, 4));
        assert_eq!(report.ambiguous_count(), 2);
        assert_eq!(report.not_counted().collect::<Vec<_>>(), [id(200)]);
        assert_eq!(report.quantile(0.0), Duration::from_millis(1));
        assert_eq!(report.quantile(1.0), Duration::from_millis(100));
        assert!((report.rate() - 50.0).abs() < 1e-9);
    }
}
