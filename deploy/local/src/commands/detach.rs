//! `clima-local up --detach`: an `up` in a session of its own, watched until it is ready.

use std::env;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::up::Args;
use crate::control::{self, Reply, Request};

/// Starts it, shows its progress, and returns when it is ready or has failed.
pub(crate) async fn run(args: &Args, state_dir: &Path) -> anyhow::Result<()> {
    let log = state_dir.join("up.log");
    let mut child = spawn(args, state_dir, &log)?;
    let mut shown = File::open(&log)?;
    loop {
        let ended = child.try_wait()?;
        show_more(&mut shown)?;
        if let Some(status) = ended {
            bail!(
                "the start failed ({status}); its messages are in {}",
                log.display()
            );
        }
        if let Ok(Reply::Parts { .. }) = control::ask(state_dir, Request::Status).await {
            break;
        }
        tokio::select! {
            () = sleep(Duration::from_millis(100)) => {}
            _ = tokio::signal::ctrl_c() => return give_up(child).await,
        }
    }
    show_more(&mut shown)?;
    println!("it runs in the background; end it with: clima-local down");
    Ok(())
}

fn spawn(args: &Args, state_dir: &Path, log: &Path) -> anyhow::Result<Child> {
    fs::create_dir_all(state_dir)?;
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
    let mut command = Command::new("setsid");
    command
        .arg(env::current_exe()?)
        .arg("--state-dir")
        .arg(state_dir)
        .arg("up");
    if let Some(base) = args.port_base {
        command.arg("--port-base").arg(base.to_string());
    }
    if args.fresh {
        command.arg("--fresh");
    }
    if args.servers_only {
        command.arg("--servers-only");
    }
    if let Some(runtime) = args.runtime.runtime.to_possible_value() {
        command.arg("--runtime").arg(runtime.get_name());
    }
    if args.runtime.no_build {
        command.arg("--no-build");
    }
    if let Some(bin_dir) = &args.bin_dir {
        command.arg("--bin-dir").arg(bin_dir);
    }
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start setsid (Debian package util-linux)")
}

fn show_more(log: &mut File) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    std::io::stderr().write_all(&bytes)?;
    Ok(())
}

async fn give_up(mut child: Child) -> anyhow::Result<()> {
    if let Some(pid) = child.id() {
        kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM).ok();
    }
    child.wait().await?;
    bail!("interrupted; nothing is left running")
}
