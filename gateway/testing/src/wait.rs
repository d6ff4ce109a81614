//! Waiting for a condition, with a deadline.

use std::time::Duration;

use tokio::time::Instant;

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer. `what` is named when there is none within [`PATIENCE`].
///
/// # Panics
///
/// There is no answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "still waiting for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The outcome of something that must end.
///
/// # Panics
///
/// It does not within [`PATIENCE`].
pub async fn ends<T>(what: &str, ending: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, ending).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("does not end: {what}"),
    }
}
