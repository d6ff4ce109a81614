//! The verdict: what clients were told, what brokers were given and what Valkey holds, compared id by id.

use std::collections::{BTreeMap, HashSet};

use clima_proto::id::TweetId;

use super::holdings::aggregates;
use super::ledger::Ledger;
use super::published::Published;
use super::recount::{Aggregates, Recount};
use crate::Counts;

/// Ids that are asked for at a time.
const PIECE: usize = 50_000;

/// What was found on one path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What Valkey calls the total.
    pub(super) counted: u64,
    /// Records that the broker was given; more than tweets, since retries publish again.
    pub(super) records: u64,
    /// Accepted tweets whose bit is clear although the broker was given them.
    pub(super) not_counted: Vec<TweetId>,
    /// Accepted tweets whose bit is clear and which the broker does not have: it, or the writer, has lost them.
    pub(super) not_given: Vec<TweetId>,
    /// Accepted tweets that are counted, though the broker does not have them (any more). No breach of the promise, but a
    /// broker that forgets.
    pub(super) forgotten: u64,
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
        (self.not_counted.len() + self.not_given.len()) as u64 + self.uncounted
    }

    /// Whether the promise was kept. `nameless` requests broke off before anybody told their ids: so many ids
    /// may be unknown.
    pub(super) fn is_kept(&self, nameless: u64) -> bool {
        self.not_counted.is_empty()
            && self.not_given.is_empty()
            && self.counted_against_word.is_empty()
            && self.doubled == 0
            && self.uncounted == 0
            && self.unknown <= nameless
            && self.differences.is_empty()
    }

    /// The ids that a person has to look into, by what is wrong with them.
    pub(super) fn suspects(&self) -> [(&'static str, &[TweetId]); 3] {
        [
            ("lost: in the broker, not counted", &self.not_counted),
            (
                "lost: not in the broker, although accepted",
                &self.not_given,
            ),
            (
                "counted, although every answer said NOT_COUNTED",
                &self.counted_against_word,
            ),
        ]
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
    let published_only = published
        .tweets
        .keys()
        .filter(|id| !ledger.entries().contains_key(id));
    let mut all = ledger.entries().keys().chain(published_only).copied();
    let mut verdict = Verdict {
        records: published.records,
        ..Verdict::default()
    };
    let mut recount = Recount::default();
    // Ids of this path that a client was told, or that the audit has read at least.
    let (mut told, mut known) = (0, 0);
    loop {
        // In pieces: a run has millions.
        let ids: Vec<TweetId> = all.by_ref().take(PIECE).collect();
        if ids.is_empty() {
            break;
        }
        let missing: HashSet<TweetId> = counts.missing(path, &ids).await?.into_iter().collect();
        for id in &ids {
            let entry = ledger.entries().get(id);
            let given = published.tweets.get(id);
            let accepted = entry.is_some_and(|entry| entry.is_accepted());
            match (accepted, missing.contains(id), given) {
                (true, true, Some(_)) => verdict.not_counted.push(*id),
                (true, true, None) => verdict.not_given.push(*id),
                (true, false, None) => verdict.forgotten += 1,
                _ => {}
            }
            if missing.contains(id) {
                continue;
            }
            known += 1;
            told += u64::from(entry.is_some());
            if entry.is_some_and(|entry| entry.is_refused()) {
                verdict.counted_against_word.push(*id);
            }
            // What the broker holds is what was counted; a client's word serves where the audit's queue did not
            // get what the other one did, which a broker that dies before it confirms may do.
            let tweet = given
                .map(|given| given.tweet)
                .or_else(|| entry.map(|entry| entry.tweet()));
            if let Some(tweet) = tweet {
                recount.add(tweet);
            }
        }
    }
    // For a person: the ids of one process stand together.
    verdict.not_counted.sort_unstable();
    verdict.not_given.sort_unstable();
    verdict.counted_against_word.sort_unstable();
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
            let told = |it: Option<&T>| it.map_or("none".to_owned(), |it| format!("{it:?}"));
            differences.push(format!(
                "{name} {field}: Valkey has {}, the recount {}",
                told(found),
                told(recounted)
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
            not_counted: vec![id],
            ..Verdict::default()
        };
        let lost_by_broker = Verdict {
            not_given: vec![id],
            ..Verdict::default()
        };
        assert_eq!((lost.lost(), lost_by_broker.lost()), (1, 1));
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
        for verdict in [lost, lost_by_broker, against, doubled, uncounted, different] {
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
