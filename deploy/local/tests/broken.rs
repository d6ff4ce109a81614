//! The checker proves itself: services that break the promise on purpose fail `clima-local chaos`, each in its way, and the
//! same faults do nothing to services that are as they should be.
//!
//! It runs the command as a user does. A binary of its own, since it has the machine to itself: cargo runs one test
//! binary after the other, and the tests take turns. `make chaos-broken` builds the broken services and runs it.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use clima_local::PATHS;
use clima_service::sabotage::{Sabotage, VARIABLE};

static TURN: Mutex<()> = Mutex::new(());

/// How a run ended: its exit code, and what its report says of each path, by column.
struct Run {
    code: Option<i32>,
    paths: BTreeMap<&'static str, BTreeMap<String, u64>>,
    text: String,
}

fn chaos(how: &str, mistake: Sabotage) -> Run {
    let state = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_clima-local"))
        .args(["chaos", how, mistake.name(), "--state-dir"])
        .arg(state.path())
        .args(["--rest-clients", "16", "--grpc-clients", "8"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    println!("{text}");
    Run {
        code: ended.status.code(),
        paths: PATHS
            .into_iter()
            .map(|path| (path, row(&text, path)))
            .collect(),
        text,
    }
}

/// The row of a path in the table of paths.
fn row(text: &str, path: &str) -> BTreeMap<String, u64> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let begins = |start: String| text.lines().find(|line| line.starts_with(&start));
    let names = begins("| path |".to_owned()).map(cells).unwrap_or_default();
    let numbers = begins(format!("| {path} |")).map(cells).unwrap_or_default();
    let pairs = names.into_iter().zip(numbers).skip(1);
    let mut row: BTreeMap<String, u64> = pairs
        .map(|(name, number)| (name, number.parse().unwrap()))
        .collect();
    // The report tells where.
    let lost = row["lost in the broker"] + row["lost before it"];
    row.insert("lost".to_owned(), lost);
    row
}

/// A broken run is found out, in every one of these columns on these paths; the same run with sane services is clean.
fn is_found(mistake: Sabotage, column: &str, paths: &[&str]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let sane = chaos("--aim", mistake);
    assert_eq!(sane.code, Some(0), "{}", sane.text);
    for path in PATHS {
        assert!(sane.paths[path]["counted"] > 300, "{}", sane.text);
        assert_eq!(sane.paths[path]["lost"], 0, "{}", sane.text);
        assert_eq!(sane.paths[path]["doubled"], 0, "{}", sane.text);
    }
    let broken = chaos("--broken", mistake);
    assert_eq!(broken.code, Some(1), "{}", broken.text);
    for path in paths {
        assert!(broken.paths[path][column] > 0, "{path}: {}", broken.text);
    }
}

/// What `clima-rest` says of its configuration, told to make a mistake that there is not. `program` stands beside the
/// command.
fn refusal(program: &str) -> String {
    let command = Path::new(env!("CARGO_BIN_EXE_clima-local"));
    let ended = Command::new(command.with_file_name(program))
        .arg0("clima-rest")
        .env_clear()
        .env(VARIABLE, "typing-error")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(64), "{ended:?}");
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn only_the_broken_services_listen_to_the_variable() {
    assert!(refusal("examples/clima-broken").contains("no mistake is called `typing-error`"));
    let released = refusal("clima-rest");
    assert!(
        released.contains("(CLIMA_GATEWAY_URL) is missing"),
        "{released}"
    );
    assert!(!released.contains("typing-error"), "{released}");
}

#[test]
fn acknowledging_before_counting_is_found_as_lost_tweets_on_both_paths() {
    is_found(Sabotage::AckBeforeCounting, "lost", &PATHS);
}

#[test]
fn setting_bits_after_counting_is_found_as_doubled_tweets() {
    is_found(Sabotage::BitsAfterCounts, "doubled", &["kafka"]);
}

#[test]
fn answering_without_confirmations_is_found_as_lost_tweets_on_both_paths() {
    is_found(Sabotage::NoConfirms, "lost", &PATHS);
}

#[test]
fn a_new_id_for_each_attempt_is_found_as_doubled_tweets_on_both_paths() {
    is_found(Sabotage::NewIdPerAttempt, "doubled", &PATHS);
}

#[test]
fn beginning_at_the_end_of_a_partition_is_found_as_lost_tweets() {
    is_found(Sabotage::OffsetLatest, "lost", &["kafka"]);
}
