//! A path that takes nothing for now: what more is refused at the door, before the other path has it.
//!
//! A broker that is out of memory or disk, or away for long, is told by its writer. While that lasts, a tweet that is
//! tried would be accepted by the other path alone, and counted there alone. So one is tried now and then, and the others
//! are refused before anything leaves. The first that ends in another way opens the door.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clima_proto::fate::{Fate, is_held};
use tokio::time::Instant;
use tonic::Status;

/// Between two tweets that are tried.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Whether a path takes nothing for now.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Whether it does: read for every tweet, without the lock.
    begun: AtomicBool,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    /// What is answered meanwhile.
    status: Status,
    next_try: Instant,
}

impl Hold {
    /// Lets a tweet through, or refuses it.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Status> {
        if !self.begun.load(Ordering::Relaxed) {
            return Ok(());
        }
        match &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) if now < held.next_try => Err(held.status.clone()),
            Some(held) => {
                held.next_try = now + TRY_EVERY;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Takes in how a tweet that was let through ended.
    pub(crate) fn ended(&self, outcome: &Result<(), Status>, now: Instant) {
        let held = outcome.as_ref().err().filter(|status| is_held(status));
        let Some(status) = held else {
            if self.begun.load(Ordering::Relaxed) && self.begun.swap(false, Ordering::Relaxed) {
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            return;
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            tracing::warn!(reason = status.message(), "tweets are refused at the door");
            *held = Some(Held {
                // Whatever became of the one that found out: what is refused at the door has not left.
                status: Fate::NotCounted.restate(status),
                next_try: now + TRY_EVERY,
            });
        }
        self.begun.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn while_a_path_takes_nothing_one_tweet_is_tried_now_and_then_and_the_others_never_left() {
        let (hold, now) = (Hold::default(), Instant::now());
        let found = Fate::MaybeCounted.held("RabbitMQ", "RabbitMQ takes no messages for now");
        assert!(hold.admit(now).is_ok());
        hold.ended(&Err(found.clone()), now);
        let refusal = hold.admit(now).unwrap_err();
        assert_eq!(Fate::of(&refusal), Fate::NotCounted);
        assert_eq!(
            (refusal.code(), refusal.message()),
            (found.code(), found.message())
        );
        let later = now + TRY_EVERY;
        assert!(hold.admit(later).is_ok());
        assert!(hold.admit(later).is_err());
        hold.ended(&Err(found), later);
        assert!(hold.admit(later).is_err());
    }

    #[test]
    fn any_other_end_opens_the_door() {
        let now = Instant::now();
        for end in [
            Ok(()),
            Err(Fate::MaybeCounted.status(Code::Unavailable, "Kafka did not confirm")),
        ] {
            let hold = Hold::default();
            hold.ended(&Err(Fate::NotCounted.held("Kafka", "away")), now);
            assert!(hold.admit(now).is_err());
            hold.ended(&end, now);
            assert!(hold.admit(now).is_ok() && hold.admit(now).is_ok());
        }
    }
}
