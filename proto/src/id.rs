//! The identity of a tweet: 128 bits of source and a sequence number.
//!
//! The first of our processes that receives a tweet gives it an id, before any attempt to publish it.
//! Every retry carries the same id, and a consumer counts an id once: that is what makes a retry harmless.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::wethertweet::WeatherTweetRequest;

/// Sequences are below this: 2^48, so that block and bit of a consumer's bitmap fit 32 and 16 bits.
pub const SEQUENCE_LIMIT: u64 = 1 << 48;

/// Longest idempotency key, in bytes.
pub const KEY_LIMIT: usize = 255;

/// Header (HTTP) and metadata (gRPC) with which a client makes several requests one tweet.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Header (HTTP) and metadata (gRPC) in which the answer carries the id.
pub const TWEET_ID: &str = "clima-tweet-id";

/// Half of an id that many tweets share: one process run, or one idempotency key with one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source([u8; 16]);

impl Source {
    /// A source from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// The operating system has none to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The source of all requests that carry this key and this content: the first 128 bits of
    /// SHA-256(key ‖ 0x00 ‖ encoded tweet). A key with another content is another tweet.
    pub fn of_key(key: &IdempotencyKey, tweet: &WeatherTweetRequest) -> Self {
        let digest = Sha256::new()
            .chain_update(&key.0)
            .chain_update([0])
            .chain_update(tweet.encode_to_vec())
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The identity of one tweet. Ordered by source, then sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TweetId {
    source: Source,
    sequence: u64,
}

/// An id, or a part of one, that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The source has another length than 16 bytes.
    #[error("source has {0} bytes, must have 16")]
    Source(usize),
    /// The sequence is 2^48 or above.
    #[error("sequence {0} is not below 2^48")]
    Sequence(u64),
    /// The text is not `<32 hex digits>-<sequence>`.
    #[error("not of the form <32 hex digits>-<sequence>")]
    Form,
    /// This process has given out all its sequences.
    #[error("all sequences of this process are used up, restart it")]
    Exhausted,
}

impl TweetId {
    /// An id from its parts, as they stand in a `TweetEvent`.
    ///
    /// # Errors
    ///
    /// The source is not 16 bytes long, or the sequence is not below [`SEQUENCE_LIMIT`].
    pub fn from_parts(source: &[u8], sequence: u64) -> Result<Self, IdError> {
        let bytes = source
            .try_into()
            .map_err(|_| IdError::Source(source.len()))?;
        if sequence >= SEQUENCE_LIMIT {
            return Err(IdError::Sequence(sequence));
        }
        Ok(Self {
            source: Source(bytes),
            sequence,
        })
    }

    /// The half that other tweets may share.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The half that counts up, below [`SEQUENCE_LIMIT`].
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl fmt::Display for TweetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.source, self.sequence)
    }
}

impl FromStr for TweetId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (source, sequence) = text.split_once('-').ok_or(IdError::Form)?;
        let source = hex::decode(source).map_err(|_| IdError::Form)?;
        let sequence = sequence.parse().map_err(|_| IdError::Form)?;
        Self::from_parts(&source, sequence)
    }
}

/// A client's key: 1 to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Vec<u8>);

/// A key, or a set of keys, that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is there, but empty.
    #[error("must not be empty")]
    Empty,
    /// The key is too long.
    #[error("has {0} bytes, must have at most {KEY_LIMIT}")]
    Long(usize),
    /// More than one key was sent.
    #[error("is there more than once")]
    Repeated,
}

impl IdempotencyKey {
    /// The key among the values that a request carries under [`IDEMPOTENCY_KEY`]; none is fine.
    ///
    /// # Errors
    ///
    /// There are several, or the one is empty or longer than [`KEY_LIMIT`].
    pub fn from_values<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, KeyError> {
        let mut values = values.into_iter();
        let Some(key) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(KeyError::Repeated);
        }
        match key.len() {
            0 => Err(KeyError::Empty),
            1..=KEY_LIMIT => Ok(Some(Self(key.to_vec()))),
            long => Err(KeyError::Long(long)),
        }
    }
}

/// Gives out ids: one per process run, with a random source of its own.
#[derive(Debug)]
pub struct TweetIds {
    source: Source,
    next: AtomicU64,
}

