//! What the clients were told, by identity.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use clima_proto::fate::Fate;
use clima_proto::id::TweetId;
use clima_proto::wethertweet::WeatherTweetRequest;
use tokio::sync::watch;

use super::tweets::Sent;

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

/// The answers to one id, each kind once: a set of bits, since a ledger holds millions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Answers(u8);

impl Answers {
    const ACCEPTED: u8 = 1;
    const NOT_COUNTED: u8 = 2;
    const MAYBE_COUNTED: u8 = 4;
    const NOT_SENT: u8 = 8;
    const NONE: u8 = 16;
    const NAMES: [(u8, &'static str); 5] = [
        (Self::ACCEPTED, "OK"),
        (Self::NOT_COUNTED, "NOT_COUNTED"),
        (Self::MAYBE_COUNTED, "MAYBE_COUNTED"),
        (Self::NOT_SENT, "no connection"),
        (Self::NONE, "no answer"),
    ];

    fn add(&mut self, told: Told) {
        self.0 |= match told {
            Told::Accepted => Self::ACCEPTED,
            Told::Refused(Fate::NotCounted) => Self::NOT_COUNTED,
            Told::Refused(Fate::MaybeCounted) => Self::MAYBE_COUNTED,
            Told::NotSent => Self::NOT_SENT,
            Told::Broken => Self::NONE,
        };
    }

    fn any(self, of: u8) -> bool {
        self.0 & of != 0
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = Self::NAMES
            .into_iter()
            .filter_map(|(bit, name)| self.any(bit).then_some(name))
            .collect();
        f.write_str(&told.join(", "))
    }
}

/// All that is known of one id: with the id 40 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    tweet: Packed,
    answers: Answers,
    requests: u8,
    /// In ms since the ledger began.
    sent: u32,
    answered: u32,
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
        self.answers.any(Answers::ACCEPTED)
    }

    /// Every request with this id was told that it is not counted.
    pub(super) fn is_refused(self) -> bool {
        !self
            .answers
            .any(Answers::ACCEPTED | Answers::MAYBE_COUNTED | Answers::NONE)
    }

    /// From the first request to the last answer, since the ledger began.
    pub(super) fn time(self) -> (Duration, Duration) {
        let of = |millis: u32| Duration::from_millis(millis.into());
        (of(self.sent), of(self.answered))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, answered) = self.time();
        write!(
            f,
            "{} in {} request(s), the first sent at {:.3} s, the last answer at {:.3} s",
            self.answers,
            self.requests,
            sent.as_secs_f64(),
            answered.as_secs_f64()
        )
    }
}

/// Totals of the ledger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    /// Requests that were sent, or that could not be.
    pub(super) requests: u64,
    /// Those that were to be answered within 500 ms or less.
    pub(super) hurried: u64,
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
    began: Instant,
    newest: watch::Sender<Option<Accepted>>,
}

/// The accepted tweet that was sent last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) id: TweetId,
    pub(super) sent: Instant,
}

impl Ledger {
    /// An empty one, whose times are told from `began` on.
    pub(super) fn new(began: Instant) -> Self {
        Self {
            entries: HashMap::new(),
            totals: Totals::default(),
            began,
            newest: watch::Sender::new(None),
        }
    }

    /// Writes down what was told now of a request that was sent at `sent`.
    pub(super) fn note(&mut self, request: &Sent, id: Option<TweetId>, told: Told, sent: Instant) {
        self.totals.requests += 1;
        self.totals.hurried += u64::from(request.limit.is_some());
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
        let began = self.began;
        let millis = |at: Instant| {
            u32::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(u32::MAX)
        };
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            tweet: request.tweet.into(),
            answers: Answers::default(),
            requests: 0,
            sent: millis(sent),
            answered: 0,
        });
        entry.answers.add(told);
        entry.requests = entry.requests.saturating_add(1);
        entry.sent = entry.sent.min(millis(sent));
        entry.answered = millis(Instant::now());
        if told == Told::Accepted {
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

    const SENT: Sent = Sent {
        tweet: WeatherTweetRequest {
            municipality: 4,
            temperature: -90,
            humidity: 100,
            weather: 2,
        },
        key: None,
        limit: None,
    };

    fn id(sequence: u64) -> TweetId {
        TweetId::from_parts(&[1; 16], sequence).unwrap()
    }

    #[test]
    fn a_tweet_takes_forty_bytes() {
        assert_eq!(size_of::<(TweetId, Entry)>(), 40);
    }

    #[test]
    fn one_ok_outweighs_every_other_answer_with_the_same_id() {
        let mut ledger = Ledger::new(Instant::now());
        for told in [
            Told::Broken,
            Told::Accepted,
            Told::Refused(Fate::NotCounted),
        ] {
            ledger.note(&SENT, Some(id(0)), told, Instant::now());
        }
        let entry = ledger.entries()[&id(0)];
        assert!(entry.is_accepted() && !entry.is_refused());
        assert_eq!(entry.tweet(), Packed::from(SENT.tweet));
        assert_eq!(ledger.totals().requests, 3);
        let told = entry.to_string();
        assert!(
            told.starts_with("OK, NOT_COUNTED, no answer in 3 request(s)"),
            "{told}"
        );
    }

    #[test]
    fn an_id_is_refused_only_when_every_answer_said_so() {
        let (refused, open, late) = (id(0), id(1), id(2));
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        ledger.note(&SENT, Some(refused), Told::NotSent, now);
        ledger.note(&SENT, Some(refused), Told::Refused(Fate::NotCounted), now);
        ledger.note(&SENT, Some(open), Told::Refused(Fate::NotCounted), now);
        ledger.note(&SENT, Some(open), Told::Refused(Fate::MaybeCounted), now);
        let hurried = Sent {
            limit: Some(Duration::from_millis(1)),
            ..SENT
        };
        ledger.note(&hurried, Some(late), Told::Broken, now);
        ledger.note(&SENT, None, Told::Broken, now);
        assert!(ledger.entries()[&refused].is_refused());
        assert!(!ledger.entries()[&open].is_refused());
        assert!(!ledger.entries()[&late].is_refused());
        assert_eq!((ledger.totals().nameless, ledger.totals().hurried), (1, 1));
    }

    #[test]
    fn times_span_the_first_request_and_the_last_answer() {
        let began = Instant::now();
        let mut ledger = Ledger::new(began);
        let at = |millis| began + Duration::from_millis(millis);
        ledger.note(&SENT, Some(id(0)), Told::Broken, at(70));
        ledger.note(&SENT, Some(id(0)), Told::Accepted, at(20));
        let (sent, answered) = ledger.entries()[&id(0)].time();
        assert_eq!(sent, Duration::from_millis(20));
        assert!(answered <= began.elapsed());
    }

    #[tokio::test]
    async fn an_older_tweet_that_is_accepted_late_is_not_news() {
        let early = Instant::now();
        let mut ledger = Ledger::new(early);
        let newest = ledger.newest();
        let late = early + Duration::from_millis(1);
        ledger.note(&SENT, Some(id(1)), Told::Accepted, late);
        ledger.note(&SENT, Some(id(0)), Told::Accepted, early);
        assert_eq!(newest.borrow().unwrap().id, id(1));
    }
}
