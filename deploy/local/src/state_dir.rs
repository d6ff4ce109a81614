//! The folder of one stack: its data, settings and logs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};

use crate::StackFile;
use crate::docker::Settings;

/// What a part leaves in the folder, and what the stack as a whole does.
const CONTENT: [&str; 6] = [
    "kafka",
    "rabbitmq",
    "valkey",
    "logs",
    Settings::NAME,
    StackFile::NAME,
];

/// A folder held for one stack: one given by the caller, or one that lives as long as the stack.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Whether it goes with the stack.
    temporary: AtomicBool,
    /// Locked while this process holds the folder.
    _lock: File,
}

impl StateDir {
    /// Takes hold of a folder of the caller, made when it is not there. What it contains is kept.
    ///
    /// # Errors
    /// When another stack has it, or it cannot be made.
    pub fn claim(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let path = fs::canonicalize(path)?;
        let lock = File::create(path.join("stack.lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path,
                temporary: AtomicBool::new(false),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => bail!(
                "a stack is already up in {}; see clima-local status, or end it with clima-local down",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the state folder"),
        }
    }

    /// Removes what earlier stacks left: their data, settings and logs, and nothing else. Data in Docker's volumes goes when
    /// the next stack finds no passwords for it.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> anyhow::Result<()> {
        CONTENT
            .into_iter()
            .try_for_each(|name| remove(&self.path.join(name)))
    }

    /// Removes the description that a killed owner left, which would mislead whoever reads it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        remove(&self.path.join(StackFile::NAME))
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
        let lock = File::create(path.with_extension("lock"))?;
        lock.lock()?;
        Ok(Self {
            path,
            temporary: AtomicBool::new(true),
            _lock: lock,
        })
    }

    /// Lets the folder stay, also where it was to go with the stack.
    ///
    /// # Errors
    /// When the sign by which later stacks know it for abandoned cannot be removed.
    pub fn keep(&self) -> anyhow::Result<()> {
        if self.temporary.swap(false, Ordering::Relaxed) {
            remove(&self.path.with_extension("lock"))?;
        }
        Ok(())
    }

    /// The folder, as an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if self.temporary.load(Ordering::Relaxed) {
            // What cannot be removed now is swept by a later stack.
            drop(fs::remove_dir_all(&self.path));
            drop(fs::remove_file(self.path.with_extension("lock")));
        }
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
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
    fn one_stack_at_a_time_and_only_its_own_files_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let held = StateDir::claim(folder.path()).unwrap();
        let error = StateDir::claim(folder.path()).unwrap_err();
        assert!(error.to_string().contains("already up"), "{error}");
        fs::create_dir(held.path().join("valkey")).unwrap();
        fs::write(held.path().join("mine"), "").unwrap();
        held.clear().unwrap();
        assert!(!held.path().join("valkey").exists() && held.path().join("mine").exists());
        drop(held);
        StateDir::claim(folder.path()).unwrap();
    }

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

    #[test]
    fn a_folder_that_is_to_be_kept_outlives_its_stack_and_later_ones() {
        let runs = tempfile::tempdir().unwrap();
        let kept = StateDir::temporary(runs.path()).unwrap();
        let path = kept.path().to_owned();
        kept.keep().unwrap();
        drop(kept);
        drop(StateDir::temporary(runs.path()).unwrap());
        assert!(path.is_dir());
    }
}
