//! What a broker must do for a consumer.

use std::future::Future;

use crate::store::Broker;

/// A record as it came from the broker.
#[derive(Debug, Clone)]
pub struct Record<P> {
    /// Where it was: enough to acknowledge it, and to tell a person.
    pub position: P,
    /// Its bytes, which may be anything.
    pub payload: Vec<u8>,
}

/// What went wrong between us and the broker. The source connects again by itself; the records in hand are
/// delivered again, and those that were counted are recognised.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Records of one broker, taken in batches, acknowledged in order.
pub trait Source: Send + Sync + 'static {
    /// Whose records these are.
    const BROKER: Broker;

    /// Where a record was.
    type Position: std::fmt::Debug + Send + Sync;

    /// Waits for a record, then takes those that have arrived with it: 1 to `max`, in order.
    ///
    /// Dropping the future loses no record for good: what was not acknowledged is delivered again.
    ///
    /// # Errors
    ///
    /// The connection is lost. The next call makes another.
    fn next_batch(
        &mut self,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Record<Self::Position>>, SourceError>> + Send;

    /// Puts a record where poison goes, with the reason. Returns once it is durable there. Dropping the future does
    /// not take it back.
    ///
    /// # Errors
    ///
    /// It is not known to be durable.
    fn set_aside(
        &mut self,
        record: &Record<Self::Position>,
        reason: &str,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Acknowledges all records of the last batch, of which every one was counted or set aside. The broker may
    /// learn of it a moment later, see [`Pace`](crate::Pace).
    ///
    /// # Errors
    ///
    /// The broker will not know it: the records are delivered again.
    fn acknowledge(
        &mut self,
        batch: &[Record<Self::Position>],
    ) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Tells the broker what is acknowledged, and leaves it in good order; the rest goes to others.
    fn close(self) -> impl Future<Output = ()> + Send;
}
