//! How old the oldest record is that nobody has acknowledged: the one number that tells when a path stands still.
//!
//! It is computed when somebody asks, so it is right in whatever the consumer waits: for Valkey, for the place
//! where dead letters go, or for its broker. With a batch in hand it is the age of the oldest tweet in it. With
//! nothing in hand and a broker that does not answer nobody can know; then it is the time since the broker last
//! did, which is how long a tweet may have waited there at least.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

#[derive(Debug, Clone)]
pub(crate) struct Age(Arc<State>);

/// Times in microseconds since the Unix epoch.
#[derive(Debug)]
struct State {
    /// When the oldest record in hand was received; 0 with none in hand.
    oldest: AtomicU64,
    /// When the broker last answered, or this process began to ask.
    contact: AtomicU64,
    /// Whether it has not answered since.
    lost: AtomicBool,
}

impl Default for Age {
    fn default() -> Self {
        Self(Arc::new(State {
            oldest: AtomicU64::new(0),
            contact: AtomicU64::new(micros(SystemTime::now())),
            lost: AtomicBool::new(true),
        }))
    }
}

impl Age {
    pub(crate) fn taken(&self, oldest: SystemTime) {
        self.0.oldest.store(micros(oldest), Ordering::Relaxed);
    }

    pub(crate) fn acknowledged(&self) {
        self.0.oldest.store(0, Ordering::Relaxed);
    }

    pub(crate) fn reached(&self) {
        let now = micros(SystemTime::now());
        self.0.contact.store(now, Ordering::Relaxed);
        self.0.lost.store(false, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) {
        self.0.lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Duration {
        let oldest = self.0.oldest.load(Ordering::Relaxed);
        let since = if oldest > 0 {
            oldest
        } else if self.0.lost.load(Ordering::Relaxed) {
            self.0.contact.load(Ordering::Relaxed)
        } else {
            return Duration::ZERO;
        };
        // A clock that is ahead of ours would make it negative.
        Duration::from_micros(micros(SystemTime::now()).saturating_sub(since))
    }
}

/// At least 1, because 0 means none.
fn micros(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}

impl Collector for Age {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = encoder.encode_descriptor(
            "oldest_unacknowledged_age",
            "Age of the oldest tweet in hand; with none in hand 0, or the time since the broker last answered",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        ConstGauge::new(self.now().as_secs_f64()).encode(gauge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_in_hand_ages_until_it_is_acknowledged_whatever_becomes_of_the_broker() {
        let age = Age::default();
        age.reached();
        assert_eq!(age.now(), Duration::ZERO);
        age.taken(SystemTime::now() - Duration::from_secs(60));
        assert!(age.now() >= Duration::from_secs(60));
        age.lost();
        assert!(age.now() >= Duration::from_secs(60));
        age.reached();
        assert!(age.now() >= Duration::from_secs(60));
        age.acknowledged();
        assert_eq!(age.now(), Duration::ZERO);
    }

    #[test]
    fn without_a_broker_it_is_the_time_since_the_broker_answered() {
        let age = Age::default();
        let hour = Duration::from_hours(1);
        let then = micros(SystemTime::now() - hour);
        age.0.contact.store(then, Ordering::Relaxed);
        assert!(age.now() >= hour, "it was not reached yet");
        age.reached();
        age.0.contact.store(then, Ordering::Relaxed);
        assert_eq!(age.now(), Duration::ZERO);
        age.lost();
        assert!(age.now() >= hour);
    }

    #[test]
    fn a_tweet_from_the_future_has_no_age() {
        let age = Age::default();
        age.taken(SystemTime::now() + Duration::from_hours(1));
        assert_eq!(age.now(), Duration::ZERO);
    }
}
