//! One whole stack for the tests that need one: starting nine processes takes longer than a test. They take
//! turns on it and leave every part running, so that their order does not matter.

use std::time::Duration;

use clima_local::{Backlog, Stack, StackFile};
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
