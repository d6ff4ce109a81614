//! `clima-local redrive`: returns what was set aside.

use std::path::Path;

use clima_local::{StackFile, redrive};

/// Publishes the dead letters of both paths again.
pub(crate) async fn run(state_dir: &Path) -> anyhow::Result<()> {
    let returned = redrive(&StackFile::read(state_dir)?).await?;
    println!(
        "dead letters returned: kafka={} rabbitmq={}",
        returned.kafka, returned.rabbitmq
    );
    Ok(())
}
