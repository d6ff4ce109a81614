//! One whole stack for all tests, which take turns on it and leave every part running, and what it has counted.

use std::time::Duration;

use clima_local::{Backlog, Counts, Part, Stack, StackFile, Totals};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long a count may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The tests run on runtimes of their own, the stack on a thread of its own; it ends with this process.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

pub(crate) async fn stack() -> MutexGuard<'static, Stack> {
    let start = || async {
        let stack = Stack::builder().fast_start(true).start().await;
        Mutex::new(stack.unwrap())
    };
    STACK.get_or_init(start).await.lock().await
}

/// What both paths have counted, once nothing is on its way.
pub(crate) async fn totals(stack: &Stack) -> Totals {
    Backlog::drained(&StackFile::of(stack), PATIENCE)
        .await
        .unwrap();
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.totals().await.unwrap()
}
