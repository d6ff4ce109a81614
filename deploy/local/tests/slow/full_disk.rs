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
    // Dropped first: the folder is of use to it.
    owner: Child,
    state: TempDir,
    file: StackFile,
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
        Self { owner, state, file }
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
            address: self.address(Part::Rest),
            clients: 16,
            until: Until::Requests(requests),
            keys: false,
        };
        load.run().await
    }

    /// Each accepted tweet on each path, once; none that was told not to be.
    async fn assert_counted_as_told(&self, loads: &[LoadReport]) {
        let mut counts = Counts::connect(&self.address(Part::Valkey)).await.unwrap();
        let totals = counts.totals().await.unwrap();
        let accepted: Vec<TweetId> = loads.iter().flat_map(LoadReport::accepted).collect();
        let refused: Vec<TweetId> = loads.iter().flat_map(LoadReport::not_counted).collect();
        let ambiguous: u64 = loads.iter().map(LoadReport::ambiguous_count).sum();
        let told = accepted.len() as u64;
        assert!(!refused.is_empty());
        for (path, counted) in PATHS.into_iter().zip([totals.kafka, totals.rabbitmq]) {
            assert_eq!(counts.missing(path, &accepted).await.unwrap(), [], "{path}");
            assert_eq!(
                counts.missing(path, &refused).await.unwrap(),
                refused,
                "{path}"
            );
            assert!(
                (told..=told + ambiguous).contains(&counted),
                "{path}: {counted}"
            );
        }
    }

    fn address(&self, part: Part) -> String {
        let address = &self.file.addresses[&part];
        address.trim_start_matches("http://").to_owned()
    }
}

/// Whether these were refused before anything left, and soon, but for a few that were tried.
fn is_held(load: &LoadReport) -> bool {
    let at_once = load.answers.iter().filter(|answer| {
        let refused = matches!(
            answer.outcome,
            Outcome::Refused {
                status: 503,
                fate: Fate::NotCounted,
                ..
            }
        );
        refused && answer.latency < Duration::from_secs(2)
    });
    at_once.count() * 4 >= load.answers.len() * 3 && load.accepted_count() == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_kafka_is_refused_quickly_and_costs_no_accepted_tweet() {
    let mut system = System::up().await;
    let mut loads = vec![system.load(500).await];
    assert_eq!(loads[0].accepted_count(), 500, "{}", loads[0]);

    system.fill_the_disk();
    // At first it is an outage like any other. Kafka ends, since it has no other disk.
    let held = until("tweets that are refused at once", async || {
        let load = system.load(16).await;
        let held = is_held(&load);
        loads.push(load);
        held.then_some(())
    });
    held.await;
    let status = system.command(&["status"]).await;
    let kafka = status.lines().find(|line| line.starts_with("kafka "));
    assert!(
        kafka.is_some_and(|line| line.contains("ended with")),
        "{status}"
    );

    fs::remove_file(system.filler()).unwrap();
    system.command(&["start", "kafka"]).await;
    let accepted = until("accepted tweets", async || {
        let load = system.load(16).await;
        let accepted = load.accepted_count() == 16;
        loads.push(load);
        accepted.then_some(())
    });
    accepted.await;
    loads.push(system.load(500).await);
    system.file = StackFile::read(system.state.path()).unwrap();
    Backlog::drained(&system.file, PATIENCE).await.unwrap();
    system.assert_counted_as_told(&loads).await;
    system.command(&["down"]).await;
    assert!(system.owner.wait().await.unwrap().success());
}
