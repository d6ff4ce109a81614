//! The consumer's process.

use std::net::TcpListener;
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

    /// The value of a counter or gauge.
    pub(super) async fn metric(&self, name: &str) -> Option<u64> {
        let answer = self.ask("/metrics").await;
        let line = answer.lines().find_map(|line| {
            line.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(' '))
        })?;
        line.parse().ok()
    }
}
