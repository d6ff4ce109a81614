//! The folder of one stack: its data, settings and logs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder given by the caller, or one that lives as long as the stack.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Locked while this process lives, for a folder of ours.
    own: Option<File>,
}

impl StateDir {
    /// A folder of the caller: its content is kept.
    pub(crate) fn given(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self {
            path: fs::canonicalize(path)?,
            own: None,
        })
    }

    /// A new folder in `runs`, removed with the stack. Those of dead processes are removed first.
    pub(crate) fn temporary(runs: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(runs).with_context(|| format!("cannot create {}", runs.display()))?;
        // Between making a lock file and locking it, another stack must not sweep it away.
        let guard = File::create(runs.join("sweep.guard"))?;
        guard.lock()?;
        sweep(runs)?;
        let path = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(runs)?
            .keep();
        let own = File::create(path.with_extension("lock"))?;
        own.lock()?;
        Ok(Self {
            path,
            own: Some(own),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if self.own.is_some() {
            // What cannot be removed now is swept by a later stack.
            drop(fs::remove_dir_all(&self.path));
            drop(fs::remove_file(self.path.with_extension("lock")));
        }
    }
}

fn sweep(runs: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(runs)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let abandoned = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if abandoned {
            drop(fs::remove_dir_all(path.with_extension("")));
            drop(fs::remove_file(&path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_living_stacks_stay_and_those_of_dead_ones_go() {
        let runs = tempfile::tempdir().unwrap();
        let living = StateDir::temporary(runs.path()).unwrap();
        let dead = runs.path().join("run-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.with_extension("lock"), "").unwrap();
        let other = StateDir::temporary(runs.path()).unwrap();
        assert!(!dead.exists());
        assert!(living.path().is_dir() && other.path().is_dir());
        let path = other.path().to_owned();
        drop(other);
        assert!(!path.exists());
    }
}
