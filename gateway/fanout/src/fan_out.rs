//! Both paths at once, and one answer for the two.

use clima_proto::clima::v1::TweetEvent;
use clima_proto::fate::{Fate, is_held};
use clima_service::ingest::IngestClient;
use clima_service::ports::Deliver;
use tokio::time::Instant;
use tonic::Status;

use crate::hold::Hold;

/// The ways to the two writers.
#[derive(Debug)]
pub(crate) struct FanOut {
    pub(crate) hold: Hold,
    pub(crate) kafka: IngestClient,
    pub(crate) rabbitmq: IngestClient,
}

impl Deliver for FanOut {
    async fn deliver(&self, event: &TweetEvent, deadline: Instant) -> Result<(), Status> {
        self.hold.admit(Instant::now())?;
        // Neither path is cut short by the other's failure: it may be accepted there, and then a client's
        // retry with the same key has only the failed path left to heal.
        let (kafka, rabbitmq) = tokio::join!(
            self.kafka.ingest(event, deadline),
            self.rabbitmq.ingest(event, deadline),
        );
        let outcome = both(kafka, rabbitmq);
        self.hold.ended(&outcome, Instant::now());
        outcome
    }
}

/// One answer for two paths: OK if both are; else a failure, with the fate of the two together. A path that accepted
/// the tweet counts it, so its word is "may be counted" at least. Of two failures it is the first, unless only the second
/// says that nothing is taken for now.
fn both(kafka: Result<(), Status>, rabbitmq: Result<(), Status>) -> Result<(), Status> {
    let fate = |outcome: &Result<(), Status>| {
        outcome
            .as_ref()
            .map_or_else(Fate::of, |()| Fate::MaybeCounted)
    };
    let fate = fate(&kafka).max(fate(&rabbitmq));
    let failure = match (kafka, rabbitmq) {
        (Ok(()), Ok(())) => return Ok(()),
        (Err(kafka), Err(rabbitmq)) if is_held(&rabbitmq) && !is_held(&kafka) => rabbitmq,
        (Err(status), _) | (Ok(()), Err(status)) => status,
    };
    Err(fate.restate(&failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn failed(fate: Fate) -> Result<(), Status> {
        Err(fate.status(Code::Unavailable, "down"))
    }

    #[test]
    fn ok_takes_both_paths() {
        assert!(both(Ok(()), Ok(())).is_ok());
        assert!(both(failed(Fate::NotCounted), Ok(())).is_err());
        assert!(both(Ok(()), failed(Fate::NotCounted)).is_err());
    }

    #[test]
    fn a_path_that_takes_nothing_is_told_whatever_became_of_the_other() {
        let held = || Err(Fate::NotCounted.held("RabbitMQ", "takes nothing"));
        for other in [Ok(()), failed(Fate::MaybeCounted), held()] {
            assert!(is_held(&both(other.clone(), held()).unwrap_err()));
            assert!(is_held(&both(held(), other).unwrap_err()));
        }
    }

    #[test]
    fn a_tweet_is_not_counted_only_if_neither_path_can_have_it() {
        use Fate::{MaybeCounted, NotCounted};
        for (kafka, rabbitmq, fate) in [
            (failed(NotCounted), failed(NotCounted), NotCounted),
            (failed(NotCounted), failed(MaybeCounted), MaybeCounted),
            (failed(MaybeCounted), failed(NotCounted), MaybeCounted),
            (failed(NotCounted), Ok(()), MaybeCounted),
            (Ok(()), failed(NotCounted), MaybeCounted),
        ] {
            assert_eq!(Fate::of(&both(kafka, rabbitmq).unwrap_err()), fate);
        }
    }
}
