//! Waiting until nothing of an earlier kill is left: each is to be measured by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::consumer::Consumer as _;
use tokio::time::{sleep, timeout};

use super::flow::Flow;
use super::load::SteadyLoad;
use crate::topic::{self, GROUP};

/// Kafka's word for a group whose members all have their partitions.
const STABLE: &str = "Stable";

/// How soon a tweet is counted while nothing is wrong. A backlog or a rebalance takes longer.
const SOON: Duration = Duration::from_millis(500);

/// Requests that may wait for their answers while nothing is wrong.
const WAITING: usize = 20;

/// So many looks in a row must find nothing, this far apart.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

const PATIENCE: Duration = Duration::from_secs(120);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until tweets are accepted and counted on both paths as they are sent, and Kafka's group is at rest with one member.
pub(super) async fn settled(load: &SteadyLoad, flow: &Flow, brokers: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut looks = 0;
    while looks < LOOKS {
        match trouble(load, flow, brokers).await {
            None => looks += 1,
            Some(trouble) if begun.elapsed() > PATIENCE => {
                bail!(
                    "it does not come to rest, or the machine is busy with something else: {trouble}"
                );
            }
            Some(_) => looks = 0,
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// What is not as it should be.
async fn trouble(load: &SteadyLoad, flow: &Flow, brokers: &str) -> Option<String> {
    let waiting = load.in_flight();
    if waiting > WAITING {
        return Some(format!("{waiting} requests wait for their answers"));
    }
    if timeout(SOON, flow.passes(Instant::now())).await.is_err() {
        return Some(format!("a tweet takes longer than {SOON:?}"));
    }
    let brokers = brokers.to_owned();
    match tokio::task::spawn_blocking(move || group(&brokers)).await {
        Ok(Ok((state, 1))) if state == STABLE => None,
        Ok(Ok((state, members))) => Some(format!("the group is {state} with {members} members")),
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// The state of the group that counts, and how many members it has.
fn group(brokers: &str) -> anyhow::Result<(String, usize)> {
    let client = topic::client(brokers, GROUP)?;
    let list = client.fetch_group_list(Some(GROUP), TIMEOUT)?;
    let group = list.groups().first().context("Kafka knows no group")?;
    Ok((group.state().to_owned(), group.members().len()))
}
