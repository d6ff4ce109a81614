//! The claims that every writer must pass, against a real broker.
//!
//! Each broker's tests implement [`Broker`] and call [`writer_contract!`](crate::writer_contract), which makes
//! a test of every claim. So what is promised of one is promised of the other.

mod calls;
mod claims;
mod faults;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use clima_proto::clima::v1::TweetEvent;
use clima_proto::id::TweetId;
use clima_service::process::RunError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use claims::*;
pub use faults::*;

/// A broker with an empty topic or queue, and a writer to it. The claims have it for themselves.
#[allow(async_fn_in_trait)]
pub trait Broker {
    /// Starts a writer on free ports.
    async fn start_writer(&self, max_in_flight: u32) -> RunningWriter;

    /// Every event that the broker holds, from the first on.
    async fn published(&self) -> Vec<TweetEvent>;

    /// Ends the broker with SIGKILL.
    async fn kill(&self);

    /// Starts it again with its data, and waits until it answers.
    async fn start(&self);

    /// Stops it with SIGSTOP: connections stay, nothing is answered.
    async fn pause(&self);

    /// Lets it go on.
    async fn resume(&self);
}

/// A writer that runs in this process.
#[derive(Debug)]
pub struct RunningWriter {
    /// Its public port.
    pub public: SocketAddr,
    /// Its internal port.
    pub internal: SocketAddr,
    /// Its admin port.
    pub admin: SocketAddr,
    /// Cancelled to make it drain.
    pub shutdown: CancellationToken,
    /// Ends when it has drained.
    pub ended: JoinHandle<Result<(), RunError>>,
}

/// The ids of these events.
pub(crate) fn ids(events: &[TweetEvent]) -> BTreeSet<TweetId> {
    events
        .iter()
        .filter_map(|event| TweetId::from_parts(&event.source, event.sequence).ok())
        .collect()
}

/// Makes a test of every claim. `$broker` is an expression that gives a fresh [`Broker`].
#[macro_export]
macro_rules! writer_contract {
    ($broker:expr) => {
        $crate::writer_contract!($broker;
            ok_means_published_as_it_was_sent_with_the_id_returned,
            ingest_keeps_ids_and_answers_event_by_event,
            an_event_of_a_newer_build_is_not_taken_and_not_called_wrong,
            the_same_key_and_content_is_the_same_id,
            an_invalid_tweet_is_refused_and_not_published,
            every_one_of_many_concurrent_tweets_that_was_ok_is_published,
            a_killed_broker_loses_nothing_that_was_ok,
            a_writer_that_starts_before_its_broker_works_once_that_is_there,
            a_writer_is_in_service_once_its_broker_was_reached_and_stays_so,
            a_stalled_broker_makes_tweets_ambiguous_at_their_deadline,
            more_than_the_limit_in_flight_is_refused_at_once,
            a_draining_writer_answers_what_is_in_flight,
        );
    };
    ($broker:expr; $($claim:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $claim() {
            $crate::contract::$claim(&$broker.await).await;
        }
    )*};
}
