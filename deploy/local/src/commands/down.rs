//! `clima-local down`: ends the stack of a state folder, in order.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use clima_local::StateDir;
use tokio::time::{sleep, timeout};

use crate::control::{NotUp, Request, ask};

/// Returns when nothing runs any more; it is no error when nothing ran.
pub(crate) async fn run(state_dir: &Path) -> anyhow::Result<()> {
    match ask(state_dir, Request::Down).await {
        Err(error) if error.is::<NotUp>() => {
            println!("no stack is up in {}", state_dir.display());
            return Ok(());
        }
        outcome => outcome?,
    };
    // It has answered; what is left is the end of its process, which frees the folder.
    let freed = async {
        while StateDir::claim(state_dir).is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(Duration::from_secs(30), freed).await.is_err() {
        bail!("everything is stopped, but clima-local up does not end");
    }
    println!("everything is stopped");
    Ok(())
}
