//! `clima-local down`: ends the stack of a state folder, in order.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use clima_local::{StateDir, remove_leftovers};
use tokio::time::{sleep, timeout};

use crate::control::{NotUp, Request, ask};

/// Returns when nothing runs any more; it is no error when nothing ran.
pub(crate) async fn run(state_dir: &Path) -> anyhow::Result<()> {
    match ask(state_dir, Request::Down).await {
        Err(error) if error.is::<NotUp>() => return without_owner(state_dir).await,
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

/// Where no `up` lives there are no processes either, but there may be containers.
async fn without_owner(state_dir: &Path) -> anyhow::Result<()> {
    println!("no stack is up in {}", state_dir.display());
    if remove_leftovers(state_dir).await? {
        println!("removed the containers that one has left which was killed");
    }
    Ok(())
}
