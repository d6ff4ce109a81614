//! The verdict: what clients were told, what brokers were given and what Valkey holds, compared id by id.

use std::collections::{BTreeMap, HashSet};

use clima_proto::id::TweetId;

use super::audit::Published;
use super::holdings::aggregates;
use super::ledger::Ledger;
use super::recount::{Aggregates, Recount};
use crate::Counts;

/// Most ids that a verdict names.
const NAMED: usize = 20;

/// What was found on one path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What Valkey calls the total.
    pub(super) counted: u64,
    /// Records that the broker was given; more than tweets, since retries publish again.
    pub(super) records: u64,
    /// Accepted tweets whose bit is clear.
    pub(super) lost: Vec<TweetId>,
    /// Tweets that were refused as NOT_COUNTED, each time they were sent, whose bit is set.
    pub(super) counted_against_word: Vec<TweetId>,
    /// Tweets that were counted twice: by how much the total is above the number of bits; and bits that cannot belong
    /// to any request, as those of a tweet that was published under a second id.
    pub(super) doubled: u64,
    /// By how much it is below: bits that were set without counting.
    pub(super) uncounted: u64,
    /// Bits of ids that neither a client nor the audit knows.
    pub(super) unknown: u64,
    /// Aggregates that differ from the recount: name, in Valkey, recounted.
    pub(super) differences: Vec<String>,
}

impl Verdict {
    /// Tweets that were lost, as the last line of a run tells it.
    pub(super) fn lost(&self) -> u64 {
        self.lost.len() as u64 + self.uncounted
    }

    /// Whether the promise was kept. `nameless` requests broke off before anybody told their ids: so many ids
    /// may be unknown.
    pub(super) fn is_kept(&self, nameless: u64) -> bool {
        self.lost.is_empty()
            && self.counted_against_word.is_empty()
            && self.doubled == 0
            && self.uncounted == 0
            && self.unknown <= nameless
            && self.differences.is_empty()
    }

    /// The ids that a person has to look into.
    pub(super) fn suspects(&self) -> impl Iterator<Item = TweetId> + '_ {
        self.lost
            .iter()
            .chain(&self.counted_against_word)
            .take(NAMED)
            .copied()
    }
}

/// Compares one path. Valkey is at this `host:port`.
pub(super) async fn path(
    valkey: &str,
    path: &str,
    ledger: &Ledger,
    published: &Published,
) -> anyhow::Result<Verdict> {
    let mut counts = Counts::connect(valkey).await?;
    let mut ids: Vec<TweetId> = ledger.entries().keys().copied().collect();
    ids.extend(
        published
            .tweets
            .keys()
            .filter(|id| !ledger.entries().contains_key(id)),
    );
    let mut verdict = Verdict {
        records: published.records,
        ..Verdict::default()
    };
    let mut recount = Recount::default();
    // Ids of this path that a client was told, or that the audit has read at least.
    let (mut told, mut known) = (0, 0);
    // In pieces: a run has millions.
    for ids in ids.chunks(50_000) {
        let missing: HashSet<TweetId> = counts.missing(path, ids).await?.into_iter().collect();
        for id in ids {
            let entry = ledger.entries().get(id);
            if missing.contains(id) {
                if entry.is_some_and(|entry| entry.is_accepted()) {
                    verdict.lost.push(*id);
                }
                continue;
            }
            known += 1;
            told += u64::from(entry.is_some());
            if entry.is_some_and(|entry| entry.is_refused()) {
                verdict.counted_against_word.push(*id);
            }
            // What the broker holds is what was counted; a client's word serves where the audit's queue did not
            // get what the other one did, which a broker that dies before it confirms may do.
            let tweet = published
                .tweets
                .get(id)
                .copied()
                .or_else(|| entry.map(|entry| entry.tweet()));
            if let Some(tweet) = tweet {
                recount.add(tweet);
            }
        }
    }
    let found = aggregates(valkey, path).await?;
    let bits = counts.bits(path).await?;
    verdict.counted = found.counts.get("total").copied().unwrap_or(0);
    // Who was told no id may have one: so many may be set beside those that clients know.
    let second_ids = bits
        .saturating_sub(told)
        .saturating_sub(ledger.totals().nameless);
    verdict.doubled = verdict.counted.saturating_sub(bits) + second_ids;
    verdict.uncounted = bits.saturating_sub(verdict.counted);
    verdict.unknown = bits.saturating_sub(known);
    if verdict.unknown == 0 {
        verdict.differences = differences(&found, &recount.finish());
    }
    Ok(verdict)
}

fn differences(found: &Aggregates, recounted: &Aggregates) -> Vec<String> {
    let mut differences = Vec::new();
    compare(&mut differences, "counts", &found.counts, &recounted.counts);
    compare(
        &mut differences,
        "weather",
        &found.weather,
        &recounted.weather,
    );
    compare(
        &mut differences,
        "temperature_avg",
        &found.temperature_avg,
        &recounted.temperature_avg,
    );
    compare(
        &mut differences,
        "humidity_avg",
        &found.humidity_avg,
        &recounted.humidity_avg,
    );
    compare(
        &mut differences,
        "extremes",
        &found.extremes,
        &recounted.extremes,
    );
    differences
}

fn compare<T: PartialEq + std::fmt::Debug>(
    differences: &mut Vec<String>,
    name: &str,
    found: &BTreeMap<String, T>,
    recounted: &BTreeMap<String, T>,
) {
    let mut fields: Vec<_> = found.keys().chain(recounted.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    for field in fields {
        let (found, recounted) = (found.get(field), recounted.get(field));
        if found != recounted {
            differences.push(format!(
                "{name} {field}: Valkey has {found:?}, the recount {recounted:?}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_breaks_the_promise() {
        let id = TweetId::from_parts(&[1; 16], 0).unwrap();
        assert!(Verdict::default().is_kept(0));
        let lost = Verdict {
            lost: vec![id],
            ..Verdict::default()
        };
        let against = Verdict {
            counted_against_word: vec![id],
            ..Verdict::default()
        };
        let doubled = Verdict {
            doubled: 1,
            ..Verdict::default()
        };
        let uncounted = Verdict {
            uncounted: 1,
            ..Verdict::default()
        };
        let different = Verdict {
            differences: vec!["counts total".to_owned()],
            ..Verdict::default()
        };
        for verdict in [lost, against, doubled, uncounted, different] {
            assert!(!verdict.is_kept(0), "{verdict:?}");
        }
        let unknown = Verdict {
            unknown: 2,
            ..Verdict::default()
        };
        assert!(unknown.is_kept(2) && !unknown.is_kept(1));
    }

    #[test]
    fn a_field_that_only_one_side_has_is_a_difference() {
        let mut found = Aggregates::default();
        found.extremes.insert("humidity_max".to_owned(), 3);
        assert_eq!(differences(&found, &found), Vec::<String>::new());
        let only = differences(&Aggregates::default(), &found);
        assert_eq!(only.len(), 1);
        assert!(only[0].contains("humidity_max"), "{only:?}");
    }
}
