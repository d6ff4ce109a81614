//! RabbitMQ and Valkey: a folder with the root file system of a small Debian that has both.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use tokio::process::Command;

use super::{mirror, tools};
use crate::notices::Notices;
use crate::servers::valkey;
use crate::versions;

/// The name of the folder in the cache.
pub(crate) fn folder() -> String {
    format!("debian-{}-{}", versions::DEBIAN, versions::RECIPE)
}

/// Fills `folder` with the root file system.
pub(crate) async fn install(folder: &Path, notices: &Notices) -> anyhow::Result<()> {
    tools::ensure(&[tools::MMDEBSTRAP, tools::DEBIAN_KEYS], notices).await?;
    let mirror = mirror::debian();
    notices.say(format!(
        "installing RabbitMQ and Valkey of Debian {} from {mirror}: 250 MB, about a minute",
        versions::DEBIAN
    ));
    // A tar file in between: while it works, mmdebstrap mounts /dev and /proc into the folder it
    // fills, and a folder of ours must be safe to remove at any time. It also leaves all files to
    // the current user, whoever that is.
    let tar = tempfile::Builder::new()
        .suffix(".tar")
        .tempfile_in(folder)?;
    let mut bootstrap = Command::new("mmdebstrap");
    bootstrap
        .args([
            "--variant=minbase",
            "--include=rabbitmq-server,valkey-server,valkey-tools",
        ])
        .arg(versions::DEBIAN)
        .arg(tar.path())
        .arg(&mirror);
    tools::run(bootstrap)
        .await
        .context("cannot install RabbitMQ and Valkey")?;
    let mut unpack = Command::new("tar");
    unpack
        .args([
            "--extract",
            "--no-same-owner",
            "--exclude=./dev/*",
            "--file",
        ])
        .arg(tar.path());
    unpack.arg("--directory").arg(folder);
    tools::run(unpack).await?;
    // Erlang resolves the host of its node name; only IPv4, as all listeners are.
    fs::write(folder.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    Ok(())
}

/// Writes scripts that run Valkey's programs from the folder, for people.
pub(crate) fn write_wrappers(root: &Path, bin: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(bin)?;
    for program in ["valkey-cli", "valkey-server"] {
        let (loader, args) = valkey::command(root, program);
        let mut script = format!("#!/bin/sh\nexec '{}'", loader.display());
        for arg in args {
            script.push_str(&format!(" '{arg}'"));
        }
        script.push_str(" \"$@\"\n");
        let path = bin.join(program);
        fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    Ok(())
}
