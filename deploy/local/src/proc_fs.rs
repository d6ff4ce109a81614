//! What Linux tells about processes under `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// A process as `/proc/<pid>/stat` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    name: String,
    /// `R`, `S`, `T` (stopped), `Z` (zombie), …: proc_pid_stat(5).
    state: char,
    /// Time on a CPU, in user mode and in the kernel, in clock ticks.
    ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name is in parentheses and may itself contain any of ") (".
        let (head, tail) = text.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // `utime` and `stime` are fields 14 and 15; the last one read is field 4.
        let user: u64 = fields.nth(9)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self {
            parent,
            name,
            state,
            ticks: user + system,
        })
    }

    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// The descendants of a process, parents before children, without zombies.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(stat) = Stat::read(pid).filter(|stat| stat.state != 'Z') {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            found.push(child);
            open.push(child);
        }
    }
    found
}

/// The descendant of `root` that runs the program called `name`.
pub(crate) fn descendant_named(root: u32, name: &str) -> Option<u32> {
    descendants(root)
        .into_iter()
        .find(|&pid| Stat::read(pid).is_some_and(|it| it.name == name))
}

/// Whether the process exists and all of its threads stand still because of a signal. A signal reaches them one
/// after the other, and those that it has not reached yet go on working.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    let mut states = threads
        .flatten()
        .filter_map(|thread| Stat::parse(&fs::read_to_string(thread.path().join("stat")).ok()?))
        .map(|stat| stat.state)
        .peekable();
    states.peek().is_some() && states.all(|state| state == 'T')
}

/// Whether the process exists and belongs to the container with this full id. Container runtimes put that into the name of
/// its control group: cgroups(7).
pub(crate) fn is_in_container(pid: u32, id: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(id))
}

/// Resident memory in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    memory(pid, "VmRSS:")
}

/// The most resident memory that the process ever had, in bytes.
pub(crate) fn peak_resident_bytes(pid: u32) -> Option<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, which: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(which))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Time that the process has spent on a CPU.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    let ticks = Stat::read(pid)?.ticks;
    Some(Duration::from_secs_f64(
        ticks as f64 / ticks_per_second as f64,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_parser() {
        let stat = Stat::parse("42 (a) (b) S 7 42 42 0 -1 0 1 2 3 4 50 60 0 0").unwrap();
        assert_eq!(
            stat,
            Stat {
                parent: 7,
                name: "a) (b".to_owned(),
                state: 'S',
                ticks: 110
            }
        );
    }

    #[test]
    fn this_process_has_memory_and_is_not_stopped() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(!is_stopped(pid));
    }
}
