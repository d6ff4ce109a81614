//! The claims that every consumer must pass, against a real broker and a real Valkey.
//!
//! Each broker's tests implement [`Broker`] and call [`consumer_contract!`](crate::consumer_contract), which
//! makes a test of every claim. So what is promised of one is promised of the other. The consumer under test is
//! the real process: some claims end it with SIGKILL.

mod claims;
mod faults;
mod process;
mod records;
mod standing;

use clima_local::{Part, Stack};

pub use claims::*;
pub use faults::*;
pub use process::{NewerConsumer, RunningConsumer, command_line};
pub use records::{records, until, until_acknowledged, until_counted};
pub use standing::*;

/// A broker with an empty topic or queue, beside an empty Valkey. The claims have both for themselves.
#[allow(async_fn_in_trait)]
pub trait Broker {
    /// The server under test.
    const PART: Part;

    /// The servers.
    fn stack(&self) -> &Stack;

    /// Starts the consumer's process.
    async fn start_consumer(&self) -> RunningConsumer;

    /// Starts one that knows the next `schema_version`, too.
    fn start_newer_consumer(&self) -> NewerConsumer;

    /// Publishes records of any bytes and waits until they are durable.
    async fn publish(&self, records: Vec<Vec<u8>>);

    /// Records that no consumer has acknowledged; while one runs, those that it holds may be missing.
    async fn unacknowledged(&self) -> u64;

    /// What was set aside: the bytes and the reason.
    async fn dead_letters(&self) -> Vec<(Vec<u8>, String)>;
}

/// Makes a test of every claim. `$broker` is an expression that gives a fresh [`Broker`].
#[macro_export]
macro_rules! consumer_contract {
    ($broker:expr) => {
        $crate::consumer_contract!($broker;
            each_event_is_counted_once_and_acknowledged,
            a_record_that_is_there_three_times_is_counted_once,
            poison_is_set_aside_with_its_reason_and_the_rest_is_counted,
            a_newer_schema_stops_the_consumer_and_loses_nothing,
            a_newer_consumer_carries_on_where_the_old_one_has_stopped,
            a_consumer_that_is_killed_again_and_again_counts_everything_once,
            a_killed_valkey_costs_nothing,
            no_setting_of_valkey_that_could_lose_counts_is_counted_with,
            a_killed_broker_costs_nothing,
            two_consumers_share_the_work_and_count_everything_once,
            a_consumer_that_starts_without_valkey_tells_how_long_its_tweets_wait,
            a_dead_letter_that_cannot_be_published_is_in_hand_and_ages,
            a_dead_letter_that_is_never_confirmed_does_not_hold_back_the_end,
            a_broker_that_is_away_leaves_the_consumer_ready_and_its_age_grows,
            a_key_that_needs_repair_makes_the_consumer_unready_until_it_is_repaired,
        );
    };
    ($broker:expr; $($claim:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $claim() {
            $crate::contract::$claim(&$broker.await).await;
        }
    )*};
}
