//! What is known of an id with which something is wrong: from every witness, and from the logs of that time.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use clima_proto::id::TweetId;

use super::campaign::Done;
use super::check::Verdict;
use super::ledger::Ledger;
use super::logs::Logs;
use super::published::Published;
use crate::{Counts, PATHS};

/// Most ids of one kind on one path, and most stretches of the logs, that are shown.
const IDS: usize = 20;
const STRETCHES: usize = 10;

/// An id is looked for in the logs from when it was sent first until this long after its last answer.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// Where all of it is to be found.
pub(super) struct Witnesses<'a> {
    pub(super) ledger: &'a Ledger,
    /// By path.
    pub(super) published: &'a [Published; 2],
    /// `host:port` of Valkey.
    pub(super) valkey: String,
    pub(super) done: &'a [Done],
    pub(super) logs: &'a Logs,
}

impl Witnesses<'_> {
    /// All that is known of what is wrong, as Markdown; empty where nothing is.
    pub(super) async fn about(
        &self,
        verdicts: &[(&'static str, Verdict)],
    ) -> anyhow::Result<String> {
        let mut text = String::new();
        let mut times = Vec::new();
        for (path, verdict) in verdicts {
            for (kind, ids) in verdict.suspects() {
                if ids.is_empty() {
                    continue;
                }
                writeln!(text, "\n{path}: {} {kind}\n", ids.len())?;
                for id in ids.iter().take(IDS) {
                    self.id(&mut text, *id).await?;
                    let entry = self.ledger.entries().get(id);
                    times.extend(entry.map(|entry| {
                        let (sent, answered) = entry.time();
                        sent..answered + AFTERWARDS
                    }));
                }
                if ids.len() > IDS {
                    writeln!(text, "- and {} more", ids.len() - IDS)?;
                }
            }
        }
        for time in merged(times).into_iter().take(STRETCHES) {
            self.stretch(&mut text, time)?;
        }
        Ok(text)
    }

    async fn id(&self, text: &mut String, id: TweetId) -> anyhow::Result<()> {
        writeln!(text, "- `{id}`")?;
        match self.ledger.entries().get(&id) {
            Some(entry) => writeln!(text, "  - clients were told: {entry}")?,
            None => writeln!(text, "  - no client was told of it")?,
        }
        let mut counts = Counts::connect(&self.valkey).await?;
        for (path, published) in PATHS.into_iter().zip(self.published) {
            let given = match published.tweets.get(&id) {
                Some(given) => format!("was given {}", given.place),
                None => "was not given".to_owned(),
            };
            let clear = !counts.missing(path, &[id]).await?.is_empty();
            let bit = if clear { "clear" } else { "set" };
            writeln!(text, "  - {path}: {given}; its bit is {bit}")?;
        }
        for line in self.logs.naming(&id.to_string()) {
            writeln!(text, "  - {line}")?;
        }
        Ok(())
    }

    /// What was done at a time, and what the parts said of it.
    fn stretch(&self, text: &mut String, time: Range<Duration>) -> anyhow::Result<()> {
        writeln!(
            text,
            "\nFrom {:.1} s to {:.1} s:\n",
            time.start.as_secs_f64(),
            time.end.as_secs_f64()
        )?;
        for done in self.done {
            if done.began <= time.end && done.ended >= time.start {
                writeln!(
                    text,
                    "- {} ({:.1} s to {:.1} s)",
                    done.fault,
                    done.began.as_secs_f64(),
                    done.ended.as_secs_f64()
                )?;
            }
        }
        let lines = self.logs.during(time);
        if lines.is_empty() {
            writeln!(text, "- no part wrote to its log")?;
            return Ok(());
        }
        writeln!(text, "\n```text\n{}\n```", lines.join("\n"))?;
        Ok(())
    }
}

/// Times that overlap become one.
fn merged(mut times: Vec<Range<Duration>>) -> Vec<Range<Duration>> {
    times.sort_unstable_by_key(|time| time.start);
    let mut merged: Vec<Range<Duration>> = Vec::new();
    for time in times {
        match merged.last_mut() {
            Some(last) if time.start <= last.end => last.end = last.end.max(time.end),
            _ => merged.push(time),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bb8_redis::redis::{Client, cmd};
    use clima_proto::fate::Fate;
    use clima_proto::wethertweet::WeatherTweetRequest;

    use super::*;
    use crate::chaos::check;
    use crate::chaos::fault::Fault;
    use crate::chaos::ledger::Told;
    use crate::chaos::published::{Given, Place};
    use crate::chaos::tweets::Sent;
    use crate::{Part, Stack};

    const SENT: Sent = Sent {
        tweet: WeatherTweetRequest {
            municipality: 1,
            temperature: 20,
            humidity: 50,
            weather: 1,
        },
        key: None,
        limit: None,
    };

    fn id(sequence: u64) -> TweetId {
        TweetId::from_parts(&[1; 16], sequence).unwrap()
    }

    /// Sets the bits of these ids in Kafka's path, and its total.
    async fn count(valkey: &str, ids: &[TweetId], total: u64) {
        let client = Client::open(format!("redis://{valkey}")).unwrap();
        let mut valkey = client.get_multiplexed_async_connection().await.unwrap();
        for id in ids {
            let key = format!("clima:{{kafka}}:seen:{}:0", id.source());
            let mut set = cmd("SETBIT");
            set.arg(key).arg(id.sequence()).arg(1);
            set.exec_async(&mut valkey).await.unwrap();
        }
        let mut set = cmd("HSET");
        set.arg("clima:{kafka}:counts").arg("total").arg(total);
        set.exec_async(&mut valkey).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_way_to_break_the_promise_is_found_and_told_with_all_that_is_known() {
        let stack = Stack::builder().only([Part::Valkey]).start().await.unwrap();
        let valkey = stack.address(Part::Valkey);
        let began = Instant::now();
        let [fine, not_counted, not_given, forgotten, refused] = [0, 1, 2, 3, 4].map(id);
        let mut ledger = Ledger::new(began);
        for accepted in [fine, not_counted, not_given, forgotten] {
            ledger.note(&SENT, Some(accepted), Told::Accepted, began);
        }
        let told = Told::Refused(Fate::NotCounted);
        ledger.note(&SENT, Some(refused), told, began);
        let mut kafka = Published::default();
        for (offset, given) in (7..).zip([fine, not_counted]) {
            let place = Place::Record {
                partition: 3,
                offset,
            };
            let tweet = SENT.tweet.into();
            kafka.tweets.insert(given, Given { tweet, place });
        }
        count(&valkey, &[fine, forgotten, refused], 4).await;

        let verdict = check::path(&valkey, "kafka", &ledger, &kafka)
            .await
            .unwrap();
        assert_eq!(verdict.not_counted, [not_counted]);
        assert_eq!(verdict.not_given, [not_given]);
        assert_eq!(verdict.counted_against_word, [refused]);
        assert_eq!((verdict.forgotten, verdict.doubled), (1, 1));
        assert!(!verdict.is_kept(0));

        let folder = tempfile::tempdir().unwrap();
        let line = format!("a tweet was seen id={not_counted}\n");
        std::fs::write(folder.path().join("gateway.log"), line).unwrap();
        let logs = Logs::follow(folder.path().to_owned(), began);
        let done = [Done {
            fault: Fault::Kill(Part::Valkey),
            began: Duration::ZERO,
            ended: Duration::from_secs(1),
        }];
        let witnesses = Witnesses {
            ledger: &ledger,
            published: &[kafka, Published::default()],
            valkey,
            done: &done,
            logs: &logs,
        };
        let text = witnesses.about(&[("kafka", verdict)]).await.unwrap();
        for told in [
            "1 lost: in the broker, not counted",
            "OK in 1 request(s)",
            "kafka: was given in partition 3 at offset 8; its bit is clear",
            "rabbitmq: was not given; its bit is clear",
            "1 lost: not in the broker, although accepted",
            "kafka: was not given; its bit is clear",
            "1 counted, although every answer said NOT_COUNTED",
            "kafka: was not given; its bit is set",
            "kill valkey",
            "gateway | a tweet was seen",
        ] {
            assert!(text.contains(told), "{told:?} is missing: {text}");
        }
    }

    #[test]
    fn times_that_overlap_are_told_once() {
        let span = |from, to| Duration::from_secs(from)..Duration::from_secs(to);
        let times = vec![span(9, 10), span(1, 3), span(2, 5), span(2, 4)];
        assert_eq!(merged(times), [span(1, 5), span(9, 10)]);
    }
}
