//! How the other commands talk to the `clima-local up` of a state folder.
//!
//! A Unix socket in that folder; one line of JSON asks, one line answers, then the connection ends.

mod client;
mod server;

use std::path::{Path, PathBuf};

use clima_local::Part;
use serde::{Deserialize, Serialize};

pub(crate) use client::{NotUp, ask, running};
pub(crate) use server::Server;

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Request {
    /// How each part is.
    Status,
    /// Stop everything; the answer comes when `up` is about to end.
    Down,
    /// SIGKILL.
    Kill { part: Part },
    /// SIGTERM, then SIGKILL.
    Stop { part: Part },
    /// Start again; the answer comes when it is ready.
    Start { part: Part },
}

/// What `up` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Reply {
    Done,
    /// The stack is being started; only `status` and `down` are understood.
    Starting,
    Parts {
        parts: Vec<PartStatus>,
    },
    Failed {
        reason: String,
    },
}

/// One row of `clima-local status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartStatus {
    pub(crate) part: Part,
    pub(crate) address: String,
    /// The process, while there is one.
    pub(crate) pid: Option<u32>,
    /// `running`, `paused`, or how it ended.
    pub(crate) state: String,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) uptime_seconds: Option<u64>,
}

fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_readable_line() {
        let line = serde_json::to_string(&Request::Kill {
            part: Part::WriterKafka,
        })
        .unwrap();
        assert_eq!(line, r#"{"ask":"kill","part":"writer_kafka"}"#);
        assert_eq!(
            serde_json::to_string(&Reply::Done).unwrap(),
            r#"{"answer":"done"}"#
        );
    }
}
