//! Delays between attempts: exponential, bounded, with full jitter.

use std::time::Duration;

use rand::RngExt as _;

/// A validated range of delays. Attempt `n` waits a random time up to `min · 2ⁿ`, never above `max`.
///
/// The whole delay is random ("full jitter"), so that clients which failed together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

/// A range that is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shortest delay must be above zero and not above the longest")]
pub struct InvalidBackoff;

impl Backoff {
    /// Delays that start around `min` and stop growing at `max`.
    ///
    /// # Errors
    ///
    /// `min` is zero or above `max`.
    pub const fn new(min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if min.is_zero() || min.as_nanos() > max.as_nanos() {
            return Err(InvalidBackoff);
        }
        Ok(Self { min, max })
    }

    /// For a call to a neighbour process: 5 ms growing to 250 ms.
    pub const CALL: Self = Self {
        min: Duration::from_millis(5),
        max: Duration::from_millis(250),
    };

    /// For a connection to a server that may be restarting: 50 ms growing to 500 ms.
    pub const RECONNECT: Self = Self {
        min: Duration::from_millis(50),
        max: Duration::from_millis(500),
    };

    /// The delays of one series of attempts. Never ends.
    pub fn delays(self) -> Delays {
        Delays {
            backoff: self,
            ceiling: self.min,
        }
    }
}

/// The delays of one series of attempts.
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    ceiling: Duration,
}

impl Delays {
    /// The next delay, above zero.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.ceiling.mul_f64(rand::rng().random_range(0.1..=1.0));
        self.ceiling = (self.ceiling * 2).min(self.backoff.max);
        delay
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.ceiling = self.backoff.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_start_over_after_a_reset() {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut delays = Backoff::new(min, max).unwrap().delays();
        assert!(delays.next_delay() <= min);
        for _ in 0..100 {
            let delay = delays.next_delay();
            assert!(delay <= max && !delay.is_zero());
        }
        delays.reset();
        assert!(delays.next_delay() <= min);
    }

    #[test]
    fn a_range_that_is_no_range_is_refused() {
        let ms = Duration::from_millis;
        assert!(Backoff::new(ms(0), ms(1)).is_err());
        assert!(Backoff::new(ms(2), ms(1)).is_err());
    }
}
