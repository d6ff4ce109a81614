//! One whole stack for the tests that need one: starting nine processes takes longer than a test. They take
//! turns on it and leave every part running, so that their order does not matter.

use std::time::Duration;

use clima_local::load::LoadReport;
use clima_local::{Backlog, Counts, PATHS, Part, Stack, StackFile, Totals};
use clima_proto::id::TweetId;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long a count, or what is on its way, may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The tests run on runtimes of their own, the stack on a thread of its own; it ends with this process.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

pub(crate) async fn stack() -> MutexGuard<'static, Stack> {
    let start = || async {
        let stack = Stack::builder().fast_start(true).start().await;
        Mutex::new(stack.unwrap())
    };
    STACK.get_or_init(start).await.lock().await
}

/// Waits until everything accepted is counted.
pub(crate) async fn drained(stack: &Stack) {
    let file = StackFile::of(stack);
    Backlog::drained(&file, PATIENCE).await.unwrap();
}

/// Waits until everything is counted, and compares that, id by id, with what the clients of a load were told. `before`
/// was counted before it.
pub(crate) async fn assert_counted_as_told(stack: &Stack, before: Totals, load: &LoadReport) {
    drained(stack).await;
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    let after = counts.totals().await.unwrap();
    let accepted: Vec<TweetId> = load.accepted().collect();
    let refused: Vec<TweetId> = load.not_counted().collect();
    let most = load.accepted_count() + load.ambiguous_count();
    for (path, counted) in PATHS
        .into_iter()
        .zip([after.kafka - before.kafka, after.rabbitmq - before.rabbitmq])
    {
        let lost = counts.missing(path, &accepted).await.unwrap();
        assert!(lost.is_empty(), "{path} lost {lost:?}: {load}");
        let uncounted = counts.missing(path, &refused).await.unwrap();
        assert_eq!(uncounted.len(), refused.len(), "{path}: {load}");
        assert!(
            (load.accepted_count()..=most).contains(&counted),
            "{path} counted {counted}: {load}"
        );
    }
}
