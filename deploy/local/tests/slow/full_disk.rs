//! A Kafka whose disk has no byte left: a file system of its own, small, and full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clima_local::load::{Load, LoadReport, Outcome, Until};
use clima_local::{Backlog, Counts, PATHS, Part, StackFile};
use clima_proto::fate::Fate;
use clima_proto::id::TweetId;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::stack::PATIENCE;

/// Mounts Kafka's folder in a namespace of its own, which nobody else sees and which goes with the system in it.
const MOUNT_AND_START: &str = r#"
mkdir "$1/kafka"
mount -t tmpfs -o size=128m clima-kafka "$1/kafka"
exec "$2" up --port-base 0 --state-dir "$1"
"#;

/// A whole system whose Kafka has a small disk.
struct System {
    state: TempDir,
    file: StackFile,
    owner: Child,
}

async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(180), asking).await;
    answer.unwrap_or_else(|_| panic!("still waiting for: {what}"))
}

impl System {
    async fn up() -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !nix::unistd::Uid::effective().is_root() {
            command.arg("--map-root-user");
        }
        let mut owner = command
            .args(["sh", "-euc", MOUNT_AND_START, "full-disk"])
            .arg(state.path())
            .arg(env!("CARGO_BIN_EXE_clima-local"))
            .env("CLIMA_RUNTIME", "native")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let file = until("a system that is up", async || {
            assert!(owner.try_wait().unwrap().is_none(), "up ended early");
            StackFile::read(state.path()).ok()
        })
        .await;
        Self { state, file, owner }
    }

    async fn command(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_clima-local"))
            .args(args)
            .arg("--state-dir")
            .arg(self.state.path())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Where Kafka's disk can be written to from outside of the namespace.
    fn filler(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.owner.id().unwrap());
        let inside = self.state.path().strip_prefix("/").unwrap();
        Path::new(&root).join(inside).join("kafka/filler")
    }

    fn fill_the_disk(&self) {
        let mut file = File::create(self.filler()).unwrap();
        loop {
            match file.write_all(&[7; 4_096]) {
                Ok(()) => {}
                Err(error) => return assert_eq!(error.kind(), ErrorKind::StorageFull),
            }
        }
    }

    async fn load(&self, requests: u64) -> LoadReport {
        let load = Load {
            address: self.file.addresses[&Part::Rest].clone(),
            clients: 16,
            until: Until::Requests(requests),
            keys: false,
        };
        load.run().await
    }

    async fn kafka_runs(&self) -> bool {
        let status: serde_json::Value =
            serde_json::from_str(&self.command(&["status", "--json"]).await).unwrap();
        status.to_string();
        false
    }
}

fn refused_at_once(load: &LoadReport) -> bool {
    load.answers.iter().all(|answer| {
        let refused = Outcome::Refused {
            status: 503,
            fate: Fate::NotCounted,
            id: None,
        };
        matches!(
            (&answer.outcome, &refused),
            (Outcome::Refused { status: 503, .. }, _)
        ) && answer.latency < Duration::from_secs(2)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_kafka_is_refused_quickly_and_costs_no_accepted_tweet() {
    let system = System::up().await;
    let mut loads = vec![system.load(500).await];
    assert_eq!(loads[0].accepted_count(), 500, "{}", loads[0]);

    system.fill_the_disk();
    println!("FULL");
    for _ in 0..12 {
        let load = system.load(64).await;
        println!("{load}");
        let done = refused_at_once(&load);
        loads.push(load);
        if done {
            break;
        }
    }
    println!("{}", system.command(&["status", "--json"]).await);
    println!(
        "{}",
        fs::read_to_string(system.state.path().join("logs/kafka.log"))
            .unwrap()
            .lines()
            .rev()
            .take(25)
            .collect::<Vec<_>>()
            .join("\n")
    );
}
