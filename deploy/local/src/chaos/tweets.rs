//! What one client sends: tweets drawn from a seed, with and without `Idempotency-Key`.

use clima_proto::id::{IdempotencyKey, TweetId, TweetIds};
use clima_proto::tweet::{HUMIDITY, TEMPERATURE};
use clima_proto::wethertweet::WeatherTweetRequest;
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) tweet: WeatherTweetRequest,
    pub(super) key: Option<String>,
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
/// last keyed request as it was, or send another tweet under its key.
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
            (0..80, _) => return Some(Sent { tweet, key: None }),
            (80..86, Some(last)) => last.clone(),
            (86..92, Some(last)) => Sent {
                tweet,
                key: last.key.clone(),
            },
            _ => {
                self.keys += 1;
                Sent {
                    tweet,
                    key: Some(format!("chaos-{}-{}", self.client, self.keys)),
                }
            }
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
        assert!(keyed.len() > 200 && keyed.len() < 700);
        assert!(
            identities.len() < keyed.len(),
            "none was repeated as it was"
        );
        assert!(keys.len() < identities.len(), "no key had another tweet");
    }
}
