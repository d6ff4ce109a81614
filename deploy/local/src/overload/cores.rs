//! A core for the load generator, the others for the system.

use std::fmt;
use std::fs;

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::Stack;

/// Who runs where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cores {
    /// Cores of the system; all of them, shared, where there is one only.
    system: usize,
    apart: bool,
}

impl Cores {
    /// Gives the last core to this process and the others to the parts of the stack, for as long as both live.
    pub(super) fn divide(stack: &Stack) -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let cores: Vec<usize> = (0..CpuSet::count())
            .filter(|&core| allowed.is_set(core).unwrap_or(false))
            .collect();
        let Some((last, others)) = cores.split_last().filter(|(_, others)| !others.is_empty())
        else {
            return Ok(Self {
                system: cores.len(),
                apart: false,
            });
        };
        let mut system = CpuSet::new();
        for &core in others {
            system.set(core)?;
        }
        for pid in stack.parts().filter_map(|part| stack.pid(part)) {
            pin(pid, &system)?;
        }
        let mut generator = CpuSet::new();
        generator.set(*last)?;
        pin(std::process::id(), &generator)?;
        Ok(Self {
            system: others.len(),
            apart: true,
        })
    }
}

/// All threads of a process; those that they start follow them.
fn pin(pid: u32, cores: &CpuSet) -> anyhow::Result<()> {
    let tasks = format!("/proc/{pid}/task");
    // The second time for threads that were started meanwhile by one that was not pinned yet.
    for _ in 0..2 {
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            let Some(task) = task?.file_name().to_str().and_then(|id| id.parse().ok()) else {
                continue;
            };
            // It may have ended since.
            sched_setaffinity(Pid::from_raw(task), cores).ok();
        }
    }
    Ok(())
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, apart } = self;
        if *apart {
            write!(
                f,
                "the system on {system} core(s), the load generator on one of its own"
            )
        } else {
            write!(f, "system and load generator share {system} core(s)")
        }
    }
}
