//! What containers print.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;

use super::project::{Project, service};
use crate::{Part, StackFile};

/// The output of a container over all its starts, or its last lines. `docker logs` keeps the two streams apart; a log is one.
pub(super) fn output(id: &str, lines: Option<usize>) -> Command {
    let lines = lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let mut logs = Command::new("sh");
    logs.args(["-c", r#"exec docker logs --tail "$1" "$2" 2>&1"#, "logs"])
        .args([lines.as_str(), id]);
    logs
}

/// Adds the whole output of a container to a file, which outlives it.
pub(super) async fn keep(id: &str, file: &Path) -> anyhow::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(file)?;
    let mut command = tokio::process::Command::from(output(id, None));
    command.stdin(Stdio::null()).stdout(file);
    let status = command.process_group(0).status().await?;
    ensure!(status.success(), "docker logs ended with {status}");
    Ok(())
}

/// The command that prints a part's output, where it is a container now; when it is none, its output is in a file.
///
/// # Errors
/// When the state folder cannot be read.
pub fn logs_command(state_dir: &Path, part: Part, follow: bool) -> anyhow::Result<Option<Command>> {
    if !StackFile::read(state_dir).is_ok_and(|stack| stack.is_docker()) {
        return Ok(None);
    }
    let options: &[&str] = if follow {
        &["--follow", "--tail=100"]
    } else {
        &[]
    };
    let mut logs = Project::of(state_dir)?.compose(["logs", "--no-log-prefix", "--no-color"]);
    logs.args(options).arg(service(part));
    Ok(Some(logs))
}
