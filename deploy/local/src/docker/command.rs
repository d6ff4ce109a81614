//! Running `docker`.

use std::ffi::OsStr;
use std::process::{Command as StdCommand, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use crate::log_file;

/// How long an engine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// `docker` with these arguments.
pub(super) fn docker<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> StdCommand {
    let mut docker = StdCommand::new("docker");
    docker.args(args);
    docker
}

/// Runs a command to its end and returns what it printed; on failure the error carries the end of that.
pub(super) async fn run(command: StdCommand) -> anyhow::Result<String> {
    let name = describe(&command);
    let output = output(command).await?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        bail!("{name}: {}", log_file::last_lines(&text, 15));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command to its end and returns what it printed, also when it failed.
pub(super) async fn output(command: StdCommand) -> anyhow::Result<Output> {
    Command::from(command)
        .stdin(Stdio::null())
        // A Ctrl-C in the terminal must reach us alone, who stop all in order.
        .process_group(0)
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start docker")
}

/// The command without its options, which are long and the same each time.
fn describe(command: &StdCommand) -> String {
    let words = command.get_args().map(OsStr::to_string_lossy);
    let words: Vec<_> = words
        .skip_while(|word| word == "compose" || word.starts_with("--"))
        .take(2)
        .collect();
    format!("docker {}", words.join(" "))
}

/// The version of the engine.
///
/// # Errors
/// When there is no `docker`, no engine that answers in time, or no Docker Compose.
pub(crate) async fn available() -> anyhow::Result<String> {
    let info = docker(["info", "--format", "{{.ServerVersion}}"]);
    let engine = timeout(PATIENCE, run(info))
        .await
        .context("the engine does not answer")??;
    let engine = engine.trim();
    // Without an engine, some versions print an empty line and are content.
    ensure!(!engine.is_empty(), "no engine answers");
    let compose = docker(["compose", "version", "--short"]);
    timeout(PATIENCE, run(compose))
        .await
        .context("Docker Compose does not answer")?
        .context("Docker Compose is missing (its package is docker-compose-plugin)")?;
    Ok(engine.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_not_its_options() {
        let whole = docker([
            "compose",
            "--project-name=clima",
            "--file=compose.yaml",
            "up",
            "kafka",
        ]);
        assert_eq!(describe(&whole), "docker up kafka");
        assert_eq!(
            describe(&docker(["start", "0123", "4567"])),
            "docker start 0123"
        );
    }
}
