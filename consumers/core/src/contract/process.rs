//! The consumer's process.

use std::fmt::Debug;
use std::net::TcpListener;
use std::ops::RangeBounds;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::records::until;

/// A consumer that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct RunningConsumer {
    child: Child,
    admin: String,
}

impl RunningConsumer {
    /// Starts this binary with these settings, and an admin port of its own.
    pub fn start(binary: &str, settings: &[(&str, String)]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let admin = free.unwrap_or_else(|error| panic!("{error}")).to_string();
        let child = Command::new(binary)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env("CLIMA_ADMIN_LISTEN", &admin)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("{binary}: {error}")),
            admin,
        }
    }

    /// Ends it with SIGKILL.
    pub(super) async fn kill(mut self) {
        let killed = self.child.kill().await;
        assert!(killed.is_ok(), "{killed:?}");
    }

    /// Ends it with SIGTERM and waits.
    pub(super) async fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.unwrap_or_else(|| panic!("it has ended by itself"));
        let sent = kill(Pid::from_raw(pid), Signal::SIGTERM);
        assert!(sent.is_ok(), "{sent:?}");
        let status = self.child.wait().await;
        status.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether the process is there.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What a path of the admin port answers, head and body; nothing while nobody listens.
    pub(super) async fn ask(&self, path: &str) -> String {
        let mut answer = String::new();
        let Ok(mut stream) = TcpStream::connect(&self.admin).await else {
            return answer;
        };
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.admin);
        if stream.write_all(request.as_bytes()).await.is_ok() {
            stream.read_to_string(&mut answer).await.ok();
        }
        answer
    }

    /// Waits until it is not ready for want of `part`.
    pub(super) async fn until_missing(&self, part: &str) {
        until(&format!("the consumer misses {part}"), async || {
            let answer = self.ask("/readyz").await;
            answer.contains("not ready") && answer.contains(part)
        })
        .await;
    }

    /// Waits until `part` is all that it is not ready for want of.
    pub(super) async fn until_missing_only(&self, part: &str) {
        let alone = format!("not ready: {part}\n");
        until(&format!("the consumer misses only {part}"), async || {
            self.ask("/readyz").await.ends_with(&alone)
        })
        .await;
    }

    /// Waits until it is ready.
    pub(super) async fn until_ready(&self) {
        until("the consumer is ready", async || {
            self.ask("/readyz").await.ends_with("\nready\n")
        })
        .await;
    }

    /// Waits until the age of its oldest record is within the range, in seconds.
    pub(super) async fn until_age(&self, range: impl RangeBounds<f64> + Debug) {
        until(&format!("the age is in {range:?}"), async || {
            let age = self
                .value("clima_consumer_oldest_unacknowledged_age_seconds")
                .await;
            age.is_some_and(|age| range.contains(&age))
        })
        .await;
    }

    /// The value of a counter whose one label is the broker.
    pub(super) async fn metric(&self, name: &str) -> Option<u64> {
        self.value(name).await.map(|value| value as u64)
    }

    /// The value of a metric whose one label is the broker.
    async fn value(&self, name: &str) -> Option<f64> {
        let answer = self.ask("/metrics").await;
        let line = answer.lines().find_map(|line| {
            let labels = line.strip_prefix(name)?.strip_prefix('{')?;
            labels.split_once("} ").map(|(_, value)| value)
        })?;
        line.parse().ok()
    }
}
