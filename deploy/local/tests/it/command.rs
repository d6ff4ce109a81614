//! The command `clima-local`, as a user runs it.

use std::path::Path;
use std::process::{Output, Stdio};

use clima_local::{Part, StackFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::wait::{lives, until};

/// As processes, unless `args` say otherwise: process ids are what most tests look at.
pub(crate) fn clima_local(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clima-local"));
    command
        .args(args)
        .arg("--state-dir")
        .arg(state)
        .env("CLIMA_RUNTIME", "native")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(state: &Path, args: &[&str]) -> Output {
    clima_local(state, args).output().await.unwrap()
}

async fn up(state: &Path) -> (Child, StackFile) {
    let stale = StackFile::read(state).ok();
    let args = ["up", "--servers-only", "--port-base", "0"];
    let mut child = clima_local(state, &args).spawn().unwrap();
    let file = until("a new stack.json", async || {
        assert!(child.try_wait().unwrap().is_none(), "up ended early");
        StackFile::read(state)
            .ok()
            .filter(|file| Some(file) != stale.as_ref())
    })
    .await;
    (child, file)
}

fn server_pids(file: &StackFile) -> Vec<u32> {
    Part::SERVERS
        .iter()
        .map(|part| file.pids[part].unwrap())
        .collect()
}

async fn nothing_lives(pids: &[u32]) {
    until("every server to die", async || {
        (!pids.iter().any(|&pid| lives(pid))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_servers_die_with_an_owner_that_is_killed_and_their_data_stays() {
    let state = tempfile::tempdir().unwrap();
    let (mut owner, file) = up(state.path()).await;
    let pids = server_pids(&file);
    owner.kill().await.unwrap();
    nothing_lives(&pids).await;

    // Its stack.json is still there; nobody believes it.
    assert!(state.path().join(StackFile::NAME).exists());
    for command in ["status", "reset", "redrive"] {
        let asked = run(state.path(), &[command]).await;
        assert!(!asked.status.success(), "{command}");
        let text = String::from_utf8(asked.stderr).unwrap();
        assert!(
            text.contains("error: no stack is up in"),
            "{command}: {text}"
        );
    }

    // What it left is no obstacle: socket, stack.json, and the data for other ports.
    assert!(state.path().join("control.sock").exists());
    let (mut owner, file) = up(state.path()).await;
    assert!(server_pids(&file).iter().all(|&pid| lives(pid)));
    let pid = Pid::from_raw(owner.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(owner.wait().await.unwrap().success());
    nothing_lives(&server_pids(&file)).await;
    assert!(!state.path().join(StackFile::NAME).exists());
}

#[tokio::test]
async fn a_detached_stack_obeys_the_other_commands_until_down() {
    let state = tempfile::tempdir().unwrap();
    let args = ["up", "--detach", "--servers-only", "--port-base", "0"];
    let started = run(state.path(), &args).await;
    assert!(started.status.success(), "{started:?}");
    let pids = server_pids(&StackFile::read(state.path()).unwrap());

    let second = run(state.path(), &args).await;
    assert!(!second.status.success());
    assert!(
        String::from_utf8(second.stderr)
            .unwrap()
            .contains("already up")
    );

    assert!(
        run(state.path(), &["kill", "valkey"])
            .await
            .status
            .success()
    );
    assert_eq!(
        StackFile::read(state.path()).unwrap().pids[&Part::Valkey],
        None
    );
    let table = String::from_utf8(run(state.path(), &["status"]).await.stdout).unwrap();
    assert!(
        table.contains("was killed") && table.contains("running"),
        "{table}"
    );
    assert!(
        run(state.path(), &["start", "valkey"])
            .await
            .status
            .success()
    );
    let status = run(state.path(), &["status", "--json"]).await;
    let rows: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(
        rows.as_array()
            .unwrap()
            .iter()
            .all(|row| row["state"] == "running"),
        "{rows}"
    );

    let log = String::from_utf8(run(state.path(), &["logs", "valkey"]).await.stdout).unwrap();
    assert_eq!(
        log.matches("Ready to accept connections").count(),
        2,
        "{log}"
    );
    assert!(run(state.path(), &["down"]).await.status.success());
    nothing_lives(&pids).await;
    assert!(run(state.path(), &["down"]).await.status.success());
}

#[tokio::test]
async fn a_detached_start_that_fails_says_why_and_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let bin = empty.path().to_str().unwrap();
    let args = ["up", "--detach", "--port-base", "0", "--bin-dir", bin];
    let failed = run(state.path(), &args).await;
    assert!(!failed.status.success());
    let text = String::from_utf8(failed.stderr).unwrap();
    assert!(text.contains("clima-rest is not there"), "{text}");
    assert!(!state.path().join(StackFile::NAME).exists());
}

#[tokio::test]
async fn the_demo_starts_empty_and_counts_what_locust_posts_once_on_each_path() {
    let state = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let args = ["demo", "--requests", "300", "--port-base", "0"];
        let demo = run(state.path(), &args).await;
        let (out, err) = (
            String::from_utf8(demo.stdout).unwrap(),
            String::from_utf8(demo.stderr).unwrap(),
        );
        assert!(demo.status.success(), "{out}{err}");
        assert_eq!(
            out.lines().last(),
            Some("accepted=300 failed=0 kafka=300 rabbitmq=300"),
            "{out}{err}"
        );
        assert!(!state.path().join(StackFile::NAME).exists());
    }
}
