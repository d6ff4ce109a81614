//! Both paths at once, and one answer for the two.

use clima_proto::clima::v1::TweetEvent;
use clima_proto::fate::Fate;
use clima_service::ingest::IngestClient;
use clima_service::ports::Deliver;
use tokio::time::Instant;
use tonic::Status;

/// The ways to the two writers.
#[derive(Debug)]
pub(crate) struct FanOut {
    pub(crate) kafka: IngestClient,
    pub(crate) rabbitmq: IngestClient,
}

impl Deliver for FanOut {
    async fn deliver(&self, event: &TweetEvent, deadline: Instant) -> Result<(), Status> {
        // Neither path is cut short by the other's failure: it may be accepted there, and then a client's
        // retry with the same key has only the failed path left to heal.
        let (kafka, rabbitmq) = tokio::join!(
            self.kafka.ingest(event, deadline),
            self.rabbitmq.ingest(event, deadline),
        );
        both(kafka, rabbitmq)
    }
}

/// One answer for two paths: OK if both are; else the first failure, with the fate of the two together. A
/// path that accepted the tweet counts it, so its word is "may be counted" at least.
fn both(kafka: Result<(), Status>, rabbitmq: Result<(), Status>) -> Result<(), Status> {
    let fate = |outcome: &Result<(), Status>| {
        outcome
            .as_ref()
            .map_or_else(Fate::of, |()| Fate::MaybeCounted)
    };
    let fate = fate(&kafka).max(fate(&rabbitmq));
    match kafka.and(rabbitmq) {
        Ok(()) => Ok(()),
        Err(status) => Err(fate.restate(&status)),
    }
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
