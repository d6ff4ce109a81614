//! When to tell the broker what is settled.
//!
//! An acknowledgement costs a broker about as much as a message: Kafka writes it to a topic, a quorum queue
//! to its log, with an fsync. So they are gathered for a moment. Nothing waits for them, and records that are
//! delivered again because of one that was not sent are recognised.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longest time that an acknowledgement is held back.
const HOLD: Duration = Duration::from_millis(50);

/// Remembers since when something waits to be acknowledged.
#[derive(Debug, Default)]
pub struct Pace {
    due: Option<Instant>,
}

impl Pace {
    /// Something is settled and waits to be acknowledged.
    pub fn settled(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + HOLD);
    }

    /// What waited was acknowledged, or is to be forgotten.
    pub fn done(&mut self) {
        self.due = None;
    }

    /// Whether it is time to acknowledge what waits.
    pub fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Waits until it is time to acknowledge what waits; for ever while nothing does.
    pub async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_several_sets_the_time() {
        let mut pace = Pace::default();
        let started = Instant::now();
        pace.settled();
        tokio::time::advance(HOLD / 2).await;
        pace.settled();
        assert!(!pace.is_due());
        pace.due().await;
        assert!(pace.is_due() && started.elapsed() < HOLD * 2);
        pace.done();
        assert!(!pace.is_due());
    }
}
