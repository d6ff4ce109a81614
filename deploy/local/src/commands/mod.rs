//! One file per command.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

pub(crate) mod bench;
pub(crate) mod chaos;
pub(crate) mod demo;
mod detach;
pub(crate) mod down;
pub(crate) mod logs;
pub(crate) mod overload;
pub(crate) mod part;
pub(crate) mod recovery;
pub(crate) mod redrive;
pub(crate) mod reset;
mod runtime;
pub(crate) mod status;
pub(crate) mod up;

/// One message for each SIGINT or SIGTERM.
pub(crate) fn end_signals() -> anyhow::Result<mpsc::UnboundedReceiver<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
