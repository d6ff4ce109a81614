//! Where the parts of a stack run: as processes of this machine, or as containers.
//!
//! Both answer the same questions and take the same orders; what waits, probes and stops in order is
//! [`Stack`](crate::Stack)'s, which does not know which of them it has.

mod choice;
mod state;

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::docker::Containers;
use crate::processes::Processes;
use crate::{Part, proc_fs};

pub use choice::RuntimeChoice;
pub(crate) use state::{State, States};

/// What runs the parts. Dropping it ends all of them.
#[derive(Debug)]
pub(crate) enum Runtime {
    /// Child processes.
    Native(Processes),
    /// Containers of a compose project.
    Docker(Containers),
}

impl Runtime {
    /// Starts a part, which must not run.
    pub(crate) async fn start(&self, part: Part) -> anyhow::Result<()> {
        match self {
            Self::Native(processes) => processes.start(part).await,
            Self::Docker(containers) => containers.start(part).await,
        }
    }

    /// Sends SIGKILL, SIGTERM, SIGSTOP or SIGCONT; `false` when the part does not run.
    pub(crate) async fn signal(&self, part: Part, signal: Signal) -> anyhow::Result<bool> {
        match self {
            Self::Native(processes) => processes.signal(part, signal).await,
            Self::Docker(containers) => containers.signal(part, signal).await,
        }
    }

    /// The end of what a part has printed, and where it comes from.
    pub(crate) async fn last_words(&self, part: Part, lines: usize) -> anyhow::Result<String> {
        match self {
            Self::Native(processes) => processes.last_words(part, lines),
            Self::Docker(containers) => containers.last_words(part, lines).await,
        }
    }

    /// Gives back what stopped parts still hold: containers and their network. Data and logs stay.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        match self {
            Self::Native(_) => Ok(()),
            Self::Docker(containers) => containers.close().await,
        }
    }

    /// The processes, where the parts are some.
    pub(crate) fn processes(&self) -> Option<&Processes> {
        match self {
            Self::Native(processes) => Some(processes),
            Self::Docker(_) => None,
        }
    }

    /// The containers, where the parts are some.
    pub(crate) fn containers(&self) -> Option<&Containers> {
        match self {
            Self::Native(_) => None,
            Self::Docker(containers) => Some(containers),
        }
    }

    /// The state of a part; `None` when it was never started.
    pub(crate) fn state(&self, part: Part) -> Option<State> {
        self.states().borrow().get(&part).cloned()
    }

    pub(crate) fn is_running(&self, part: Part) -> bool {
        self.states().borrow().get(&part).is_some_and(State::runs)
    }

    pub(crate) fn is_paused(&self, part: Part) -> bool {
        match self.state(part) {
            Some(State::Running { paused: true, .. }) => true,
            Some(state) => state.pid().is_some_and(proc_fs::is_stopped),
            None => false,
        }
    }

    /// Waits until the part does not run; `false` when it still does at the end of `patience`.
    pub(crate) async fn ended(&self, part: Part, patience: Duration) -> bool {
        let mut states = self.states().clone();
        let gone = states.wait_for(|states| !states.get(&part).is_some_and(State::runs));
        timeout(patience, gone).await.is_ok()
    }

    /// Changes at every start and end of a part.
    pub(crate) fn states(&self) -> &watch::Receiver<States> {
        match self {
            Self::Native(processes) => processes.states(),
            Self::Docker(containers) => containers.states(),
        }
    }
}
