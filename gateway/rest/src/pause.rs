//! A pause of a connection whose client was refused for overload and does not wait.
//!
//! A refusal asks for a second of patience (`Retry-After`). Who sends again at once, on the same connection, gets the
//! next refusal for the same price: at ten times what can be carried, refusing would cost most of the machine. So after
//! a refusal the connection is not read for a moment, and the operating system holds back what its client sends.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Well below `Retry-After`, since a proxy may have the requests of several clients on one connection.
const LENGTH: Duration = Duration::from_millis(250);

/// Asks for a pause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pause(Arc<AtomicBool>);

impl Pause {
    /// The connection is not read for a moment, from the next attempt on.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps it.
#[derive(Debug)]
pub(crate) struct Paused {
    asked: Pause,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Paused {
    pub(crate) fn new(asked: Pause) -> Self {
        Self { asked, timer: None }
    }

    /// Ready when the connection may be read.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.asked.0.swap(false, Ordering::Relaxed) {
            self.timer = Some(Box::pin(sleep(LENGTH)));
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_refusal_is_one_pause() {
        let pause = Pause::default();
        let mut paused = Paused::new(pause.clone());
        let begun = Instant::now();
        poll_fn(|cx| paused.poll(cx)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for pauses in 1..3 {
            pause.begin();
            poll_fn(|cx| paused.poll(cx)).await;
            assert!(begun.elapsed() >= pauses * LENGTH);
            poll_fn(|cx| paused.poll(cx)).await;
            assert!(begun.elapsed() < (pauses + 1) * LENGTH);
        }
    }
}
