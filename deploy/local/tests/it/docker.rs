//! The command `clima-local` with the parts as containers. It needs an engine and the images, so it is asked for by name:
//! `cargo test -p clima-local --test it -- --ignored docker` (docs/running-docker.md).

use std::path::Path;

use clima_local::{Part, StackFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::command::{clima_local, run};
use crate::wait::until;

/// Its standard output, where it succeeded.
async fn said(state: &Path, args: &[&str]) -> String {
    let output = run(state, args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const UP: [&str; 6] = [
    "up",
    "--runtime",
    "docker",
    "--no-build",
    "--port-base",
    "0",
];

async fn up(state: &Path) -> StackFile {
    said(state, &[UP.as_slice(), &["--detach"]].concat()).await;
    StackFile::read(state).unwrap()
}

async fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The compose project of each container of this state folder.
async fn containers(state: &Path) -> Vec<String> {
    let settings = state.join("docker.env");
    let settings = format!(
        "label=com.docker.compose.project.environment_file={}",
        settings.display()
    );
    let project = r#"--format={{.Label "com.docker.compose.project"}}"#;
    let list = docker(&["ps", "--all", "--filter", &settings, project]).await;
    list.lines().map(str::to_owned).collect()
}

/// Removes the volumes, which outlive everything else.
async fn remove_volumes(project: &str) {
    let project = format!("label=com.docker.compose.project={project}");
    let volumes = docker(&["volume", "ls", "--quiet", "--filter", &project]).await;
    let volumes: Vec<&str> = volumes.lines().collect();
    assert!(!volumes.is_empty());
    docker(&[&["volume", "rm"], volumes.as_slice()].concat()).await;
}

#[tokio::test]
#[ignore = "needs a Docker engine and images"]
async fn containers_obey_the_same_commands_and_keep_their_data_and_logs() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().canonicalize().unwrap();
    let file = up(&state).await;
    assert!(file.is_docker() && file.internal.is_empty());
    let projects = containers(&state).await;
    assert!(projects.len() >= Part::ALL.len());

    assert_eq!(
        said(&state, &["kill", "valkey"]).await,
        "valkey is killed\n"
    );
    let table = said(&state, &["status"]).await;
    assert!(table.contains("was killed"), "{table}");
    assert_eq!(StackFile::read(&state).unwrap().pids[&Part::Valkey], None);
    said(&state, &["start", "valkey"]).await;
    said(&state, &["stop", "gateway"]).await;
    said(&state, &["start", "gateway"]).await;
    let rows: serde_json::Value =
        serde_json::from_str(&said(&state, &["status", "--json"]).await).unwrap();
    let running = rows.as_array().unwrap().iter();
    assert!(
        running.clone().all(|row| row["state"] == "running"),
        "{rows}"
    );

    let log = said(&state, &["logs", "valkey"]).await;
    assert_eq!(
        log.matches("Ready to accept connections").count(),
        2,
        "{log}"
    );
    assert!(said(&state, &["reset"]).await.contains("emptied: kafka="));
    said(&state, &["redrive"]).await;

    said(&state, &["down"]).await;
    assert!(containers(&state).await.is_empty());
    assert_eq!(
        said(&state, &["logs", "valkey"]).await,
        log_after_the_end(&log, &state)
    );
    // The passwords and the data of the first start are still the same.
    up(&state).await;
    said(&state, &["down"]).await;
    remove_volumes(&projects[0]).await;
}

/// The log goes on until the container's end, so it begins with what was seen before.
fn log_after_the_end(seen: &str, state: &Path) -> String {
    let kept = std::fs::read_to_string(state.join("logs/valkey.log")).unwrap();
    assert!(kept.starts_with(seen), "{kept}");
    kept
}

#[tokio::test]
#[ignore = "needs a Docker engine and images"]
async fn ctrl_c_leaves_no_container_and_those_of_a_killed_owner_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().canonicalize().unwrap();
    let mut owner = clima_local(&state, &UP).spawn().unwrap();
    until("the first container", async || {
        assert!(owner.try_wait().unwrap().is_none(), "up ended early");
        (!containers(&state).await.is_empty()).then_some(())
    })
    .await;
    let pid = Pid::from_raw(owner.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert!(!owner.wait().await.unwrap().success());
    assert!(containers(&state).await.is_empty());

    let mut owner = clima_local(&state, &UP).spawn().unwrap();
    until("the stack", async || {
        assert!(owner.try_wait().unwrap().is_none(), "up ended early");
        StackFile::read(&state).ok()
    })
    .await;
    owner.kill().await.unwrap();
    let projects = containers(&state).await;
    assert!(!projects.is_empty());
    assert!(
        said(&state, &["down"])
            .await
            .contains("removed the containers")
    );
    assert!(containers(&state).await.is_empty());
    remove_volumes(&projects[0]).await;
}
