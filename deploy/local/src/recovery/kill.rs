//! One kill, and what is seen of the recovery.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::flow::{Flow, POLL, Passed};
use crate::{Part, Stack};

/// One recovery. Every time is counted from SIGKILL on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovery {
    /// Until the part was ready again.
    pub(super) ready: Duration,
    /// Servers only: until it took connections again, which may be before it is of any use.
    pub(super) open: Option<Duration>,
    /// Until a tweet that was sent after the kill was accepted.
    pub(super) accepted: Duration,
    /// Until that tweet was counted on Kafka's path, and on RabbitMQ's.
    pub(super) counted: [Duration; 2],
}

impl Recovery {
    /// When tweets flowed again, from one end to the other.
    pub(super) fn flowing(&self) -> Duration {
        self.counted.into_iter().fold(self.accepted, Duration::max)
    }
}

/// Kills a part, starts it again at once, and watches.
pub(super) async fn kill(stack: &Stack, part: Part, flow: &Flow) -> anyhow::Result<Recovery> {
    let killed = Instant::now();
    stack.kill(part).await?;
    let gone = Instant::now();
    let (_, ready, open, passed) = tokio::try_join!(
        stack.start_part(part),
        ready(stack, part),
        open(stack, part),
        flow.passes(gone),
    )?;
    let Passed { accepted, counted } = passed;
    Ok(Recovery {
        ready: ready - killed,
        open: open.map(|open| open - killed),
        accepted: accepted - killed,
        counted: counted.map(|counted| counted - killed),
    })
}

async fn ready(stack: &Stack, part: Part) -> anyhow::Result<Instant> {
    let probe = stack.probe(part)?;
    while !probe.answers().await {
        sleep(POLL).await;
    }
    Ok(Instant::now())
}

async fn open(stack: &Stack, part: Part) -> anyhow::Result<Option<Instant>> {
    if !Part::SERVERS.contains(&part) {
        return Ok(None);
    }
    let address = stack.address(part);
    while TcpStream::connect(&address).await.is_err() {
        sleep(POLL).await;
    }
    Ok(Some(Instant::now()))
}