impl TweetIds {
    /// Ids of a new random source, counting from 0.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self {
            source: Source::random()?,
            next: AtomicU64::new(0),
        })
    }

    /// The id of a tweet that came with `key`, or a fresh one where there is no key.
    ///
    /// # Errors
    ///
    /// [`IdError::Exhausted`] after 2^48 ids.
    pub fn assign(
        &self,
        key: Option<&IdempotencyKey>,
        tweet: &WeatherTweetRequest,
    ) -> Result<TweetId, IdError> {
        if let Some(key) = key {
            return Ok(TweetId {
                source: Source::of_key(key, tweet),
                sequence: 0,
            });
        }
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        if sequence >= SEQUENCE_LIMIT {
            return Err(IdError::Exhausted);
        }
        Ok(TweetId {
            source: self.source,
            sequence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWEET: WeatherTweetRequest = WeatherTweetRequest {
        municipality: 1,
        temperature: 25,
        humidity: 60,
        weather: 1,
    };

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::from_values([text.as_bytes()])
            .unwrap()
            .unwrap()
    }

    #[test]
    fn ids_of_one_run_share_the_source_and_count_from_zero() {
        let ids = TweetIds::new().unwrap();
        let first = ids.assign(None, &TWEET).unwrap();
        let second = ids.assign(None, &TWEET).unwrap();
        assert_eq!(first.source(), second.source());
        assert_eq!((first.sequence(), second.sequence()), (0, 1));
        let other = TweetIds::new().unwrap().assign(None, &TWEET).unwrap();
        assert_ne!(other.source(), first.source());
    }

    #[test]
    fn the_same_key_and_content_is_the_same_id_in_every_process() {
        let (front, gateway) = (TweetIds::new().unwrap(), TweetIds::new().unwrap());
        let id = front.assign(Some(&key("k")), &TWEET).unwrap();
        assert_eq!(gateway.assign(Some(&key("k")), &TWEET).unwrap(), id);
        // SHA-256 of `6b 00 08 01 10 19 18 3c 20 01`, computed with sha256sum.
        assert_eq!(id.to_string(), "60ebfc48cc1c1b356435d231b143249b-0");
    }

    #[test]
    fn the_same_key_with_another_content_is_another_tweet() {
        let ids = TweetIds::new().unwrap();
        let other = WeatherTweetRequest {
            humidity: 61,
            ..TWEET
        };
        assert_ne!(
            ids.assign(Some(&key("k")), &TWEET).unwrap(),
            ids.assign(Some(&key("k")), &other).unwrap()
        );
    }

    #[test]
    fn a_key_that_is_empty_repeated_or_too_long_is_refused() {
        let long = [b'x'; KEY_LIMIT + 1];
        assert_eq!(
            IdempotencyKey::from_values([b"".as_slice()]),
            Err(KeyError::Empty)
        );
        assert_eq!(
            IdempotencyKey::from_values([b"a".as_slice(), b"a"]),
            Err(KeyError::Repeated)
        );
        assert_eq!(
            IdempotencyKey::from_values([long.as_slice()]),
            Err(KeyError::Long(256))
        );
        assert!(IdempotencyKey::from_values([&long[..KEY_LIMIT]]).is_ok());
        assert_eq!(IdempotencyKey::from_values([]), Ok(None));
    }

    #[test]
    fn no_id_is_given_out_past_the_last_sequence() {
        let ids = TweetIds::new().unwrap();
        ids.next.store(SEQUENCE_LIMIT - 1, Ordering::Relaxed);
        assert!(ids.assign(None, &TWEET).is_ok());
        assert_eq!(ids.assign(None, &TWEET), Err(IdError::Exhausted));
    }

    #[test]
    fn parts_that_are_no_id_are_refused() {
        assert_eq!(TweetId::from_parts(&[0; 15], 0), Err(IdError::Source(15)));
        assert_eq!(
            TweetId::from_parts(&[0; 16], SEQUENCE_LIMIT),
            Err(IdError::Sequence(SEQUENCE_LIMIT))
        );
        assert_eq!("00-1".parse::<TweetId>(), Err(IdError::Source(1)));
        assert_eq!("no id".parse::<TweetId>(), Err(IdError::Form));
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text_form(source in any::<[u8; 16]>(), sequence in 0..SEQUENCE_LIMIT) {
            let id = TweetId::from_parts(&source, sequence).unwrap();
            prop_assert_eq!(id.to_string().parse::<TweetId>().unwrap(), id);
        }
    }
}
