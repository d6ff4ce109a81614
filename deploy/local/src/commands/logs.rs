//! `clima-local logs`: the output of one part.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use clima_local::{Part, logs_command};

/// Becomes `tail`, which knows how to follow a file, or `docker`, which knows how to follow a container.
pub(crate) fn run(part: Part, follow: bool, state_dir: &Path) -> anyhow::Result<()> {
    if let Some(mut logs) = logs_command(state_dir, part, follow)? {
        return Err(logs.exec()).context("cannot start docker");
    }
    let log = state_dir.join(format!("logs/{part}.log"));
    ensure!(
        log.is_file(),
        "{part} has not been started in {}",
        state_dir.display()
    );
    let mut tail = Command::new("tail");
    tail.args(["-n", if follow { "100" } else { "+1" }]);
    if follow {
        tail.arg("-F");
    }
    Err(tail.arg(log).exec()).context("cannot start tail")
}
