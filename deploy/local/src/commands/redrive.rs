//! `clima-local redrive`: returns what was set aside.

use std::path::Path;

use clima_local::redrive;

use crate::control::running;

/// Publishes the dead letters of both paths again.
pub(crate) async fn run(state_dir: &Path) -> anyhow::Result<()> {
    let returned = redrive(&running(state_dir).await?).await?;
    println!(
        "dead letters returned: kafka={} rabbitmq={}",
        returned.kafka, returned.rabbitmq
    );
    Ok(())
}
