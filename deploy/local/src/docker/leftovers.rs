//! Containers whose owner was killed, seen from the commands.

use std::path::Path;

use super::command::{docker, run};
use super::project::Project;
use super::settings::Settings;

/// Removes the containers of a folder whose owner was killed. Returns whether there were some.
///
/// # Errors
/// When Docker does not remove them.
pub async fn remove_leftovers(state_dir: &Path) -> anyhow::Result<bool> {
    if !state_dir.join(Settings::NAME).is_file() {
        return Ok(false);
    }
    let project = Project::of(state_dir)?;
    let mut list = docker(["ps", "--all", "--quiet"]);
    list.arg(project.filter());
    if run(list).await?.trim().is_empty() {
        return Ok(false);
    }
    run(project.compose(["down", "--remove-orphans"])).await?;
    Ok(true)
}
