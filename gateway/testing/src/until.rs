//! Waiting for a condition, with a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer. `what` is named when there is none in time.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "still waiting for: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Asks until the answer is yes.
pub async fn until_true(what: &str, mut ask: impl FnMut() -> bool) {
    until(what, async || ask().then_some(())).await;
}

/// What the future gives; it must not take forever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = timeout(PATIENCE, future).await;
    outcome.unwrap_or_else(|_| panic!("still waiting for: {what}"))
}
