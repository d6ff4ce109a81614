//! What became of a part.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::{Part, proc_fs};

/// Of the parts that were started.
pub(crate) type States = BTreeMap<Part, State>;

/// Whether a part runs, and how it ended where it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running {
        /// Its process, where that can be seen from here.
        child: Option<u32>,
        /// The name of the real server where the process only wraps it.
        leader: Option<&'static str>,
        since: SystemTime,
        /// Stopped by its container. A process that is stopped by a signal shows that itself.
        paused: bool,
    },
    Ended {
        how: String,
    },
}

impl State {
    pub(crate) fn runs(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// The real server as a process of this machine; `None` until there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Running { child, leader, .. } => match leader {
                None => *child,
                Some(name) => proc_fs::descendant_named((*child)?, name),
            },
            Self::Ended { .. } => None,
        }
    }
}
