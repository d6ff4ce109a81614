//! The consumer's process.

use std::fmt::Debug;
use std::net::TcpListener;
use std::ops::RangeBounds;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use clima_service::process::RunError;

use super::records::{PATIENCE, until};

/// A consumer that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct RunningConsumer {
    child: Child,
    admin: String,
    log: Arc<Mutex<Vec<String>>>,
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
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{binary}: {error}"));
        let log = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(keep(stderr, Arc::clone(&log)));
        }
        Self { child, admin, log }
    }

    /// The lines of its log that have this text, without the time.
    pub fn logged(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = log.iter().filter(|line| line.contains(text));
        let lines = lines.map(|line| line.split_once(' ').map_or("", |(_, said)| said.trim()));
        lines.map(str::to_owned).collect()
    }

    /// Waits until a line of its log has this text.
    pub async fn until_logged(&self, text: &str) {
        until(&format!("the consumer says {text:?}"), async || {
            !self.logged(text).is_empty()
        })
        .await;
    }

    /// Ends it with SIGKILL.
    pub(super) async fn kill(mut self) {
        let killed = self.child.kill().await;
        assert!(killed.is_ok(), "{killed:?}");
    }

    /// Ends it with SIGTERM and waits.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let status = self.child.wait().await;
        status.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Stops it with SIGSTOP.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.unwrap_or_else(|| panic!("it has ended by itself"));
        let sent = kill(Pid::from_raw(pid), signal);
        assert!(sent.is_ok(), "{sent:?}");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end"));
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

    /// Waits until it is not ready for want of `part`, perhaps among others.
    pub(super) async fn until_missing(&self, part: &str) {
        until(&format!("the consumer misses {part}"), async || {
            let answer = self.ask("/readyz").await;
            answer.contains("not ready") && answer.contains(part)
        })
        .await;
    }

    /// Waits until it is not ready for want of `part`, and of nothing else.
    pub(super) async fn until_missing_only(&self, part: &str) {
        until(&format!("the consumer misses {part} alone"), async || {
            let answer = self.ask("/readyz").await;
            answer.ends_with(&format!("\nnot ready: {part}\n"))
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
    pub async fn metric(&self, name: &str) -> Option<u64> {
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

/// Keeps what a process says, line by line, until it is gone.
async fn keep(stderr: ChildStderr, log: Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

/// A consumer of the next build: one that knows a newer schema. There is no such binary yet, so it runs in the process of
/// the test; what it knows is all that it has ahead of this build.
#[derive(Debug)]
pub struct NewerConsumer {
    /// Ends it.
    pub shutdown: CancellationToken,
    /// What it runs in.
    pub running: JoinHandle<Result<(), RunError>>,
}

impl NewerConsumer {
    /// Ends it in good order and waits.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.running).await;
        assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
    }
}

/// The command line of a consumer with these settings and a free admin port. A flag is its variable's name in other
/// letters.
pub fn command_line(settings: &[(&str, String)]) -> Vec<String> {
    let flags = settings.iter().map(|(name, value)| {
        let flag = name.trim_start_matches("CLIMA_").to_lowercase();
        format!("--{}={value}", flag.replace('_', "-"))
    });
    ["consumer", "--admin-listen=127.0.0.1:0"]
        .map(str::to_owned)
        .into_iter()
        .chain(flags)
        .collect()
}
