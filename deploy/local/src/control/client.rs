//! The asking side.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clima_local::StackFile;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::{Reply, Request, socket};

/// No `up` listens in the state folder.
#[derive(Debug)]
pub(crate) struct NotUp(PathBuf);

impl fmt::Display for NotUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no stack is up in {}; start one with: clima-local up",
            self.0.display()
        )
    }
}

impl std::error::Error for NotUp {}

/// Where the parts of the running stack are. The file alone does not tell that it runs: an `up` that was killed left it there.
pub(crate) async fn running(state_dir: &Path) -> anyhow::Result<StackFile> {
    match ask(state_dir, Request::Status).await? {
        Reply::Starting => bail!("the stack is still being started"),
        _ => StackFile::read(state_dir),
    }
}

/// Asks, and waits for the answer as long as it takes.
pub(crate) async fn ask(state_dir: &Path, request: Request) -> anyhow::Result<Reply> {
    let mut stream = match UnixStream::connect(socket(state_dir)).await {
        Ok(stream) => stream,
        // No socket, or that of an `up` which was killed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Err(NotUp(state_dir.to_owned()).into());
        }
        Err(error) => return Err(error).context("cannot reach the running stack"),
    };
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    if answer.is_empty() {
        bail!("the stack ended before it answered");
    }
    match serde_json::from_str(&answer).context("cannot understand the running stack")? {
        Reply::Failed { reason } => bail!(reason),
        reply => Ok(reply),
    }
}
