//! Programs of the machine that the installation and the servers need.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::notices::Notices;

/// A program, or the path of a file, and the Debian package that has it.
pub(crate) type Tool = (&'static str, &'static str);

pub(crate) const JAVA: Tool = ("java", "default-jre-headless");
pub(crate) const MAVEN: Tool = ("mvn", "maven");
pub(crate) const MMDEBSTRAP: Tool = ("mmdebstrap", "mmdebstrap");
/// What Debian signs its packages with. Ubuntu's own mmdebstrap comes without.
pub(crate) const DEBIAN_KEYS: Tool = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "debian-archive-keyring",
);
pub(crate) const UNSHARE: Tool = ("unshare", "util-linux");

/// Installs the packages of the programs that are missing.
pub(crate) async fn ensure(tools: &[Tool], notices: &Notices) -> anyhow::Result<()> {
    let packages: Vec<&str> = tools
        .iter()
        .filter(|tool| find(tool.0).is_none())
        .map(|tool| tool.1)
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !nix::unistd::Uid::effective().is_root() || find("apt-get").is_none() {
        bail!("missing Debian packages; as root, run: apt-get install {names}");
    }
    notices.say(format!("installing Debian packages: {names}"));
    let mut update = Command::new("apt-get");
    update.arg("update");
    // A foreign source that cannot be reached fails the update, and the packages may still be there.
    if let Err(error) = run(update).await {
        notices.say(format!("apt-get update was not complete: {error}"));
    }
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "--no-install-recommends"])
        .args(&packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(install)
        .await
        .with_context(|| format!("cannot install the Debian packages {names}"))
}

/// Runs a command to its end; on failure the error carries the end of what it printed.
pub(crate) async fn run(mut command: Command) -> anyhow::Result<()> {
    let name = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        bail!(
            "{name} ended with {}:\n{}",
            output.status,
            crate::log_file::last_lines(&text, 15)
        );
    }
    Ok(())
}

fn find(program: &str) -> Option<PathBuf> {
    // A user's PATH may lack sbin.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
