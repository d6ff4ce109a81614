//! Programs that are no part of the system, each brought by a script in `deploy/local/tools`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Longest time of a program, installing included.
const LIMIT: Duration = Duration::from_secs(900);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the script prints: where it put the tool.
pub(crate) async fn tool(script: &str) -> PathBuf {
    let script = root().join("deploy/local/tools").join(script);
    let mut command = Command::new(script);
    command.stderr(Stdio::inherit());
    PathBuf::from(output(&mut command).await.trim())
}

/// The standard output of a program that succeeds.
pub(crate) async fn output(command: &mut Command) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(LIMIT, command.output()).await;
    let output = ended.expect("to end in time").expect("to start");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{errors}",
        output.status
    );
    text
}
