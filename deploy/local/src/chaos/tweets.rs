//! What one client sends: tweets drawn from a seed, with and without `Idempotency-Key`, some with little time.

use std::time::Duration;

use clima_proto::id::{IdempotencyKey, TweetId, TweetIds};
use clima_proto::tweet::{HUMIDITY, TEMPERATURE};
use clima_proto::wethertweet::WeatherTweetRequest;
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

use super::schedule::short;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) tweet: WeatherTweetRequest,
    pub(super) key: Option<String>,
    /// How long the client waits, where that is less than it takes in hard times.
    pub(super) limit: Option<Duration>,
}

impl Sent {
    /// The id that a keyed tweet has wherever it arrives; without a key only the answer tells.
    pub(super) fn id(&self, ids: &TweetIds) -> Option<TweetId> {
        let key = self.key.as_ref()?;
        let key = IdempotencyKey::from_values([key.as_bytes()]).ok()??;
        ids.assign(Some(&key), &self.tweet).ok()
    }
}

/// The endless requests of one client. Most tweets are new ones without a key; some have a new key, repeat the
/// last keyed request as it was, or send another tweet under its key. Some give up after 1 to 500 ms; those have a key,
/// by which the tweet is known also when no answer tells its id.
#[derive(Debug)]
pub(super) struct Tweets {
    random: Xoshiro256PlusPlus,
    /// Makes the keys of this client its own.
    client: u64,
    keys: u64,
    keyed: Option<Sent>,
}

impl Tweets {
    pub(super) fn new(random: Xoshiro256PlusPlus, client: u64) -> Self {
        Self {
            random,
            client,
            keys: 0,
            keyed: None,
        }
    }

    /// The next request, with no more time than this.
    pub(super) fn hurried(&mut self, limit: Duration) -> Option<Sent> {
        let mut sent = self.next()?;
        if sent.key.is_none() {
            sent.key = Some(self.new_key());
        }
        sent.limit = Some(sent.limit.map_or(limit, |own| own.min(limit)));
        Some(sent)
    }

    fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("chaos-{}-{}", self.client, self.keys)
    }

    fn draw(&mut self) -> WeatherTweetRequest {
        WeatherTweetRequest {
            municipality: self.random.random_range(1..=4),
            temperature: self.random.random_range(TEMPERATURE),
            humidity: self.random.random_range(HUMIDITY),
            weather: self.random.random_range(1..=4),
        }
    }
}

impl Iterator for Tweets {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        let tweet = self.draw();
        let kind = self.random.random_range(0..100);
        let keyed = match (kind, &self.keyed) {
            (0..76, _) => {
                return Some(Sent {
                    tweet,
                    key: None,
                    limit: None,
                });
            }
            (76..82, Some(last)) => Sent {
                limit: None,
                ..last.clone()
            },
            (82..88, Some(last)) => Sent {
                tweet,
                key: last.key.clone(),
                limit: None,
            },
            (88..94, _) => Sent {
                tweet,
                key: Some(self.new_key()),
                limit: Some(short(&mut self.random)),
            },
            _ => Sent {
                tweet,
                key: Some(self.new_key()),
                limit: None,
            },
        };
        self.keyed = Some(keyed.clone());
        Some(keyed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use rand::SeedableRng as _;

    fn first(seed: u64) -> Vec<Sent> {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Tweets::new(random, 7).take(2_000).collect()
    }

    #[test]
    fn a_seed_gives_the_same_requests_again() {
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn keys_come_alone_repeated_and_with_another_tweet() {
        let ids = TweetIds::new().unwrap();
        let sent = first(1);
        let keyed: Vec<_> = sent.iter().filter(|sent| sent.key.is_some()).collect();
        let keys: BTreeSet<_> = keyed.iter().map(|sent| &sent.key).collect();
        let identities: BTreeSet<_> = keyed.iter().map(|sent| sent.id(&ids).unwrap()).collect();
        assert!(keyed.len() > 250 && keyed.len() < 750);
        assert!(
            identities.len() < keyed.len(),
            "none was repeated as it was"
        );
        assert!(keys.len() < identities.len(), "no key had another tweet");
    }

    #[test]
    fn who_has_little_time_has_a_key() {
        let sent = first(1);
        let hurried: Vec<_> = sent.iter().filter(|sent| sent.limit.is_some()).collect();
        assert!(hurried.len() > 50 && hurried.len() < 250);
        assert!(hurried.iter().all(|sent| sent.key.is_some()));
        let mut tweets = Tweets::new(Xoshiro256PlusPlus::seed_from_u64(1), 7);
        let limit = Duration::from_millis(20);
        for _ in 0..100 {
            let sent = tweets.hurried(limit).unwrap();
            assert!(sent.key.is_some() && sent.limit.unwrap() <= limit);
        }
    }
}
