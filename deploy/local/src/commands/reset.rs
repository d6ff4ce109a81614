//! `clima-local reset`: empties the counts of a running system, for a demonstration.

use std::path::Path;
use std::time::Duration;

use clima_local::{Backlog, Counts, Part};

use crate::control::running;

/// How long the backlog may stand still.
const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until nothing is on its way, then empties Valkey. What is accepted meanwhile would be counted into
/// the emptied database.
pub(crate) async fn run(state_dir: &Path) -> anyhow::Result<()> {
    let stack = running(state_dir).await?;
    eprintln!("waiting until both paths have counted everything");
    Backlog::drained(&stack, PATIENCE).await?;
    let mut counts = Counts::connect(&stack.addresses[&Part::Valkey]).await?;
    let before = counts.totals().await?;
    counts.clear().await?;
    println!(
        "emptied: kafka={} rabbitmq={} before",
        before.kafka, before.rabbitmq
    );
    Ok(())
}
