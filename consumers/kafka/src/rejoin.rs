//! Back into the group without delay.
//!
//! A coordinator that has just been started refuses to let anybody join until it has read what it knows of the group.
//! librdkafka then waits about two seconds before it asks again (`rkcg_join_intvl`), unless a broker tells it something of
//! topics, which ends that wait. So while we are in no group the topic is asked for, several times a second.

use std::sync::Weak;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::poll::Group;

/// How often the topic is asked for.
const EVERY: Duration = Duration::from_millis(250);

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Asks whenever there is need. Ends with the client.
pub(crate) async fn hasten(client: Weak<BaseConsumer<Group>>, topic: String) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(client) = client.upgrade() else {
            return;
        };
        if client.context().is_member() {
            continue;
        }
        let topic = topic.clone();
        let question = move || client.fetch_metadata(Some(&topic), TIMEOUT).map(drop);
        match spawn_blocking(question).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cannot ask for the topic"),
            // The process is ending.
            Err(_) => return,
        }
    }
}
