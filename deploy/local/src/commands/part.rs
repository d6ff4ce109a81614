//! `clima-local kill`, `stop` and `start`: one part of a running stack.

use std::path::Path;

use anyhow::bail;

use crate::control::{Reply, Request, ask};

/// Asks the running stack and says what became of it.
pub(crate) async fn run(request: Request, state_dir: &Path) -> anyhow::Result<()> {
    match ask(state_dir, request).await? {
        Reply::Starting => bail!("the stack is still being started"),
        _ => match request {
            Request::Kill { part } => println!("{part} is killed"),
            Request::Stop { part } => println!("{part} is stopped"),
            Request::Start { part } => println!("{part} is ready"),
            Request::Status | Request::Down => {}
        },
    }
    Ok(())
}
