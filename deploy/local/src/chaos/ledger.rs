//! What the clients were told, by identity.

use std::collections::HashMap;
use std::time::Instant;

use clima_proto::fate::Fate;
use clima_proto::id::TweetId;
use clima_proto::wethertweet::WeatherTweetRequest;
use tokio::sync::watch;

/// An answer, or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// OK.
    Accepted,
    /// Refused, with what the answer says of counting.
    Refused(Fate),
    /// No connection: nothing left the client.
    NotSent,
    /// The connection broke, or the answer took too long.
    Broken,
}

/// All that is known of one id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    tweet: Packed,
    accepted: bool,
    /// One answer at least left the matter open.
    ambiguous: bool,
}

/// A tweet in four bytes: a ledger holds millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) municipality: u8,
    pub(super) weather: u8,
    pub(super) temperature: i8,
    pub(super) humidity: u8,
}

impl From<WeatherTweetRequest> for Packed {
    /// The values are those of a valid tweet, which fit.
    fn from(tweet: WeatherTweetRequest) -> Self {
        Self {
            municipality: tweet.municipality as u8,
            weather: tweet.weather as u8,
            temperature: tweet.temperature as i8,
            humidity: tweet.humidity as u8,
        }
    }
}

impl Entry {
    pub(super) fn tweet(self) -> Packed {
        self.tweet
    }

    /// Said to be counted, once and for all.
    pub(super) fn is_accepted(self) -> bool {
        self.accepted
    }

    /// Every request with this id was told that it is not counted.
    pub(super) fn is_refused(self) -> bool {
        !self.accepted && !self.ambiguous
    }
}

/// Totals of the ledger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    /// Requests that were sent, or that could not be.
    pub(super) requests: u64,
    /// Answers that said OK.
    pub(super) accepted: u64,
    /// Answers that said NOT_COUNTED, and requests that did not leave.
    pub(super) refused: u64,
    /// Answers that said MAYBE_COUNTED, and lost ones.
    pub(super) ambiguous: u64,
    /// Ambiguous ones whose id nobody was told.
    pub(super) nameless: u64,
}

/// The ledger of a run. Clients write to it, one answer at a time.
#[derive(Debug)]
pub(super) struct Ledger {
    entries: HashMap<TweetId, Entry>,
    totals: Totals,
    newest: watch::Sender<Option<Accepted>>,
}

/// The accepted tweet that was sent last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) id: TweetId,
    pub(super) sent: Instant,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            totals: Totals::default(),
            newest: watch::Sender::new(None),
        }
    }
}

impl Ledger {
    /// Writes down what was told of a tweet that was sent at `sent`.
    pub(super) fn note(
        &mut self,
        tweet: WeatherTweetRequest,
        id: Option<TweetId>,
        told: Told,
        sent: Instant,
    ) {
        self.totals.requests += 1;
        let ambiguous = match told {
            Told::Accepted => {
                self.totals.accepted += 1;
                false
            }
            Told::NotSent | Told::Refused(Fate::NotCounted) => {
                self.totals.refused += 1;
                false
            }
            Told::Broken | Told::Refused(Fate::MaybeCounted) => {
                self.totals.ambiguous += 1;
                true
            }
        };
        let Some(id) = id else {
            self.totals.nameless += u64::from(ambiguous);
            return;
        };
        let entry = self.entries.entry(id).or_insert(Entry {
            tweet: tweet.into(),
            accepted: false,
            ambiguous: false,
        });
        entry.ambiguous |= ambiguous;
        if told == Told::Accepted {
            entry.accepted = true;
            self.newest.send_if_modified(|newest| {
                let newer = newest.is_none_or(|newest| newest.sent < sent);
                if newer {
                    *newest = Some(Accepted { id, sent });
                }
                newer
            });
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn entries(&self) -> &HashMap<TweetId, Entry> {
        &self.entries
    }

    /// Follows the accepted tweets.
    pub(super) fn newest(&self) -> watch::Receiver<Option<Accepted>> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWEET: WeatherTweetRequest = WeatherTweetRequest {
        municipality: 4,
        temperature: -90,
        humidity: 100,
        weather: 2,
    };

    #[test]
    fn one_ok_outweighs_every_other_answer_with_the_same_id() {
        let id = TweetId::from_parts(&[1; 16], 0).unwrap();
        let mut ledger = Ledger::default();
        for told in [
            Told::Broken,
            Told::Accepted,
            Told::Refused(Fate::NotCounted),
        ] {
            ledger.note(TWEET, Some(id), told, Instant::now());
        }
        let entry = ledger.entries()[&id];
        assert!(entry.is_accepted() && !entry.is_refused());
        assert_eq!(entry.tweet(), Packed::from(TWEET));
        assert_eq!(ledger.totals().requests, 3);
    }

    #[test]
    fn an_id_is_refused_only_when_every_answer_said_so() {
        let (refused, open) = (
            TweetId::from_parts(&[1; 16], 0).unwrap(),
            TweetId::from_parts(&[1; 16], 1).unwrap(),
        );
        let mut ledger = Ledger::default();
        let now = Instant::now();
        ledger.note(TWEET, Some(refused), Told::NotSent, now);
        ledger.note(TWEET, Some(refused), Told::Refused(Fate::NotCounted), now);
        ledger.note(TWEET, Some(open), Told::Refused(Fate::NotCounted), now);
        ledger.note(TWEET, Some(open), Told::Refused(Fate::MaybeCounted), now);
        ledger.note(TWEET, None, Told::Broken, now);
        assert!(ledger.entries()[&refused].is_refused());
        assert!(!ledger.entries()[&open].is_refused());
        assert_eq!(ledger.totals().nameless, 1);
    }

    #[tokio::test]
    async fn an_older_tweet_that_is_accepted_late_is_not_news() {
        let mut ledger = Ledger::default();
        let newest = ledger.newest();
        let early = Instant::now();
        let late = early + std::time::Duration::from_millis(1);
        let id = |n| TweetId::from_parts(&[1; 16], n).unwrap();
        ledger.note(TWEET, Some(id(1)), Told::Accepted, late);
        ledger.note(TWEET, Some(id(0)), Told::Accepted, early);
        assert_eq!(newest.borrow().unwrap().id, id(1));
    }
}
