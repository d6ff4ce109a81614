//! The cache of installed servers: filled once, then shared by every stack of this user.
//!
//! Each server has a folder whose name carries its version. It is built under a temporary name and
//! renamed when complete, so a folder that exists is whole; an interrupted installation is redone.
//! A file lock keeps two processes from installing at once.

mod debian;
mod kafka;
mod mirror;
mod tools;

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use crate::Part;
use crate::notices::Notices;

/// Folders that are being built begin with this; other tools of the project share the cache.
const PARTIAL: &str = ".clima-local-partial-";

/// Where installed servers, and the data of unnamed stacks, are kept.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$CLIMA_CACHE`, else `tweets-del-clima` in the user's cache folder.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let set = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = set("CLIMA_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("tweets-del-clima")))
            .or_else(|| Some(set("HOME")?.join(".cache/tweets-del-clima")))
            .context("set CLIMA_CACHE or HOME: there is no folder to keep the servers in")?;
        let root = std::path::absolute(root)?;
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Self { root })
    }

    /// Locks by which the stacks of this user share the free ports.
    pub(crate) fn port_locks(&self) -> PathBuf {
        self.root.join("ports")
    }

    /// State folders of stacks that were given none.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }
}

/// The folders of the installed servers; `None` where the stack does not need it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installed {
    /// Kafka's jars, settings and formatted storage.
    pub(crate) kafka: Option<PathBuf>,
    /// A Debian root folder with RabbitMQ and Valkey.
    pub(crate) debian: Option<PathBuf>,
}

/// Makes sure that what `parts` need is there, and installs what is missing.
pub(crate) async fn ensure(
    cache: &Cache,
    parts: &BTreeSet<Part>,
    notices: &Notices,
) -> anyhow::Result<Installed> {
    let mut installed = Installed::default();
    let kafka = cache.root.join(kafka::folder());
    let debian = cache.root.join(debian::folder());
    if parts.contains(&Part::Kafka) {
        tools::ensure(&[tools::JAVA], notices).await?;
        if !kafka.is_dir() {
            let _lock = lock(&cache.root, notices).await?;
            build(&kafka, async |partial| {
                kafka::install(partial, notices).await
            })
            .await?;
        }
        installed.kafka = Some(kafka);
    }
    if parts.contains(&Part::Rabbitmq) || parts.contains(&Part::Valkey) {
        tools::ensure(&[tools::UNSHARE], notices).await?;
        if !debian.is_dir() {
            let _lock = lock(&cache.root, notices).await?;
            build(&debian, async |partial| {
                debian::install(partial, notices).await
            })
            .await?;
            debian::write_wrappers(&debian, &cache.root.join("bin"))?;
        }
        installed.debian = Some(debian);
    }
    Ok(installed)
}

/// Fills `folder` by way of a temporary one. The caller holds the lock.
async fn build(
    folder: &Path,
    fill: impl AsyncFnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(()); // another process was faster
    }
    let parent = folder
        .parent()
        .context("the cache is a folder of its own")?;
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_dir_all(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    let partial = tempfile::Builder::new()
        .prefix(PARTIAL)
        .tempdir_in(parent)?;
    fill(partial.path()).await?;
    fs::rename(partial.keep(), folder)
        .with_context(|| format!("cannot rename the finished folder to {}", folder.display()))
}

async fn lock(root: &Path, notices: &Notices) -> anyhow::Result<File> {
    let path = root.join("install.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
            Err(TryLockError::WouldBlock) => {
                if !told {
                    notices.say("another process is installing the servers; waiting for it");
                    told = true;
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupted_installation_leaves_no_folder_and_is_redone() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("server-1");
        let stale = cache.path().join(format!("{PARTIAL}old"));
        fs::create_dir(&stale).unwrap();
        build(&folder, async |_| anyhow::bail!("no network"))
            .await
            .unwrap_err();
        assert!(!folder.exists() && !stale.exists());
        build(&folder, async |partial| {
            Ok(fs::write(partial.join("file"), "x")?)
        })
        .await
        .unwrap();
        assert!(folder.join("file").exists());
    }
}
